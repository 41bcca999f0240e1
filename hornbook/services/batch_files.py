"""Requests as files for the batch service of a host, and its answers read back into the request cache.

The format is OpenAI's batch JSONL (OpenAI API reference, "Batch"): `custom_id`, `method`, `url`, `body` in the one,
`custom_id`, `response` and `error` in the other, in any order. The content key of a request is its `custom_id`, so that
an answer finds its place without the plan that it belongs to.
"""

import hashlib
import json
import os
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self

from hornbook.core.errors import HornbookError, explain
from hornbook.services.budget import Budget
from hornbook.services.chat import Reply
from hornbook.services.chat_format import NotACompletion, at_most, error_text, read_completion
from hornbook.services.request_cache import RequestCache
from hornbook.services.transport import NotAnswered

MOST_LINES, MOST_BYTES = 50_000, 190_000_000  # of one file; OpenAI takes 50,000 lines and 200 MB
LONGEST_LINE = 64_000_000  # bytes; a longer one is no answer
IMPORTED_AT_ONCE = 500
ENDPOINT = "/v1/chat/completions"
_KEY = re.compile(r"[0-9a-f]{64}")
_PARTIAL = ".partial"


class BatchFiles:
    """The transport that writes requests to `requests-00001.jsonl` and so on; use as a context manager.

    A request that stands in a file of the folder already is not written again, unless its answer came back as an
    error. Files get their names when the block ends well; a killed run leaves only `.partial` files, which the next
    one replaces.
    """

    def __init__(self, folder: Path, cache: RequestCache, budget: Budget) -> None:
        self.folder = folder
        self.written = 0  # requests in new files
        self._cache, self._budget = cache, budget
        self._file: IO[bytes] | None = None
        self._lines = self._bytes = 0
        self._new: list[Path] = []
        try:
            folder.mkdir(parents=True, exist_ok=True)
            for partial in folder.glob(f"requests-*.jsonl{_PARTIAL}"):
                partial.unlink()
            published = sorted(folder.glob("requests-*.jsonl"))
            times = Counter(key for path in published for key in _keys(path))
        except OSError as error:
            raise _cannot_write(error, folder) from error
        times.subtract(cache.batch_errors())
        self._waiting = {key for key, count in times.items() if count > 0}
        self._number = max((int(number) for path in published if (number := path.stem[9:]).isdigit()), default=0)

    async def send(self, key: str, body: dict[str, Any], data: bytes) -> Reply:
        """Write the request unless it is waiting already. Always raises NotAnswered: the answer comes later."""
        cost = at_most(body)
        if key not in self._waiting:
            if not self._budget.reserve():
                raise NotAnswered("budget", "the budget is used up")
            self._cache.first_time(key)
            self._budget.spend(cost)
            head = json.dumps({"custom_id": key, "method": "POST", "url": ENDPOINT})
            line = head[:-1].encode() + b', "body": ' + data + b"}\n"
            try:
                self._write(line)
            except OSError as error:
                raise _cannot_write(error, self.folder) from error
            self._waiting.add(key)
            self.written += 1
        elif self._cache.first_time(key):
            self._budget.recall(cost)
        raise NotAnswered("waiting", f"in a batch file in {self.folder}")

    def _write(self, line: bytes) -> None:
        if self._file is None or self._lines >= MOST_LINES or self._bytes + len(line) > MOST_BYTES:
            self._close()
            self._number += 1
            self._new.append(self.folder / f"requests-{self._number:05}.jsonl")
            self._file = open(f"{self._new[-1]}{_PARTIAL}", "wb")  # noqa: SIM115 - closed by _close
            self._lines = self._bytes = 0
        self._file.write(line)
        self._lines += 1
        self._bytes += len(line)

    def _close(self) -> None:
        if self._file is not None:
            self._file.flush()
            os.fsync(self._file.fileno())
            self._file.close()
            self._file = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            self._close()
            if kind is None:
                for path in self._new:
                    os.replace(f"{path}{_PARTIAL}", path)
        except OSError as problem:
            raise _cannot_write(problem, self.folder) from problem


@dataclass(frozen=True)
class Imported:
    """What answer files held: lines by what became of them."""

    new: int = 0  # answers that were not in the cache
    known: int = 0  # answers to requests that had one; the first stays
    errors: int = 0  # requests that the host could not answer; they are written again by the next export
    unreadable: int = 0  # not JSON (the end of a file that is still arriving), or not ours
    first_error: str = ""

    def __add__(self, other: "Imported") -> "Imported":
        return Imported(
            self.new + other.new,
            self.known + other.known,
            self.errors + other.errors,
            self.unreadable + other.unreadable,
            self.first_error or other.first_error,
        )


def import_answers(paths: Iterable[Path], cache: RequestCache) -> Imported:
    """Read answer files of a host, whole or in part, in any order, as often as you like.

    Raises HornbookError for a file that cannot be read; nothing that was read before is lost.
    """
    total = Imported()
    for path in paths:
        try:
            with open(path, "rb") as file:
                while lines := [line for _, line in zip(range(IMPORTED_AT_ONCE), _lines(file), strict=False)]:
                    total += _import(lines, cache)
        except OSError as error:
            raise HornbookError(f"Cannot read answers from {path} ({error}).", "Name a JSONL file.") from error
    return total


def _import(lines: list[bytes | None], cache: RequestCache) -> Imported:
    replies: list[tuple[str, Reply]] = []
    errors: list[tuple[str, str, str]] = []
    unreadable = 0
    for line in lines:
        try:
            row = json.loads(line) if line is not None else None
        except (ValueError, RecursionError):
            row = None
        key = row.get("custom_id") if isinstance(row, dict) else None
        if not isinstance(key, str) or not _KEY.fullmatch(key):
            unreadable += 1
            continue
        assert isinstance(row, dict) and line is not None
        reply = _reply(row)
        if isinstance(reply, Reply):
            replies.append((key, reply))
        else:
            name = row.get("id")
            line_id = name if isinstance(name, str) and name.isprintable() else hashlib.sha256(line).hexdigest()
            errors.append((key, line_id, reply))
    new, new_errors = cache.put_now(replies, errors)
    first = errors[0][2] if errors else ""
    return Imported(new, len(replies) - new, new_errors, unreadable, first)


def _reply(row: dict[str, Any]) -> Reply | str:
    """The reply in a line, or what is wrong."""
    response = row.get("response")
    if row.get("error") or not isinstance(response, dict):
        return error_text(row) or "no response"
    if response.get("status_code", 200) != 200:
        return f"{response['status_code']} {error_text(response.get('body'))}".strip()
    try:
        reply = read_completion(response.get("body"), {"messages": []})
    except NotACompletion as error:
        return str(error)
    return replace(reply, request_id=reply.request_id or str(response.get("request_id") or ""))


def _lines(file: IO[bytes]) -> Iterator[bytes | None]:
    """Lines that are not blank; None for one beyond all measure."""
    while line := file.readline(LONGEST_LINE):
        if len(line) == LONGEST_LINE and not line.endswith(b"\n"):
            while (rest := file.readline(LONGEST_LINE)) and not rest.endswith(b"\n"):
                pass
            yield None
        elif line.strip():
            yield line


def _keys(path: Path) -> Iterator[str]:
    """The content keys in a file of requests."""
    with open(path, "rb") as file:
        for line in file:
            try:
                yield json.loads(line)["custom_id"]
            except (ValueError, KeyError, TypeError) as error:
                problem = f"{path} has a line that is no request of a batch."
                raise HornbookError(problem, "Move the file out of this folder.") from error


def _cannot_write(error: OSError, folder: Path) -> HornbookError:
    cause = explain(error, folder if folder.is_dir() else Path.cwd())
    if isinstance(cause, HornbookError):
        return cause
    return HornbookError(f"Cannot write batch files in {folder} ({error}).", "Name a folder that you can write to.")
