"""Selection: which of the passages that survived become the training data of an arm.

First everything is decided from ids, sizes and scores; then only the texts of the chosen are read and written in
seeded order. They are dealt into buckets of consecutive order on the way, so memory holds one bucket, not the arm.
"""

import json
import shutil
from collections import Counter
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from hornbook.core.documents import DOCUMENTS, read_table, seeded_order, shards, write_table
from hornbook.core.errors import HornbookError
from hornbook.core.progress import Progress
from hornbook.curation.config_selection import ArmConfig, Score
from hornbook.curation.verdicts import kept, make_verdicts, not_dropped, tally, text_bytes

_SHARD_BYTES = 128_000_000  # UTF-8 bytes of text in one shard of the result
_OF_ALL = ("rules", "exact")  # verdicts of every passage, in the same shards as the documents
_SCORES = get_args(Score)


def select_step(inputs: dict[str, Path], out: Path, config: ArmConfig) -> dict[str, Any]:
    """Documents of the arm in seeded order, and in `verdicts/` why the others that survived are not in it.

    A passage survives when every verdict among the inputs (`rules`, `exact`, `leaks`, `near`; `held_out_files`
    for its file) lets it pass. HornbookError when nothing is selected, or no lesson although the arm takes them.
    """
    paths = shards(inputs["documents"])
    with Progress(f"selection: {config.name}", 2 * len(paths)) as bar:
        near = read_table(inputs["near"]) if "near" in inputs else None
        held_out = read_table(inputs["held_out_files"]) if "held_out_files" in inputs else None
        parts = []
        for path in paths:
            parts.append(_survivors(path, inputs, near, held_out))
            bar.advance()
        table = pa.concat_tables(parts)
        order = seeded_order(table["id"], config.seed)
        reasons = _decide(table, order, config)
        chosen = np.array([not reason for reason in reasons], bool)
        _complain(table, chosen, config)

        first = 0
        (out / "verdicts").mkdir(exist_ok=True)
        for path, part in zip(paths, parts, strict=True):
            part_reasons = reasons[first : first + len(part)]
            write_table(make_verdicts(part["id"], part_reasons), out / "verdicts" / path.name)
            first += len(part)
        selected = table.append_column("order", pa.array(order)).filter(pa.array(chosen))
        _write(paths, selected, out, bar)

    size = _numbers(table, "bytes")
    sources: Counter[str] = Counter()
    for source, amount in zip(selected["source"].to_pylist(), selected["bytes"].to_pylist(), strict=True):
        sources[source] += amount
    lessons = int(pc.sum(selected["synthetic"]).as_py() or 0)
    amounts = {"bytes_in": int(size.sum()), "bytes_out": int(size[chosen].sum()), "lessons": lessons}
    return tally(reasons) | amounts | {"source_bytes": dict(sorted(sources.items()))}


def _survivors(path: Path, inputs: dict[str, Path], near: pa.Table | None, held_out: pa.Table | None) -> pa.Table:
    """What selection needs to know of the survivors of a shard: id, source, synthetic, lesson, bytes, and scores."""
    table = pq.read_table(path, columns=["id", "parent", "source", "kind", "meta", "text"])
    mask = kept(table["id"], *(pq.read_table(inputs[name] / path.name) for name in _OF_ALL if name in inputs))
    if "leaks" in inputs:
        mask &= not_dropped(table["id"], pq.read_table(inputs["leaks"] / path.name))
    if near is not None:
        mask &= not_dropped(table["id"], near)
    if held_out is not None:
        mask &= not_dropped(table["parent"], held_out)
    columns: dict[str, Any] = {
        "id": table["id"],
        "source": table["source"],
        "synthetic": pc.equal(table["kind"], "synthetic"),
        "lesson": _lesson_kinds(table),
        "bytes": pa.array(text_bytes(table["text"])),
    }
    for name in _SCORES:
        columns[name] = pa.array(np.full(len(table), np.nan, np.float32))
    if "scores" in inputs:
        scores = pq.read_table(inputs["scores"] / path.name)
        row = pc.index_in(table["id"], value_set=scores["id"])
        for name in _SCORES:
            columns[name] = scores[name].take(row).cast(pa.float32())
    return pa.table(columns).filter(pa.array(mask))


def _lesson_kinds(table: pa.Table) -> pa.Array:
    """What kind of lesson a passage is, such as exercise; "" for found passages."""
    synthetic = pc.equal(table["kind"], "synthetic")
    kinds = [json.loads(meta).get("kind", "") for meta in table["meta"].filter(synthetic).to_pylist()]
    blank = pa.repeat("", len(table))
    return pc.replace_with_mask(blank, synthetic.combine_chunks(), pa.array(kinds, pa.string()))


def _decide(table: pa.Table, order: np.ndarray, config: ArmConfig) -> list[str]:
    """Why each survivor is not selected; "" when it is."""
    synthetic, size = table["synthetic"].to_numpy(), _numbers(table, "bytes")
    edu, self_contained = _numbers(table, "edu"), _numbers(table, "self")
    reasons = np.full(len(table), "", object)

    def drop(mask: np.ndarray, reason: str) -> None:
        reasons[mask & (reasons == "")] = reason

    if not config.lessons:
        drop(synthetic, "a lesson, which this arm does not take")
    elif config.lessons is not True:
        wanted = [pc.is_in(table[name], value_set=pa.array(config.lessons)) for name in ("lesson", "source")]
        drop(synthetic & ~pc.or_(*wanted).to_numpy(), "a lesson of a kind or source that this arm does not take")
    if config.filter == "none":
        drop(~synthetic, "no lesson, and this arm takes nothing else")
    if config.min_lesson_edu is not None:
        drop(synthetic & ~(edu >= config.min_lesson_edu), f"edu of a lesson below {config.min_lesson_edu:g}")
    if config.min_edu is not None:
        drop(~synthetic & ~(edu >= config.min_edu), f"edu below {config.min_edu:g}")
    if config.min_self is not None:
        drop(~synthetic & ~(self_contained >= config.min_self), f"self below {config.min_self:g}")
    if config.top_share is not None:
        rank = sum(weight * _numbers(table, score).astype(np.float64) for score, weight in config.rank_by.items())
        best = np.lexsort((order, -np.nan_to_num(rank, nan=-np.inf)))
        rows = best[~synthetic[best]]
        inside = rows[_within(size[rows], config.top_share * size[rows].sum())]
        by = "edu" if set(config.rank_by) == {"edu"} else "rank by " + ", ".join(config.rank_by)
        drop(_outside(inside, ~synthetic), f"{by} not in the top {100 * config.top_share:g} % of the bytes")
    rows = np.argsort(order, kind="stable")
    rows = rows[~synthetic[rows] & (reasons[rows] == "")]
    drop(_outside(rows[_within(size[rows], config.max_bytes)], ~synthetic), "not drawn")
    return reasons.tolist()


def _within(size: np.ndarray, limit: float) -> np.ndarray:
    """Mask of the longest beginning whose sum is within the limit; the first is always in it."""
    mask = np.cumsum(size) <= limit
    mask[:1] = True
    return mask


def _outside(rows: np.ndarray, among: np.ndarray) -> np.ndarray:
    mask = among.copy()
    mask[rows] = False
    return mask


def _numbers(table: pa.Table, name: str) -> np.ndarray:
    return table[name].to_numpy()


def _complain(table: pa.Table, chosen: np.ndarray, config: ArmConfig) -> None:
    """Nothing selected, or no lesson where lessons are wanted, is an error: the arm would not be what it says."""
    synthetic, edu = table["synthetic"].to_numpy(), _numbers(table, "edu")
    if config.filter != "none" and not (chosen & ~synthetic).any():
        found = ~synthetic
        if not found.any():
            problem = f"The arm {config.name!r} has nothing to select from: no passage survived the steps before."
            raise HornbookError(problem, "Add sources to the recipe, or loosen its rules.")
        best = f"the best of {int(found.sum())} passages has edu {np.nanmax(edu[found], initial=0):.2f}"
        limits = [f"{name} {value:g}" for name in ("min_edu", "min_self") if (value := getattr(config, name))]
        raise HornbookError(
            f"The arm {config.name!r} selects no passage with {' and '.join(limits)}: {best}.",
            "Lower min_edu or min_self of this arm, or use top_share.",
        )
    if config.lessons and not (chosen & synthetic).any():
        raise HornbookError(
            f"The arm {config.name!r} takes lessons, but of {int(synthetic.sum())} that survived none is selected"
            + (f" (there are: {', '.join(kinds)})." if (kinds := _kinds(table)) else "."),
            "Add a source of lessons such as builtin:python-textbook, lower min_lesson_edu, or correct lessons.",
        )


def _kinds(table: pa.Table) -> list[str]:
    """Kinds and sources of the lessons."""
    lessons = table.filter(table["synthetic"])
    return sorted({kind for name in ("lesson", "source") for kind in pc.unique(lessons[name]).to_pylist() if kind})


def _write(paths: list[Path], selected: pa.Table, out: Path, bar: Progress) -> None:
    """Write the selected documents in seeded order as `selected-0000.parquet` ..."""
    selected = selected.sort_by([("order", "ascending"), ("id", "ascending")])
    size = _numbers(selected, "bytes")
    bucket = (np.cumsum(size) - size) // _SHARD_BYTES
    pieces = out / "pieces"
    shutil.rmtree(pieces, ignore_errors=True)
    pieces.mkdir()
    for path in paths:
        table = pq.read_table(path, columns=["id"])
        row = pc.index_in(table["id"], value_set=selected["id"])
        chosen = row.is_valid()
        if pc.any(chosen).as_py():
            rank = row.drop_null().to_numpy()
            table = pq.read_table(path).filter(chosen).append_column("rank", pa.array(rank))
            for number in np.unique(bucket[rank]):
                (pieces / f"{number}").mkdir(exist_ok=True)
                write_table(table.filter(pa.array(bucket[rank] == number)), pieces / f"{number}" / path.name)
        bar.advance()
    for number in range(int(bucket[-1]) + 1):
        if (pieces / f"{number}").exists():
            table = read_table(pieces / f"{number}").sort_by("rank").select(DOCUMENTS.names).cast(DOCUMENTS)
            write_table(table, out / f"selected-{number:04}.parquet")
    shutil.rmtree(pieces)
