"""Run a program that nobody has read: in a fresh interpreter, with limits, and with nothing left behind.

The program gets an empty environment, a folder of its own that is removed, limits on time, memory, files and processes,
and, where the kernel allows namespaces without privilege, no network and process ids of its own: when the first process
dies, everything that it started does. This stops accidents and the usual mischief of generated code. It is no
wall against an attacker who knows the kernel: for such code use a virtual machine.
"""

import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from hornbook.core.errors import HornbookError

_CHILD = Path(__file__).with_name("sandbox_child.py")
_PASSED, _RAISED, _LEFT = 0, 1, 2  # exit codes of the child; any other is a signal or the program's own doing
_GRACE_SECONDS = 1.0  # on top of the wall clock, for the interpreter to start


@dataclass(frozen=True)
class Limits:
    """What a program may use."""

    seconds: float = 5.0  # of the wall clock
    cpu_seconds: int = 5
    memory_mb: int = 512  # of address space
    file_mb: int = 8  # size of any file
    open_files: int = 64
    processes: int = 16  # its own included
    output_bytes: int = 20_000  # kept of what it printed


@dataclass(frozen=True)
class Outcome:
    """How a program ended.

    `reason` is "" when it ran to its end, else one of time, memory, exit (it left by itself before its end), signal
    or the name of the exception. `output` is the beginning of what it printed, errors included.
    """

    passed: bool
    reason: str
    output: str
    seconds: float
    isolated: bool  # without network, in process ids of its own


def run(program: str, limits: Limits | None = None) -> Outcome:
    """Run a Python program and tell how it ended. Raises HornbookError when no interpreter can be started."""
    limits = limits or Limits()
    started = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="hornbook-sandbox-", ignore_cleanup_errors=True) as folder:
        home = Path(folder) / "home"
        home.mkdir()
        output, report = Path(folder) / "output", Path(folder) / "report"
        numbers = ",".join(str(value) for value in asdict(limits).values())
        try:
            with open(output, "wb") as printed, open(report, "wb") as told:
                process = subprocess.Popen(
                    [sys.executable, "-I", "-B", str(_CHILD), numbers, str(told.fileno())],
                    stdin=subprocess.PIPE,
                    stdout=printed,
                    stderr=printed,
                    cwd=home,
                    env={},
                    pass_fds=(told.fileno(),),
                    start_new_session=True,
                )
        except OSError as error:
            raise HornbookError(f"Cannot start {sys.executable}: {error}.", "Check the installation.") from error
        late = False
        try:
            process.communicate(program.encode("utf-8", "replace"), timeout=limits.seconds + _GRACE_SECONDS)
        except subprocess.TimeoutExpired:
            late = True
        finally:
            _kill(process)
        with open(output, "rb") as file:
            text = file.read(limits.output_bytes).decode("utf-8", "replace")
        words = report.read_text().split()
    isolated, reason = "isolated" in words, next((word for word in words if word != "isolated"), "")
    code = process.returncode
    if late or code in (-signal.SIGXCPU, 128 + signal.SIGXCPU, 128 + signal.SIGKILL):
        reason = "time"
    elif code == _RAISED:
        reason = {"MemoryError": "memory"}.get(reason, reason or "exit")
    elif code != _PASSED or reason != "end":
        reason = "exit" if code in (_PASSED, _LEFT) or 0 < code < 128 else "signal"
    passed = not late and code == _PASSED and reason == "end"
    return Outcome(passed, "" if passed else reason, text, time.monotonic() - started, isolated)


def run_many(programs: Iterable[str], limits: Limits | None = None, workers: int | None = None) -> Iterator[Outcome]:
    """Outcomes of many programs, in their order; as many at a time as there are workers (default: CPUs)."""
    with ThreadPoolExecutor(workers or os.cpu_count()) as pool:
        yield from pool.map(lambda program: run(program, limits), programs)


def _kill(process: subprocess.Popen[bytes]) -> None:
    """End the whole process group, whatever is left of it."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    if process.stdin is not None:
        process.stdin.close()
