"""Parquet: read row group by row group, a few rows at a time; large files can be read in parts."""

from collections.abc import Iterator, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from hornbook.corpus.jsonl import Row
from hornbook.corpus.listing import File
from hornbook.corpus.places import open_bytes

_BATCH_BYTES, _BATCH_ROWS = 4_000_000, 1024
_UNREADABLE = (OSError, pa.ArrowException)


def rows(file: File, columns: Sequence[str], limit: int) -> Iterator[Row]:
    """The rows of a file or of some of its row groups. A damaged row group is told and passed over."""
    number = file.before
    try:
        with open_bytes(file.path) as source:
            table = pq.ParquetFile(source, pre_buffer=False)
            known = [name for name in columns if name in table.schema_arrow.names]
            for group in range(*(file.span or (0, table.num_row_groups))):
                meta = table.metadata.row_group(group)
                size = _BATCH_BYTES * meta.num_rows // max(meta.total_byte_size, 1)
                size = min(max(size, 1), _BATCH_ROWS)
                done = 0
                try:
                    for batch in table.iter_batches(size, row_groups=[group], columns=known, use_threads=False):
                        values, repaired = _values(batch)
                        for row in values:
                            done += 1
                            yield number + done, row, repaired
                except _UNREADABLE:
                    yield number + done + 1, "row group damaged", ()
                number += meta.num_rows
    except _UNREADABLE:
        yield number + 1, "file damaged or cut off", ()


def _values(batch: pa.RecordBatch) -> tuple[list[dict[str, Any]], tuple[str, ...]]:
    try:
        return batch.to_pylist(), ()
    except UnicodeDecodeError:  # a writer put other bytes into a column of strings
        columns = {}
        for name, column in zip(batch.schema.names, batch.columns, strict=True):
            if pa.types.is_string(column.type) or pa.types.is_large_string(column.type):
                raw = column.cast(pa.large_binary()).to_pylist()
                columns[name] = [value if value is None else value.decode("utf-8", "replace") for value in raw]
            else:
                columns[name] = column.to_pylist()
        return [dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)], (
            "encoding",
        )


def sample(file: File, limit: int) -> dict[str, Any]:
    """The columns of a file; those of strings have an empty one as their value."""
    try:
        with open_bytes(file.path) as source:
            schema = pq.ParquetFile(source).schema_arrow
    except _UNREADABLE:
        return {}
    strings = (pa.string(), pa.large_string(), pa.string_view())
    types = {field.name: field.type for field in schema}
    types |= {name: kind.value_type for name, kind in types.items() if pa.types.is_dictionary(kind)}
    return {name: "" if kind in strings else None for name, kind in types.items()}


def split(file: File, about: int) -> list[File]:
    """Runs of row groups of about so many bytes before compression."""
    try:
        with open_bytes(file.path) as source:
            meta = pq.ParquetFile(source).metadata
    except _UNREADABLE:
        return [file]
    parts: list[File] = []
    start = size = before = count = 0
    for group in range(meta.num_row_groups):
        here = meta.row_group(group)
        if size and size + here.total_byte_size > about:
            parts.append(File(file.path, file.origin, size, file.version, (start, group), before))
            start, size, before = group, 0, count
        size += here.total_byte_size
        count += here.num_rows
    parts.append(File(file.path, file.origin, size, file.version, (start, meta.num_row_groups), before))
    return parts
