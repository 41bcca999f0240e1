"""Collections that ship inside the package: the synthetic Python textbook, and beginner exercises."""

import gzip
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

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
