"""The passages that were kept, with their scores, as JSON lines."""

import json
from pathlib import Path
from typing import Any

import pyarrow.compute as pc
import pyarrow.parquet as pq

from hornbook.core.documents import read_table, shards
from hornbook.core.progress import Progress
from hornbook.curation.classifier import TARGETS

KEPT = "kept.jsonl"
_COLUMNS = ["id", "text", "source", "origin", "kind", "license"]


def kept_passages_step(inputs: dict[str, Path], out: Path, config: None = None) -> dict[str, Any]:
    """Write kept.jsonl: the documents of `selected` in their order, each with its row of `scores`."""
    scores, rows = read_table(inputs["scores"], ["id", *TARGETS]), 0
    ids = scores["id"].combine_chunks()
    paths = shards(inputs["selected"])
    with open(out / KEPT, "w", encoding="utf-8") as file, Progress("kept passages", len(paths)) as bar:
        for path in paths:
            for batch in pq.ParquetFile(path).iter_batches(columns=_COLUMNS):
                found = scores.take(pc.index_in(batch["id"], value_set=ids)).select(TARGETS).to_pylist()
                for passage, score in zip(batch.to_pylist(), found, strict=True):
                    passage |= {name: round(value, 4) for name, value in score.items()}
                    file.write(json.dumps(passage, ensure_ascii=False) + "\n")
                rows += len(found)
            bar.advance()
    return {"rows_out": rows}
