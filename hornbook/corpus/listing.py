"""What a source consists of: files, how they are read, and what a reader hands over."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class File:
    """A file to be read, or a part of one: its place, its stable name inside the source, and its size in bytes.

    `version` stands for the content of a file that is not on this machine. A part has a `span`, of bytes or of row
    groups, and says how many records of the file come before it.
    """

    path: str
    origin: str
    size: int
    version: str = ""
    span: tuple[int, int] | None = None
    before: int = 0


@dataclass(frozen=True)
class Record:
    """A document as its reader found it; `repaired` tells what had to be mended."""

    origin: str
    text: str
    kind: str  # code | text | synthetic
    meta: dict[str, Any] = field(default_factory=dict)
    license: str = ""  # where the record has one of its own
    repaired: tuple[str, ...] = ()


@dataclass(frozen=True)
class Skipped:
    """Something that could not be made a document, and why."""

    origin: str
    reason: str


Reader = Callable[[File], Iterable[Record | Skipped]]  # picklable; yields in the order of the file


@dataclass
class Listing:
    """The files of one source, sorted by origin, and how many were passed over, by reason.

    `digest` replaces the content of the files in the fingerprint where somebody has hashed them already. `split` cuts
    a large file into parts of about so many bytes.
    """

    source: str
    license: str
    version: str
    files: list[File]
    read: Reader
    skipped: Counter[str] = field(default_factory=Counter)
    digest: str = ""
    remedy: str = ""  # what to do when nothing in it can be read
    split: Callable[[File, int], list[File]] | None = None
    clean: bool = True  # take out control characters and the like; False leaves texts as they are


def groups(listing: Listing, shard_bytes: int) -> Iterator[list[File]]:
    """Consecutive files or parts, about `shard_bytes` together; depends on what is in the source only."""
    group: list[File] = []
    size = 0
    for whole in listing.files:
        for file in listing.split(whole, shard_bytes) if listing.split else [whole]:
            if group and size + file.size > shard_bytes:
                yield group
                group, size = [], 0
            group.append(file)
            size += file.size
    if group:
        yield group
