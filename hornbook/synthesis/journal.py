"""What became of every item, one JSON line each, written when it is known: the memory of a run that is killed.

An item counts as done while its fingerprint is the same: the hash of its seed, its prompts, its options, its teacher
and the code that reads and checks it. Answers themselves are in the request cache, so nothing is asked twice.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self

from hornbook.core.errors import explain


class Journal:
    """The journal of one section; use as a context manager. Of two lines about one item the later counts."""

    def __init__(self, path: Path) -> None:
        self.path = path
        path.parent.mkdir(parents=True, exist_ok=True)
        self._place: dict[str, int] = {}  # of the last line about an item
        self._fingerprint: dict[str, str] = {}
        self._file: IO[bytes] = open(path, "a+b")  # noqa: SIM115 - closed at the end of the block
        self._file.seek(0)
        end = 0
        for line in self._file:
            try:
                entry = json.loads(line) if line.endswith(b"\n") else None
            except ValueError:
                entry = None
            if entry is None:
                break  # a kill left half a line
            self._place[entry["id"]], self._fingerprint[entry["id"]] = end, entry["fingerprint"]
            end += len(line)
        self._file.truncate(end)

    def knows(self, id: str, fingerprint: str) -> bool:
        """Whether this item is done."""
        return self._fingerprint.get(id) == fingerprint

    def add(self, entry: dict[str, Any]) -> None:
        """Write a line about an item: `id`, `fingerprint`, and what else is to be known."""
        try:
            self._file.seek(0, 2)
            place = self._file.tell()
            self._file.write(json.dumps(entry, ensure_ascii=False).encode("utf-8", "replace") + b"\n")
            self._file.flush()
        except OSError as error:
            raise explain(error, self.path.parent) from error
        self._place[entry["id"]], self._fingerprint[entry["id"]] = place, entry["fingerprint"]

    def read(self, id: str) -> dict[str, Any]:
        """The last line about an item."""
        self._file.seek(self._place[id])
        return json.loads(self._file.readline())

    def entries(self, wanted: dict[str, str]) -> Iterator[dict[str, Any]]:
        """The lines about these items (ids with fingerprints), in this order, as far as they are done."""
        for id, fingerprint in wanted.items():
            if self.knows(id, fingerprint):
                yield self.read(id)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()
