"""Exact duplicates: of all passages with equal text, one stays."""

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from hornbook.core.documents import count_rows, seeded_order, shards, write_table
from hornbook.core.engine import add_counters, exchange
from hornbook.core.progress import Progress
from hornbook.curation.config_duplicates import ExactDuplicatesConfig
from hornbook.curation.verdicts import kept, make_verdicts, tally, text_bytes

REASON = "exact duplicate"
_ROWS_AT_ONCE = 4_000_000  # keys in memory: some 400 MB


def exact_duplicates_step(inputs: dict[str, Path], out: Path, config: ExactDuplicatesConfig) -> dict[str, Any]:
    """Verdicts of all passages of `documents`, shard by shard. Of equal texts, a copy that `rules` keeps stays.

    Equal texts are equal NFC texts with `\\n` line ends (see `documents.text_hash`).
    """
    paths = shards(inputs["documents"])
    keys = out / "keys"
    keys.mkdir(exist_ok=True)
    with Progress("exact duplicates", 2 * len(paths)) as bar:
        for path in paths:
            table = pq.read_table(path, columns=["id", "text_hash"])
            rules = pq.read_table(inputs["rules"] / path.name, columns=["id", "keep"])
            write_table(_keys(table, kept(table["id"], rules), config.seed), keys / path.name)
            bar.advance()
        copies = _copies(keys) if config.enabled else pa.chunked_array([], pa.string())
        parts = []
        for path in paths:
            table = pq.read_table(path, columns=["id", "text"])
            is_copy = pc.is_in(table["id"], value_set=copies).to_pylist()
            reasons = [REASON if copy else "" for copy in is_copy]
            write_table(make_verdicts(table["id"], reasons), out / path.name)
            size = text_bytes(table["text"])
            stays = np.array([not reason for reason in reasons], bool)
            parts.append(tally(reasons) | {"bytes_in": int(size.sum()), "bytes_out": int(size[stays].sum())})
            bar.advance()
    shutil.rmtree(keys)
    return add_counters(parts)


def _keys(table: pa.Table, keep: np.ndarray, seed: int) -> pa.Table:
    """What decides between copies, in the order of weight: `exchange` sorts by these columns."""
    order = pa.array(seeded_order(table["id"], seed))
    columns = {"text_hash": table["text_hash"], "failed": pa.array((~keep).astype(np.int8)), "order": order}
    return pa.table({**columns, "id": table["id"]})


def _copies(keys: Path) -> pa.ChunkedArray:
    """Ids of all passages but the first of every text."""
    found = [pa.chunked_array([], pa.string())]
    partitions = 1 + count_rows(keys) // _ROWS_AT_ONCE
    for table in exchange(keys, "text_hash", ["failed", "order", "id"], partitions):
        hashes = table["text_hash"].combine_chunks()
        if len(hashes) > 1:
            found.append(table["id"][1:].filter(pc.equal(hashes[1:], hashes[:-1])))
    return pa.chunked_array([chunk.cast(pa.string()) for array in found for chunk in array.chunks], pa.string())
