"""SIGTERM, as schedulers and shells send it, without losing work: the loop is told and ends at a good place."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


@contextmanager
def termination() -> Iterator[threading.Event]:
    """An event that is set when the process is asked to end while the block runs.

    Signals reach the main thread alone, so in another one nothing is caught.
    """
    asked = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield asked
        return

    def note(number: int, frame: FrameType | None) -> None:
        asked.set()

    before = signal.signal(signal.SIGTERM, note)
    try:
        yield asked
    finally:
        signal.signal(signal.SIGTERM, before)
