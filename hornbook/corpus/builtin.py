"""Lessons: collections that ship inside the package, and the same form for those that a teacher wrote."""

import gzip
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hornbook.core.step import content_hash
from hornbook.corpus.listing import File, Listing, Record

LICENSE = "MIT"
_TESTS = "\n# tests\n"  # between an exercise of the textbook and the asserts that check it
_ABOUT = ("kind", "topic", "subtopic", "level", "tests", "words", "passage", "source", "evidence", "requests")


@dataclass(frozen=True)
class Collection:
    """A file of lessons that ships."""

    path: Path
    version: str  # of the collection and of how it is read

    def read(self) -> Iterator[tuple[str, str, dict[str, Any]]]:
        """See `read_lessons`."""
        return read_lessons(self.path)


def read_lessons(path: Path) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Item id, text, and what is known about the item, from JSON lines, packed (.gz) or not.

    Each has id, text, kind, topic, subtopic, level, and for exercises tests; those that a teacher wrote have their
    provenance, too. The asserts that check an exercise are in `tests`, not in its text: models learn less from them
    (docs/LOG.md).
    """
    with gzip.open(path, "rt", encoding="utf-8") if path.suffix == ".gz" else open(path, encoding="utf-8") as lines:
        for line in lines:
            item = json.loads(line)
            text, _, tests = item["text"].partition(_TESTS)
            about = {name: item[name] for name in _ABOUT if name in item} | ({"tests": tests} if tests else {})
            yield item["id"], text.rstrip("\n") + "\n", about


_HERE = Path(__file__).parent
COLLECTIONS = {
    "python-textbook": Collection(_HERE / "textbook.jsonl.gz", "2"),
    "python-exercises": Collection(_HERE / "exercises.jsonl.gz", "1"),
}


def list_builtin(name: str) -> Listing:
    """The one file of a collection."""
    collection = COLLECTIONS[name]
    return _listing(
        f"builtin:{name}", collection.path, LICENSE, collection.version, digest=content_hash(collection.path)
    )


def list_written(name: str, folder: Path) -> Listing:
    """The lessons that a step of synthesis left in its folder."""
    return _listing(f"synthesis:{name}", folder / "lessons.jsonl", remedy=f"See why lessons were rejected in {folder}.")


def _listing(source: str, path: Path, license: str = "", version: str = "", **more: str) -> Listing:
    file = File(str(path), path.name, path.stat().st_size)
    return Listing(source, license, version, [file], read=_records, clean=False, **more)  # type: ignore[arg-type]


def _records(file: File) -> Iterator[Record]:
    for origin, text, about in read_lessons(Path(file.path)):
        yield Record(origin, text, "synthetic", about)
