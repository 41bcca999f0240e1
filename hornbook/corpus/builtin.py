"""Collections that ship inside the package: the synthetic Python textbook."""

import gzip
import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

TEXTBOOK = Path(__file__).with_name("textbook.jsonl.gz")
LICENSE = "MIT"


def read_textbook() -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Exercises and lessons: item id, text, and what is known about the item (kind, topic, level)."""
    with gzip.open(TEXTBOOK, "rt", encoding="utf-8") as lines:
        for line in lines:
            item = json.loads(line)
            about = {name: item[name] for name in ("kind", "topic", "subtopic", "level")}
            yield item["id"], item["text"], about


def textbook_digest() -> str:
    """Content hash of the collection."""
    return hashlib.blake2b(TEXTBOOK.read_bytes(), digest_size=16).hexdigest()
