"""Steps that train the classifier, validate it and score passages with it, and scoring of any JSONL file."""

import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, TextIO

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from hornbook.core.documents import atomic_write
from hornbook.core.engine import Counters, add_counters, map_shards
from hornbook.core.errors import HornbookError
from hornbook.curation.annotation import read_labels
from hornbook.curation.classifier import TARGETS, load, save, train
from hornbook.curation.classifier_report import make_report
from hornbook.curation.config_classifier import ClassifierConfig
from hornbook.curation.features import batches, extract

CODE = "code"  # share of the lines that are code, not comment, docstring or blank: counted, not predicted
SCORES = pa.schema([("id", pa.string()), *((name, pa.float32()) for name in (*TARGETS, CODE))])
_BATCH = 1000  # lines of JSONL


def train_step(inputs: dict[str, Path], out: Path, config: ClassifierConfig) -> Counters:
    """Train on `labels` (a JSONL file); write classifier.npz and classifier.json."""
    import scipy.linalg  # noqa: F401  loaded here, because the limit below reaches only what is loaded
    from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

    labels = read_labels(inputs["labels"])
    with threadpool_limits(1):  # the same sums in the same order on every number of cores
        save(train(extract(labels.texts), labels.values, config.ridge), out)
    return {"labels": len(labels.texts)}


def validate_step(inputs: dict[str, Path], out: Path, config: ClassifierConfig) -> Counters:
    """Measure, by cross-validation on `labels`, what `train_step` makes of them; write report.json."""
    import scipy.linalg  # noqa: F401  loaded here, because the limit below reaches only what is loaded
    from threadpoolctl import threadpool_limits

    labels = read_labels(inputs["labels"])
    with threadpool_limits(1):
        report = make_report(labels, extract(labels.texts), config)
    atomic_write(out / "report.json", json.dumps(report))
    return {"labels": len(labels.texts), "metrics": report["cross_validation"]["metrics"]}


def score_step(inputs: dict[str, Path], out: Path, config: None = None) -> Counters:
    """Scores of the passages that both verdicts `rules` and `exact` keep: id, edu, self, level, code (float32).

    `documents`, `rules` and `exact` are folders whose shards line up row by row; `classifier` is the folder
    that `train_step` wrote.
    """
    load(inputs["classifier"])  # fail here, with a clear error, rather than in a worker
    beside = {"rules": inputs["rules"], "exact": inputs["exact"]}
    function = partial(_score_shard, inputs["classifier"])
    parts = map_shards(function, inputs["documents"], out, "scores", beside, ["id", "text"])
    counters = add_counters(parts)
    if not counters["rows_out"]:
        raise HornbookError(
            "No passage is left to score.", "Look at the verdicts of the rules; loosen their thresholds."
        )
    return counters


def _score_shard(classifier: Path, table: pa.Table, *, rules: pa.Table, exact: pa.Table) -> tuple[pa.Table, Counters]:
    for verdicts in (rules, exact):
        if not verdicts["id"].equals(table["id"]):
            raise HornbookError(
                "Verdicts do not line up with their documents.", "Delete the run's steps and run the recipe again."
            )
    kept = table.filter(pc.and_(rules["keep"], exact["keep"]))
    model, rows, code = load(classifier), [], []
    for features in batches(kept["text"].to_pylist()):
        rows.append(model.predict_features(features))
        code.append(features.column("code share"))
    columns = [*np.concatenate(rows).T, np.concatenate(code)] if rows else [[]] * (len(SCORES) - 1)
    size = pc.sum(pc.binary_length(kept["text"])).as_py() or 0
    counters = {"rows_in": len(table), "rows_out": len(kept), "bytes_scored": size}
    return pa.table([kept["id"], *(pa.array(column, pa.float32()) for column in columns)], schema=SCORES), counters


def score_file(input_jsonl: Path, classifier_folder: Path, output: Path | None = None) -> int:
    """Score JSON lines with `id` and `text`; write JSON lines with id, edu, self, level. Returns their number.

    `output` appears when it is whole; without it the lines go to standard output. Raises HornbookError, naming
    the line, for anything that is not a passage, and when the classifier is missing.
    """
    classifier = load(Path(classifier_folder))
    number = 0
    with _writer(output) as file:
        for batch in _batches(Path(input_jsonl)):
            scores = classifier.predict([text for _, text in batch])
            for row, (name, _) in enumerate(batch):
                line = {"id": name, **{target: _short(scores[target][row]) for target in TARGETS}}
                file.write(json.dumps(line, ensure_ascii=False) + "\n")
            number += len(batch)
        if not number:
            raise HornbookError(f"{input_jsonl} holds no passage.", "Give JSON lines with `id` and `text`.")
    return number


def _short(score: Any) -> float:
    return round(float(score), 4)  # 2.3457, not 2.345700025558472


def _batches(path: Path) -> Iterator[list[tuple[Any, str]]]:
    batch: list[tuple[Any, str]] = []
    number = 0
    try:
        with open(path, encoding="utf-8") as file:
            for number, line in enumerate(file, 1):
                if line.strip():
                    batch.append(_passage(path, number, line))
                if len(batch) == _BATCH:
                    yield batch
                    batch = []
    except UnicodeDecodeError as error:
        raise HornbookError(f"{path}, after line {number}: not UTF-8 ({error}).", "Write UTF-8.") from error
    except OSError as error:
        raise HornbookError(f"Cannot read {path}: {error.strerror}.", "Give a JSONL file.") from error
    if batch:
        yield batch


def _passage(path: Path, number: int, line: str) -> tuple[Any, str]:
    try:
        row = json.loads(line)
    except ValueError as error:
        problem = f"{path}, line {number}: not JSON ({error})."
        raise HornbookError(problem, "Write one JSON object per line.") from error
    if not isinstance(row, dict) or "id" not in row or not isinstance(row.get("text"), str):
        problem = f"{path}, line {number}: no `id` and `text`."
        raise HornbookError(problem, "Each line needs an `id` and a passage as a string in `text`.")
    return row["id"], row["text"]


@contextmanager
def _writer(output: Path | None) -> Iterator[TextIO]:
    if output is None:
        yield sys.stdout
        return
    output = Path(output)
    temporary = output.with_name(f".{output.name}.tmp")
    try:
        with open(temporary, "w", encoding="utf-8") as file:
            yield file
        os.replace(temporary, output)
    except OSError as error:
        raise HornbookError(f"Cannot write {output}: {error.strerror}.", "Give another output file.") from error
    finally:
        temporary.unlink(missing_ok=True)
