"""Every answer that was ever paid for, in one SQLite file, found by the content of its request.

Answers that arrive in one turn of the event loop are written in one transaction, and an answer is handed on only after
it was written. The write-ahead log survives a kill at any moment; after a loss of power the last moments may be
missing, never the file (`synchronous=NORMAL`, https://sqlite.org/pragma.html#pragma_synchronous).
"""

import asyncio
import contextlib
import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Self

from hornbook.core.errors import HornbookError
from hornbook.services.chat import Reply, Usage

VERSION = 1
BUSY_SECONDS = 30.0  # that another run may hold the file
_TABLES = """
CREATE TABLE IF NOT EXISTS answers (
    key TEXT NOT NULL UNIQUE, text TEXT NOT NULL, finish TEXT NOT NULL, model TEXT NOT NULL, request_id TEXT NOT NULL,
    prompt_tokens INTEGER NOT NULL, completion_tokens INTEGER NOT NULL, failure TEXT NOT NULL, detail TEXT NOT NULL,
    answered TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS batch_errors (
    key TEXT NOT NULL, line_id TEXT NOT NULL, detail TEXT NOT NULL, PRIMARY KEY (key, line_id));
CREATE TEMP TABLE counted (key INTEGER PRIMARY KEY);
"""
_GET = """
SELECT text, finish, model, request_id, prompt_tokens, completion_tokens, failure, detail, answered
FROM answers WHERE key = ?
"""
_PUT = "INSERT OR IGNORE INTO answers VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"


class RequestCache:
    """Replies by content key; use as a context manager. Several processes may share one file.

    Raises HornbookError when the file cannot be opened, read or written.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._pending: list[tuple[object, ...]] = []
        self._written: asyncio.Future[None] | None = None
        with self._explained():
            path.parent.mkdir(parents=True, exist_ok=True)
            self._db = sqlite3.connect(path, timeout=BUSY_SECONDS, isolation_level=None)
            self._use_wal()
            self._db.execute("PRAGMA synchronous=NORMAL")
            version = self._db.execute("PRAGMA user_version").fetchone()[0]
            if version not in (0, VERSION):
                raise HornbookError(
                    f"The request cache {path} was written by another version of Hornbook.",
                    "Use that, or move it away.",
                )
            self._db.executescript(_TABLES)
            self._db.execute(f"PRAGMA user_version={VERSION}")

    def _use_wal(self) -> None:
        """Switch to a write-ahead log. SQLite does not wait here for another process that does the same."""
        deadline = time.monotonic() + BUSY_SECONDS
        while True:
            try:
                self._db.execute("PRAGMA journal_mode=WAL")
                return
            except sqlite3.OperationalError as error:
                if error.sqlite_errorcode != sqlite3.SQLITE_BUSY or time.monotonic() > deadline:
                    raise
            time.sleep(0.01)

    def get(self, key: str) -> Reply | None:
        """The reply to a request, or None."""
        with self._explained():
            row = self._db.execute(_GET, (key,)).fetchone()
        if row is None:
            return None
        text, finish, model, request_id, prompt, completion, failure, detail, answered = row
        return Reply(text, finish, model, request_id, Usage(prompt, completion), failure, detail, answered)

    def first_time(self, key: str) -> bool:
        """Whether this run comes upon a request for the first time; remembered on disk, not in memory."""
        with self._explained():
            return self._db.execute("INSERT OR IGNORE INTO counted VALUES (?)", (int(key[:15], 16),)).rowcount > 0

    async def put(self, key: str, reply: Reply) -> None:
        """Keep a reply; returns when it is written. The first one stays."""
        loop = asyncio.get_running_loop()
        self._pending.append(_row(key, reply))
        if self._written is None:
            self._written = loop.create_future()
            loop.call_soon(self._flush)
        await asyncio.shield(self._written)

    def put_now(self, rows: list[tuple[str, Reply]], errors: list[tuple[str, str, str]]) -> tuple[int, int]:
        """Keep many replies and the errors of batch lines (key, id of the line, what it says); how many were new."""
        with self._explained():
            before = self._db.total_changes
            self._db.execute("BEGIN IMMEDIATE")
            try:
                self._db.executemany(_PUT, [_row(key, reply) for key, reply in rows])
                middle = self._db.total_changes
                self._db.executemany("INSERT OR IGNORE INTO batch_errors VALUES (?, ?, ?)", errors)
                self._db.execute("COMMIT")
            except BaseException:
                self._db.execute("ROLLBACK")
                raise
        return middle - before, self._db.total_changes - middle

    def batch_errors(self) -> dict[str, int]:
        """How often a batch came back with an error, by key."""
        with self._explained():
            return dict(self._db.execute("SELECT key, COUNT(*) FROM batch_errors GROUP BY key"))

    def _flush(self) -> None:
        rows, written = self._pending, self._written
        self._pending, self._written = [], None
        if written is None:
            return  # closing the cache was quicker
        try:
            with self._explained():
                self._db.execute("BEGIN IMMEDIATE")
                try:
                    self._db.executemany(_PUT, rows)
                    self._db.execute("COMMIT")
                except BaseException:
                    if self._db.in_transaction:
                        self._db.execute("ROLLBACK")
                    raise
        except HornbookError as error:
            written.set_exception(error)
        else:
            written.set_result(None)

    @contextlib.contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except (sqlite3.Error, OSError) as error:
            raise HornbookError(
                f"The request cache {self.path} cannot be used ({error}).",
                "Free space on its disk, or name another file; answers that were written are kept.",
            ) from error

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._written is not None and not self._written.get_loop().is_closed():
            self._flush()
        self._db.close()


def _row(key: str, reply: Reply) -> tuple[object, ...]:
    usage = reply.usage
    texts = (reply.text, reply.finish, reply.model, reply.request_id)
    return (key, *texts, usage.prompt, usage.completion, reply.failure, reply.detail, reply.answered)
