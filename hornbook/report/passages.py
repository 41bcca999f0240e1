"""The passages that the page shows: best, middle and worst by score, and those that leaked."""

from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from hornbook.core.documents import find_rows, read_table, shards
from hornbook.report.results import REPEAT, Steps

_CANDIDATES = 40  # looked at per group, to show passages of different sources
_SHOWN = ["id", "text", "source", "origin", "kind"]
GROUPS = {"highest": "Highest", "middle": "Middle", "lowest": "Lowest"}


def score_table(steps: Steps) -> pa.Table | None:
    """Columns id and edu, self, level of all scored passages, by falling edu; None when nothing is scored."""
    step = steps.get("curation.scores")
    if step is None or not shards(step.folder):
        return None
    table = read_table(step.folder)
    return table.sort_by([("edu", "descending"), ("id", "ascending")]) if table.num_rows else None


def by_score(steps: Steps, scores: pa.Table, count: int) -> dict[str, list[dict[str, Any]]]:
    """`count` passages with the highest, middle and lowest `edu`, from different sources where possible."""
    rows, near = scores.num_rows, min(_CANDIDATES, scores.num_rows)
    middle = max((rows - near) // 2, 0)
    found = {}
    for group, start in zip(GROUPS, (0, middle, rows - near), strict=True):
        candidates = scores.slice(start, near).to_pylist()
        if group == "lowest":
            candidates.reverse()
        if group == "middle":
            candidates.sort(key=lambda row: abs(row["edu"] - scores["edu"][rows // 2].as_py()))
        found[group] = _different_sources(_with_text(steps, candidates), count)
    return found


def thresholds(steps: Steps, scores: pa.Table) -> dict[str, float]:
    """The lowest `edu` of what each arm that uses the classifier selected, lessons apart."""
    found = {}
    for name, step in steps.items():
        config = step.manifest.get("config") or {}
        if (
            name.startswith("curation.select.")
            and not REPEAT.search(name)
            and config.get("filter") == "classifier"
            and shards(step.folder)
        ):
            selected = read_table(step.folder, ["id", "kind"])
            ids = selected["id"].filter(pc.not_equal(selected["kind"], "synthetic"))
            lowest = pc.min(scores["edu"].filter(pc.is_in(scores["id"], value_set=ids))).as_py()
            if lowest is not None:
                found[name.removeprefix("curation.select.")] = lowest
    return found


def leaks(steps: Steps, count: int) -> dict[str, Any] | None:
    """Passages that hold an evaluation item: how many, how many items of each set, and `count` of them."""
    step = steps.get("curation.decontamination")
    if step is None or not shards(step.folder):
        return None
    table = read_table(step.folder)
    dropped = table.filter(pc.invert(table["keep"])).sort_by([("reason", "ascending"), ("id", "ascending")])
    items: dict[str, set[str]] = {}
    for reason in dropped["reason"].to_pylist():
        name, _, item = reason.removeprefix("leak:").strip().partition(" ")
        items.setdefault(name, set()).add(item)
    spread = np.unique(np.linspace(0, dropped.num_rows - 1, min(count, dropped.num_rows)).astype(int))
    shown = _with_text(steps, dropped.take(pa.array(spread)).to_pylist())
    return {
        "passages": dropped.num_rows,
        "checked": table.num_rows,
        "items": {name: len(ids) for name, ids in sorted(items.items())},
        "shown": shown,
    }


def _with_text(steps: Steps, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The rows joined with their passages; rows without one are left out."""
    passages = steps.get("corpus.passages")
    if passages is None or not rows:
        return []
    table = find_rows(passages.folder, "id", [row["id"] for row in rows], _SHOWN)
    documents = {document["id"]: document for document in table.to_pylist()}
    return [row | documents[row["id"]] for row in rows if row["id"] in documents]


def _different_sources(rows: list[dict[str, Any]], count: int) -> list[dict[str, Any]]:
    first: dict[str, dict[str, Any]] = {}
    for row in rows:
        first.setdefault(row["source"], row)
    chosen = list(first.values())[:count]
    return chosen + [row for row in rows if row not in chosen][: count - len(chosen)]
