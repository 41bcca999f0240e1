"""What a source consists of: a list of files with what their documents share."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

TEXT_SUFFIXES = frozenset({".md", ".rst", ".txt"})
CODE_SUFFIXES = frozenset({".py"})


@dataclass(frozen=True)
class File:
    """A file to be read: its place on this machine, its stable name inside the source, and its size in bytes."""

    path: str
    origin: str
    size: int


@dataclass
class Listing:
    """The files of one source, sorted by origin, and how many were passed over, by reason.

    `digest` replaces the content of the files in the fingerprint where somebody has hashed them already.
    """

    source: str
    license: str
    version: str
    files: list[File]
    skipped: Counter[str] = field(default_factory=Counter)
    digest: str = ""
    lessons: bool = False  # its files are lessons, read by `builtin.read_lessons`
    remedy: str = ""  # what to do when nothing in it can be read


def kind_of(path: str) -> str | None:
    """`code`, `text`, or None for files that are neither."""
    suffix = Path(path).suffix.lower()
    return "code" if suffix in CODE_SUFFIXES else "text" if suffix in TEXT_SUFFIXES else None


def groups(listing: Listing, shard_bytes: int) -> Iterator[list[File]]:
    """Consecutive files, about `shard_bytes` together; depends on names and sizes only."""
    group: list[File] = []
    size = 0
    for file in listing.files:
        if group and size + file.size > shard_bytes:
            yield group
            group, size = [], 0
        group.append(file)
        size += file.size
    if group:
        yield group
