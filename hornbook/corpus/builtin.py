"""Collections that ship inside the package: the synthetic Python textbook."""

import gzip
import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

TEXTBOOK = Path(__file__).with_name("textbook.jsonl.gz")
LICENSE = "MIT"


_TESTS = "\n# tests\n"  # between an exercise and the asserts that check it


def read_textbook() -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Exercises and lessons: item id, text, and what is known about the item (kind, topic, level, tests).

    The asserts that check an exercise are in `tests`, not in its text: models learn less from them (docs/LOG.md).
    """
    with gzip.open(TEXTBOOK, "rt", encoding="utf-8") as lines:
        for line in lines:
            item = json.loads(line)
            about = {name: item[name] for name in ("kind", "topic", "subtopic", "level")}
            text, _, tests = item["text"].partition(_TESTS)
            if tests:
                about["tests"] = tests
            yield item["id"], text.rstrip("\n") + "\n", about


def textbook_digest() -> str:
    """Content hash of the collection."""
    return hashlib.blake2b(TEXTBOOK.read_bytes(), digest_size=16).hexdigest()
