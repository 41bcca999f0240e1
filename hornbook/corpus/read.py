"""Reading sources: files and records become documents, one Parquet shard or more per group of files."""

import json
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow as pa

from hornbook.core.documents import DOCUMENTS, document_id, text_hash, write_table
from hornbook.core.engine import Counters, add_counters, map_groups
from hornbook.core.errors import HornbookError, explain
from hornbook.corpus.config import SourcesConfig
from hornbook.corpus.decoding import clean
from hornbook.corpus.listing import File, Listing, Reader, Record, Skipped, groups
from hornbook.corpus.sources import list_sources

_NAMED = 5  # skipped files and records that are named, of each reason and source


def read_step(inputs: dict[str, Path], out: Path, config: SourcesConfig) -> Counters:
    """Read every source of the recipe into documents of whole files and records.

    The lessons of a source `synthesis: NAME` are in the input `synthesis.NAME`.
    Shards are named `<running number>-<source>`. What cannot be read as text is counted by reason, and some of it is
    named. Raises HornbookError for a missing distribution or folder and for a source in which nothing can be
    read.
    """
    listings = list_sources(config, inputs)
    work: dict[str, _Group] = {}
    weights: dict[str, float] = {}
    for listing in listings:
        for files in groups(listing, config.shard_bytes):
            slug = re.sub(r"[^a-z0-9]+", "-", listing.source.lower()).strip("-")
            name = f"{len(work):05d}-{slug}"
            work[name] = _Group(name, listing.source, listing.license, listing.read, listing.clean, files)
            weights[name] = sum(file.size for file in files)
    function = partial(read_group, out=out, shard_bytes=config.shard_bytes)
    counters = add_counters(map_groups(function, work, out, "reading files", weights))
    for listing in listings:
        if not counters["sources"][listing.source]["rows_out"]:
            reasons = ", ".join(f"{n} {reason}" for reason, n in _skipped(counters, listing).items())
            raise HornbookError(f"Nothing in the source {listing.source} can be read ({reasons}).", listing.remedy)
        counters = add_counters([counters, {"dropped": dict(listing.skipped), "rows_in": listing.skipped.total()}])
        counters["sources"][listing.source]["version"] = listing.version
    counters["kept"] = counters["rows_out"]
    return counters


@dataclass(frozen=True)
class _Group:
    """Files that are read together, and what their documents share."""

    name: str
    source: str
    license: str
    read: Reader
    clean: bool
    files: Sequence[File]


def read_group(group: _Group, out: Path, shard_bytes: int) -> tuple[pa.Table, Counters]:
    """Read one group of files into a table of documents.

    A group may hold far more than a shard: a compressed file of many gigabytes. Then full shards are written as
    `<group>-<running number>` into `out`, where a repeated group writes them again, and the last table is returned.
    """
    shard, written = _Shard(group), 0
    dropped: Counter[str] = Counter()
    repaired: Counter[str] = Counter()
    named: dict[str, list[str]] = {}
    rows_out = bytes_in = bytes_out = 0

    def skip(origin: str, reason: str) -> None:
        dropped[reason] += 1
        if len(names := named.setdefault(reason, [])) < _NAMED:
            names.append(origin)

    for file in group.files:
        before = rows_out
        for item in _items(group, file):
            if isinstance(item, Skipped):
                skip(item.origin, item.reason)
                continue
            text, mended = clean(item.text) if group.clean else (item.text, ())
            if not text.strip():
                skip(item.origin, "empty")
                continue
            repaired.update({*item.repaired, *mended})
            size = len(text) if text.isascii() else len(text.encode())
            if shard.rows and shard.size + size > shard_bytes:
                written += 1
                shard = _publish(shard, out / f"{group.name}-{written:05d}.parquet")
            shard.add(item, text, size)
            rows_out += 1
            bytes_out += size
        bytes_in += file.size if rows_out > before else 0
    about = {"rows_out": rows_out, "bytes_out": bytes_out, "dropped": dict(dropped), "repaired": dict(repaired)}
    counters = {
        "rows_in": rows_out + dropped.total(),
        "bytes_in": bytes_in,
        **about,
        "sources": {group.source: {**about, "skipped": named}},
    }
    return shard.table(), counters


def _items(group: _Group, file: File) -> Iterator[Record | Skipped]:
    try:
        yield from group.read(file)
    except OSError:
        yield Skipped(file.origin, "unreadable")


class _Shard:
    """Documents of one group until they fill a shard."""

    def __init__(self, group: _Group) -> None:
        self.group = group
        self.rows: list[tuple[Any, ...]] = []
        self.size = 0  # bytes of text

    def add(self, record: Record, text: str, size: int) -> None:
        meta = json.dumps(record.meta, default=str)
        self.rows.append((record.origin, text, record.license or self.group.license, record.kind, meta))
        self.size += size

    def table(self) -> pa.Table:
        source = self.group.source
        origins, texts, licenses, kinds, metas = ([row[i] for row in self.rows] for i in range(5))
        return pa.Table.from_arrays(
            [
                pa.array([document_id(source, origin, 0) for origin in origins], pa.string()),
                pa.array(texts, pa.string()),
                pa.array([text_hash(text) for text in texts], pa.string()),
                pa.repeat("", len(texts)),
                pa.repeat(source, len(texts)),
                pa.array(origins, pa.string()),
                pa.repeat(pa.scalar(0, pa.int32()), len(texts)),
                pa.array(licenses, pa.string()),
                pa.array(kinds, pa.string()),
                pa.array(metas, pa.string()),
            ],
            schema=DOCUMENTS,
        )


def _publish(shard: _Shard, path: Path) -> _Shard:
    """Write a full shard; returns the next one."""
    try:
        write_table(shard.table(), path)
    except OSError as error:
        raise explain(error, path.parent) from error
    return _Shard(shard.group)


def _skipped(counters: Counters, listing: Listing) -> Counter[str]:
    return Counter(counters["sources"][listing.source]["dropped"]) + listing.skipped
