"""The one exception that users see: what went wrong, and what to do about it."""

import errno
import shutil
from pathlib import Path


class HornbookError(Exception):
    """A problem the user can solve. The command line prints both parts on one line and exits with its `status`."""

    status = 2

    def __init__(self, problem: str, remedy: str = "") -> None:
        self.problem = problem
        self.remedy = remedy
        super().__init__(f"{problem} {remedy}".strip())

    def __reduce__(self) -> tuple[type, tuple[str, str]]:
        return type(self), (self.problem, self.remedy)  # survives the way back from a worker process


class Terminated(HornbookError):
    """The process was asked to end (SIGTERM) and has put its work in safety first."""

    status = 143  # as a shell reports a process that the signal ended


def explain(error: OSError, folder: Path) -> Exception:
    """What to raise for an error of the system while writing below `folder`: a full disk has a remedy."""
    if error.errno != errno.ENOSPC:
        return error
    free = shutil.disk_usage(folder).free / 1e9
    return HornbookError(
        f"The disk is full: could not write below {folder} ({free:.2f} GB free).",
        "Free some space and run the same command again; finished work is kept.",
    )
