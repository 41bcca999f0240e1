"""`hornbook why`: the life of a document, from where it was read to the arms that train on it."""

import json
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from hornbook.core.documents import find_rows, shards
from hornbook.core.errors import HornbookError
from hornbook.report.results import Finished, Steps, run_steps

SHORTEST_PREFIX = 6
_ORIGINALS = ("corpus.files", "corpus.passages")
_PREVIEW_LINES, _CHILDREN, _CLUSTER = 14, 60, 8
_SELECT = "curation.select."


def why(run: Path, id: str) -> None:
    """Print the life of a document; see `life`."""
    print(life(run, id))


def life(run: Path, id: str) -> str:
    """The life of a file or passage, dropped or not, as text for a terminal.

    `id` may be the beginning of an id, if no other begins so. Raises HornbookError for ids that are not known.
    """
    steps = run_steps(run)
    name, document = _find(steps, id.strip().lower())
    lines = [*_about(document), ""]
    if name == "corpus.files":
        lines += _fates(steps, document["id"]) + _children(steps, document["id"])
    else:
        lines += _parent(steps, document["parent"]) + _fates(steps, document["id"]) + _scores(steps, document["id"])
        lines += _cluster(steps, document["id"]) + _arms(steps, document["id"])
    return "\n".join([*lines, "", *_preview(document["text"])])


def _find(steps: Steps, prefix: str) -> tuple[str, dict[str, Any]]:
    """The step that made a document, and the document. A file and its passages have different ids."""
    if not re.fullmatch(f"[0-9a-f]{{{SHORTEST_PREFIX},32}}", prefix):
        raise HornbookError(
            f"{prefix!r} is no id: ids have 32 digits from 0-9 and a-f.",
            f"Give the first {SHORTEST_PREFIX} or more; report.html and the tables in the run's steps show them.",
        )
    found: dict[str, str] = {}
    folders = [name for name in _ORIGINALS if name in steps]
    for name in folders:
        for path in shards(steps[name].folder):
            ids = pq.read_table(path, columns=["id"])["id"]
            for match in ids.filter(pc.starts_with(ids, prefix)).to_pylist():
                found.setdefault(match, name)
    if not found:
        raise HornbookError(
            f"No file or passage of this run has the id {prefix}.",
            "Look it up in report.html." if folders else "Nothing has been read yet; run the recipe first.",
        )
    if len(found) > 1:
        some = ", ".join(sorted(found)[:4])
        problem = f"{len(found)} documents have an id that begins with {prefix}: {some}."
        raise HornbookError(problem, "Give more digits.")
    [(id, name)] = found.items()
    return name, _row(steps[name].folder, id)


def _about(document: dict[str, Any]) -> list[str]:
    text, meta = document["text"], json.loads(document["meta"] or "{}")
    size = f"{text.count(chr(10)) + 1} lines, {len(text.encode()):,} bytes"
    what = "passage" if document["parent"] else "file"
    short = {key: value for key, value in meta.items() if isinstance(value, str | int | float) and key != "tests"}
    details = ", ".join(f"{key} {value}" for key, value in short.items())
    return [
        f"{what} {document['id']}",
        f"  from      {document['source']}, {document['origin']}"
        + (f", number {document['ordinal']}" if document["parent"] else ""),
        f"  is        {document['kind']}, {size}, license {document['license'] or 'unknown'}",
        *([f"  meta      {details}"] if details else []),
    ]


def _parent(steps: Steps, parent: str) -> list[str]:
    """The file of a passage and what was said about it."""
    if not parent or "corpus.files" not in steps:
        return []
    return [f"  made from file {parent}", *(f"  {line}" for line in _fates(steps, parent))]


def _fates(steps: Steps, id: str) -> list[str]:
    """One line for every verdict on a document, in the order of the steps; those of the arms are apart."""
    lines = []
    for name, step in steps.items():
        if not name.startswith(_SELECT) and _has(step.folder, "keep"):
            lines += [_fate(name, row) for row in _rows(step.folder, id)]
    return lines


def _fate(name: str, row: dict[str, Any]) -> str:
    return f"  {'kept   ' if row['keep'] else 'DROPPED'}   {name}" + (f": {row['reason']}" if row["reason"] else "")


def _scores(steps: Steps, id: str) -> list[str]:
    lines = []
    for name, step in steps.items():
        if _has(step.folder, "edu"):
            for row in _rows(step.folder, id):
                values = ", ".join(f"{key} {value:.2f}" for key, value in row.items() if key != "id")
                lines.append(f"  scored    {name}: {values}")
    return lines


def _cluster(steps: Steps, id: str) -> list[str]:
    """The near duplicates of a passage."""
    lines = []
    for name, step in steps.items():
        if _has(step.folder, "cluster"):
            for row in _rows(step.folder, id):
                members = find_rows(step.folder, "cluster", [row["cluster"]], ["id"])["id"].to_pylist()
                others = [member for member in members if member != id]
                more = f" and {len(others) - _CLUSTER} more" if len(others) > _CLUSTER else ""
                lines.append(f"  cluster   {name}: near duplicate of {', '.join(others[:_CLUSTER])}{more}")
    return lines


def _arms(steps: Steps, id: str) -> list[str]:
    """Whether each arm took the passage, and why not."""
    lines = []
    for name, step in steps.items():
        if name.startswith(_SELECT):
            arm = name.removeprefix(_SELECT)
            taken = bool(_rows(step.folder, id, ["id"]))
            reason = "".join(row["reason"] for row in _rows(step.folder / "verdicts", id))
            reason = reason or "dropped before, or of a kind it does not take"
            lines.append(f"  {'selected' if taken else 'not in  '}  arm {arm}" + ("" if taken else f": {reason}"))
    return ["", *lines] if lines else []


def _children(steps: Steps, id: str) -> list[str]:
    """The passages of a file, each with the step that dropped it, its score and the arms that took it."""
    if "corpus.passages" not in steps:
        return []
    table = find_rows(steps["corpus.passages"].folder, "parent", [id], ["id", "ordinal"])
    children = [row["id"] for row in sorted(table.to_pylist(), key=lambda row: row["ordinal"])]
    if not children:
        return ["", "No passage was made from it."]
    fates = _first_drops(steps, children)
    edu = {row["id"]: row["edu"] for step in _with(steps, "edu") for row in _of(step.folder, children, ["id", "edu"])}
    arms: dict[str, list[str]] = {child: [] for child in children}
    for name, step in steps.items():
        if name.startswith(_SELECT):
            for row in _of(step.folder, children, ["id"]):
                arms[row["id"]].append(name.removeprefix(_SELECT))
    lines = ["", f"{len(children)} passages were made from it:"]
    for child in children[:_CHILDREN]:
        parts = [f"edu {edu[child]:.2f}"] if child in edu else []
        parts += [fates[child]] if child in fates else []
        parts += [f"in {', '.join(arms[child])}"] if arms[child] else ["in no arm"]
        lines.append(f"  {child}  {'; '.join(parts)}")
    return lines + ([f"  and {len(children) - _CHILDREN} more"] if len(children) > _CHILDREN else [])


def _first_drops(steps: Steps, ids: list[str]) -> dict[str, str]:
    """The first verdict against each of some passages, where there is one."""
    found: dict[str, str] = {}
    for step in _with(steps, "keep"):
        for row in _of(step.folder, ids):
            if not row["keep"]:
                found.setdefault(row["id"], f"{step.name}: {row['reason']}")
    return found


def _preview(text: str) -> list[str]:
    lines = ["".join(c if c.isprintable() or c == "\t" else "�" for c in line) for line in text.split("\n")]
    more = [f"  | ... {len(lines) - _PREVIEW_LINES} more lines"] if len(lines) > _PREVIEW_LINES else []
    return [f"  | {line[:160]}".rstrip() for line in lines[:_PREVIEW_LINES]] + more


def _with(steps: Steps, column: str) -> Iterable[Finished]:
    return (step for name, step in steps.items() if not name.startswith(_SELECT) and _has(step.folder, column))


def _has(folder: Path, column: str) -> bool:
    """Whether a folder's tables have a column: how verdicts, scores and clusters are told apart."""
    paths = shards(folder)
    names = pq.read_schema(paths[0]).names if paths else []
    return column in names and "text" not in names


def _row(folder: Path, id: str) -> dict[str, Any]:
    """One document. Its shard is found first, because texts are large."""
    for path in shards(folder):
        place = pc.index(pq.read_table(path, columns=["id"])["id"], pa.scalar(id)).as_py()
        if place >= 0:
            return pq.read_table(path).slice(place, 1).to_pylist()[0]
    raise HornbookError(f"The document {id} has gone from {folder}.", "Run the recipe again.")


def _rows(folder: Path, id: str, columns: list[str] | None = None) -> list[dict[str, Any]]:
    return _of(folder, [id], columns)


def _of(folder: Path, ids: list[str], columns: list[str] | None = None) -> list[dict[str, Any]]:
    return find_rows(folder, "id", ids, columns).to_pylist() if shards(folder) else []
