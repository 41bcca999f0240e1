"""Collections that ship inside the package: the synthetic Python textbook, and beginner exercises."""

import gzip
import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from hornbook.core.step import content_hash
from hornbook.corpus.listing import File, Listing, Record

LICENSE = "MIT"
_TESTS = "\n# tests\n"  # between an exercise of the textbook and the asserts that check it
_ABOUT = ("kind", "topic", "subtopic", "level", "tests")


@dataclass(frozen=True)
class Collection:
    """JSON lines with id, text, kind, topic, subtopic, level, and for exercises tests."""

    path: Path
    version: str  # of the collection and of how it is read

    def read(self) -> Iterator[tuple[str, str, dict[str, Any]]]:
        """Item id, text, and what is known about the item.

        The asserts that check an exercise are in `tests`, not in its text: models learn less from them (docs/LOG.md).
        """
        with gzip.open(self.path, "rt", encoding="utf-8") as lines:
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
    path = collection.path
    return Listing(
        source=f"builtin:{name}",
        license=LICENSE,
        version=collection.version,
        files=[File(str(path), path.name, path.stat().st_size)],
        read=partial(_read, name),
        clean=False,
        digest=content_hash(path),
    )


def _read(name: str, _: File) -> Iterator[Record]:
    for origin, text, about in COLLECTIONS[name].read():
        yield Record(origin, text, "synthetic", about)
