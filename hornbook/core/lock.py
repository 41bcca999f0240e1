"""One process at a time in a folder."""

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from hornbook.core.errors import HornbookError


@contextmanager
def folder_lock(folder: Path, remedy: str) -> Iterator[None]:
    """Hold a folder, made where it is missing, while a block runs. The lock goes with the process, however it ends.

    Raises HornbookError when another process holds it or it cannot be written to; `remedy` says what to do instead.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = open(folder / ".lock", "w")  # noqa: SIM115 - held while the block runs
    except OSError as error:
        raise HornbookError(f"Cannot write to {folder}: {error.strerror}.", f"{remedy}.") from error
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise HornbookError(
                f"Another process is at work in {folder}.", f"Wait for it, or {remedy[0].lower()}{remedy[1:]}."
            ) from None
        yield
