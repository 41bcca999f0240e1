"""Progress of long work: a live bar on a terminal, a line now and then in a log."""

import sys
import time
from types import TracebackType
from typing import Any, Self

LOG_EVERY_SECONDS = 15.0


class Progress:
    """Count `total` units of work under `label`; use as a context manager and call `advance`.

    On a terminal rich draws a bar with rate and time left; elsewhere a plain line appears every 15 seconds,
    so that a log stays readable. Everything goes to standard error.
    """

    def __init__(self, label: str, total: float, unit: str = "") -> None:
        self.label, self.total, self.unit = label, total, unit
        self.done = self._skipped = 0.0
        self.note = ""
        self._bar: Any = None  # a rich progress bar while it is shown
        self._start = self._logged = time.monotonic()

    def __enter__(self) -> Self:
        if sys.stderr.isatty():
            from rich.console import Console
            from rich.progress import BarColumn, TaskProgressColumn, TextColumn, TimeRemainingColumn
            from rich.progress import Progress as RichProgress

            self._bar = RichProgress(
                TextColumn("  {task.description:<34}"),
                BarColumn(bar_width=28),
                TaskProgressColumn(),
                TimeRemainingColumn(compact=True),
                TextColumn("[dim]{task.fields[note]}"),
                console=Console(stderr=True),
                transient=True,
            )
            self._bar.start()
            self._task = self._bar.add_task(self.label, total=self.total, note="")
        return self

    def skip(self, n: float) -> None:
        """Report `n` units that an earlier run has done: they say nothing about the time that is left."""
        self._skipped += n
        self.advance(n)

    def advance(self, n: float = 1, note: str = "") -> None:
        """Report `n` more units done, with an optional note such as the current loss."""
        self.done += n
        self.note = note or self.note
        if self._bar is not None:
            self._bar.update(self._task, advance=n, note=self.note)
        elif time.monotonic() - self._logged > LOG_EVERY_SECONDS:
            self._logged = time.monotonic()
            share = 100 * self.done / self.total if self.total else 100
            elapsed, done = self._logged - self._start, self.done - self._skipped
            left = f", {elapsed * (self.total - self.done) / done:.0f} s left" if done else ""
            print(
                f"  {self.label}: {share:.0f} % after {elapsed:.0f} s{left} {self.note}".rstrip(),
                file=sys.stderr,
                flush=True,
            )

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._bar.stop()
