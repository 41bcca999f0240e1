"""Documents and verdicts: the Arrow schemas that travel between stations, and the ids that never change.

A document id is a hash of where the document comes from; a text hash is a hash of what it says. Both are
128 bits, written as 32 hex digits, equal on every machine and for every number of shards or workers.
"""

import hashlib
import os
import unicodedata
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq

from hornbook.core.errors import HornbookError

DOCUMENTS = pa.schema(
    [
        ("id", pa.string()),
        ("text", pa.string()),
        ("text_hash", pa.string()),
        ("parent", pa.string()),  # id of the document this one was made from, "" for originals
        ("source", pa.string()),  # distribution, folder or built-in collection
        ("origin", pa.string()),  # path inside the source, URL, or request id
        ("ordinal", pa.int32()),  # running number inside the origin
        ("license", pa.string()),
        ("kind", pa.string()),  # code | text | synthetic
        ("meta", pa.string()),  # JSON
    ]
)
VERDICTS = pa.schema([("id", pa.string()), ("keep", pa.bool_()), ("reason", pa.string())])


def document_id(source: str, origin: str, ordinal: int) -> str:
    """The id of the `ordinal`-th document of `origin` in `source`: 32 hex digits, stable across machines."""
    key = f"{source}\0{origin}\0{ordinal}".encode("utf-8", "surrogatepass")
    return hashlib.blake2b(key, digest_size=16).hexdigest()


def text_hash(text: str) -> str:
    """Hash of what a text says: equal for equal NFC texts with `\\n` line ends; 32 hex digits."""
    if "\r" in text:
        text = text.replace("\r\n", "\n").replace("\r", "\n")
    if not text.isascii():
        text = unicodedata.normalize("NFC", text)
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()


def seeded_order(ids: Sequence[str] | pa.Array | pa.ChunkedArray, seed: int) -> np.ndarray:
    """A pseudo-random uint64 for every id (32 hex digits). Sorting by it is the only shuffle in Hornbook.

    It depends on nothing but the id and the seed, so a sample stays the same whatever the number of shards.
    The low half of the id is mixed with the seed by the finaliser of SplitMix64 (Steele et al. 2014).
    """
    values = ids.to_pylist() if isinstance(ids, pa.Array | pa.ChunkedArray) else ids
    return shuffled(np.frombuffer(bytes.fromhex("".join(values)), dtype="<u8")[1::2], seed)


def shuffled(low_N: np.ndarray, seed: int) -> np.ndarray:
    """`seeded_order` of ids whose low halves, the second 8 of their bytes, are given as little-endian uint64."""
    x = low_N.astype(np.uint64)
    with np.errstate(over="ignore"):
        x += np.uint64(0x9E3779B97F4A7C15) * np.uint64(2 * seed + 1)
        x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))


def shards(folder: Path) -> list[Path]:
    """The Parquet shards of a documents, scores or verdicts folder, in the order of their names."""
    return sorted(Path(folder).glob("*.parquet"))


def read_table(folder: Path, columns: list[str] | None = None) -> pa.Table:
    """All shards of a folder as one table, in shard order. Ask for the columns you need: texts are large."""
    paths = shards(folder)
    if not paths:
        raise HornbookError(f"No Parquet shard in {folder}.", "Delete the step's folder and run the recipe again.")
    return pa.concat_tables([pq.read_table(path, columns=columns) for path in paths])


def count_rows(folder: Path) -> int:
    """Number of rows in a folder of shards, from the Parquet footers alone."""
    return sum(pq.read_metadata(path).num_rows for path in shards(folder))


def find_rows(folder: Path, column: str, values: list[str], columns: list[str] | None = None) -> pa.Table:
    """Rows of a folder whose `column` is one of `values`, without holding whole shards in memory."""
    dataset = ds.dataset([str(path) for path in shards(folder)], format="parquet")
    return dataset.to_table(columns=columns, filter=ds.field(column).isin(values))


def write_table(table: pa.Table, path: Path) -> None:
    """Write a Parquet shard (zstd) under its final name only when it is whole."""
    path = Path(path)
    temporary = path.with_name(f".{path.name}.tmp")
    pq.write_table(table, temporary, compression="zstd", compression_level=1)
    os.replace(temporary, path)


def atomic_write(path: Path, content: str | bytes) -> None:
    """Write a small file under its final name only when it is whole and on disk."""
    path = Path(path)
    data = content.encode() if isinstance(content, str) else content
    temporary = path.with_name(f".{path.name}.tmp")
    with open(temporary, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    os.replace(temporary, path)
