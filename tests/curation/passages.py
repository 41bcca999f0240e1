"""Folders of passages and verdicts for the tests of duplicates, leaks and selection."""

import pyarrow as pa

from hornbook.core.documents import DOCUMENTS, document_id, text_hash, write_table
from hornbook.curation.verdicts import make_verdicts


def passage(number, text, kind="code", parent="f", source="s"):
    return {
        "id": document_id(source, str(number), 0),
        "text": text,
        "text_hash": text_hash(text),
        "parent": parent,
        "source": source,
        "origin": str(number),
        "ordinal": 0,
        "license": "",
        "kind": kind,
        "meta": "{}",
    }


def write_passages(folder, rows, shards=2):
    """Deal rows over shards; returns the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    for shard in range(shards):
        write_table(pa.Table.from_pylist(rows[shard::shards], schema=DOCUMENTS), folder / f"p-{shard:04}.parquet")
    return folder


def write_verdicts(folder, rows, dropped=(), shards=2, reason="no good"):
    """Verdicts shard by shard of the same rows; `dropped` holds ids."""
    folder.mkdir(parents=True, exist_ok=True)
    for shard in range(shards):
        ids = [row["id"] for row in rows[shard::shards]]
        table = make_verdicts(ids, [reason if i in dropped else "" for i in ids])
        write_table(table, folder / f"p-{shard:04}.parquet")
    return folder
