"""Labels: passages that a teacher has read and judged by a rubric. Built in, or a JSONL file of your own."""

import gzip
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from hornbook.core.errors import HornbookError

RANGES = {"edu": (0.0, 5.0), "self": (0.0, 3.0), "level": (1.0, 5.0)}  # see labels/RUBRIC.md
BUILT_IN = "builtin:python-edu"
MIN_LABELS, MAX_LABELS = 100, 10_000  # below: noise; above: the solver's square matrix takes gigabytes
LABELS = "labels.jsonl"  # in the folder of the step that writes labels
_FOLDER = Path(__file__).parent / "labels"


@dataclass(frozen=True)
class Labels:
    """Passages and what a teacher says of them."""

    texts: list[str]
    values: np.ndarray  # [passages, 3] float64: edu, self, level
    packages: list[str]  # "" where the label does not name one
    files: list[str]  # package and path: what must not be split between training and test


def labels_file(name: str = BUILT_IN) -> Path:
    """The file behind `builtin:python-edu`, behind a path, or in the folder of the step that asked a teacher."""
    if name == BUILT_IN:
        return _FOLDER / "python-edu-train.jsonl.gz"
    path = Path(name) / LABELS if Path(name).is_dir() else Path(name)
    if name.startswith("builtin:") or not path.is_file():
        raise HornbookError(
            f"No label file {name!r}.", f"Give {BUILT_IN!r} or the path of a JSONL file (docs/annotation.md)."
        )
    return path


def read_labels(name: str | Path = BUILT_IN) -> Labels:
    """Read labels: JSON lines with `text`, `edu`, `self`, `level`, and if known `source` and `path`.

    Raises HornbookError, naming the line, for anything that is not such a label.
    """
    path = labels_file(str(name))
    texts, values, packages, files = [], [], [], []
    for number, row in _rows(path):
        texts.append(_text(row, path, number))
        values.append([_value(row, target, path, number) for target in RANGES])
        packages.append(str(row.get("source") or ""))
        files.append(f"{packages[-1]}/{row.get('path') or f'line {number}'}")
    if not MIN_LABELS <= len(texts) <= MAX_LABELS:
        raise HornbookError(
            f"{path} has {len(texts)} labels.",
            f"Give between {MIN_LABELS} and {MAX_LABELS:,}; some 1,000 do well.",
        )
    return Labels(texts, np.array(values), packages, files)


def _rows(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    opener = gzip.open if path.suffix == ".gz" else open
    try:
        with opener(path, "rt", encoding="utf-8") as file:
            for number, line in enumerate(file, 1):
                if line.strip():
                    yield number, json.loads(line)
    except json.JSONDecodeError as error:
        problem = f"{path}, line {number}: not JSON ({error})."
        raise HornbookError(problem, "Write one JSON object per line.") from error
    except (OSError, UnicodeDecodeError, EOFError) as error:
        raise HornbookError(f"Cannot read labels from {path}: {error}.", "Give a UTF-8 JSONL file.") from error


def _text(row: Any, path: Path, number: int) -> str:
    if not isinstance(row, dict) or not isinstance(row.get("text"), str):
        problem = f"{path}, line {number}: no passage in `text`."
        raise HornbookError(problem, "Each line needs text, edu, self, level.")
    return row["text"]


def _value(row: dict[str, Any], target: str, path: Path, number: int) -> float:
    low, high = RANGES[target]
    value = row.get(target)
    if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= high:
        raise HornbookError(
            f"{path}, line {number}: `{target}` is {value!r}.",
            f"Give a number from {low:g} to {high:g}; see the rubric in docs/annotation.md.",
        )
    return float(value)
