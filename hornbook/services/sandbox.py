"""Run programs that nobody has read: in a fresh interpreter, with limits, and with nothing left behind.

A program gets an empty environment and a folder of its own that is removed, and limits on time, memory, files and
processes. Where the kernel allows it without privilege, namespaces take away the network, the machine's processes
and its shared memory, and Landlock the files: it reads where Python lives and writes in its folder. All that it started
dies with it. This stops accidents and the usual mischief of generated code. It is no wall against an attacker who knows
the kernel, and a program that sets out to forge its own report can do so: for such code use a virtual machine.
"""

import os
import secrets
import signal
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path

from hornbook.core.errors import HornbookError
from hornbook.services import sandbox_child

UNSANDBOXED = "HORNBOOK_UNSANDBOXED"  # environment variable: 1 runs programs where no layer holds them
# Imported by name, so that it need not be compiled each time.
_START = "import sys; sys.path.insert(0, sys.argv.pop(1)); import sandbox_child; del sys.path[0]; sandbox_child.main()"
_GRACE_SECONDS = 20.0  # on top of the wall clock, for the interpreter to start on a busy machine


@dataclass(frozen=True)
class Limits:
    """What a program may use."""

    seconds: float = 5.0  # of the wall clock
    cpu_seconds: int = 5
    memory_mb: int = 512  # of address space, each process
    file_mb: int = 8  # size of any file, and of what it prints
    open_files: int = 64
    processes: int = 16  # its own included
    folder_mb: int = 32  # all its files together, where its folder is in memory
    folder_files: int = 1000
    output_bytes: int = 20_000  # kept of what it printed


@dataclass(frozen=True)
class Outcome:
    """How a program ended.

    `reason` is "" when it ran to its end, else one of time, memory, disk, processes, exit (it left by itself before
    its end), signal, or the name of the exception. `output` is the beginning of what it printed, errors included.
    `checks` is how often the program called `__checked__()`, a function that it finds among its names.
    """

    passed: bool
    reason: str
    output: str
    seconds: float
    layers: tuple[str, ...]  # that held it, see `describe`
    checks: int = 0

    @property
    def isolated(self) -> bool:
        """Without network, in process ids of its own."""
        return "namespaces" in self.layers


def run(program: str, limits: Limits | None = None) -> Outcome:
    """Run a Python program and tell how it ended. Raises HornbookError when no interpreter can be started."""
    return run_together([program], limits)[0]


def run_together(programs: Sequence[str], limits: Limits | None = None) -> list[Outcome]:
    """Run a few programs that belong together, one after the other.

    They share the start of one interpreter, which takes longer than most programs; each runs in a copy of it with a
    folder, limits and namespaces of its own, and sees nothing of the others.
    """
    limits = limits or Limits()
    secret = secrets.token_hex(16)
    texts = [program.encode("utf-8", "replace") for program in programs]
    head = " ".join([secret, *(str(len(text)) for text in texts)]) + "\n"
    numbers = ",".join(str(value) for value in asdict(limits).values())
    with tempfile.TemporaryDirectory(prefix="hornbook-sandbox-", ignore_cleanup_errors=True) as folder:
        command = [sys.executable, "-I", "-S", "-B", "-c", _START, os.path.dirname(sandbox_child.__file__)]
        command += [numbers, folder, sysconfig.get_path("purelib")]
        try:
            process = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                cwd=folder,
                env={},
                start_new_session=True,
            )
        except OSError as error:
            raise HornbookError(f"Cannot start {sys.executable}: {error}.", "Check the installation.") from error
        try:
            seconds = len(texts) * limits.seconds + _GRACE_SECONDS
            _, errors = process.communicate(head.encode() + b"".join(texts), timeout=seconds)
        except subprocess.TimeoutExpired:
            errors = b""
        finally:
            _kill(process)
        if process.returncode > 0:
            reason = errors.decode("utf-8", "replace").strip().splitlines()[-1:] or ["without a word"]
            raise HornbookError(f"The sandbox failed: {reason[0]}.", "Check that the temporary folder can be written.")
        return [_outcome(Path(folder), number, secret, limits) for number in range(len(texts))]


def run_many(programs: Iterable[str], limits: Limits | None = None, workers: int | None = None) -> Iterator[Outcome]:
    """Outcomes of many programs, in their order; as many at a time as there are workers (default: CPUs).

    Raises HornbookError where no layer would hold them, see `require`.
    """
    require()
    with ThreadPoolExecutor(workers or os.cpu_count()) as pool:
        yield from pool.map(lambda program: run(program, limits), programs)


@cache
def layers() -> tuple[str, ...]:
    """The layers that this machine's kernel offers, found by running a program."""
    return run("").layers


def describe() -> str:
    """One line about what holds programs here."""
    always = "limits on time, memory, files and processes, an empty environment, a folder of its own"
    found = [
        {
            "namespaces": "namespaces (no network, processes and shared memory of its own)",
            "read-only files": "files read-only",
            "folder in memory": "its folder in memory, with a limit",
            "file rules": "Landlock (reads where Python lives, writes in its folder)",
        }[layer]
        for layer in layers()
    ]
    return f"sandbox: {'; '.join([*found, always])}" if found else f"no sandbox, only {always}"


def require() -> None:
    """Raises HornbookError where the kernel has neither namespaces nor Landlock, unless HORNBOOK_UNSANDBOXED is 1."""
    if os.environ.get(UNSANDBOXED) != "1" and not {"namespaces", "file rules"} & set(layers()):
        raise HornbookError(
            "This machine has nothing to hold code that nobody has read: neither namespaces nor Landlock.",
            "Use a Linux kernel that allows one of them (in a container: see its seccomp profile), or set "
            f"{UNSANDBOXED}=1 in a virtual machine that you can throw away.",
        )


def _outcome(folder: Path, number: int, secret: str, limits: Limits) -> Outcome:
    """Read what the keeper of a program and the program's own process told."""
    if failed := _read(folder / f"{number}-failed", limits):
        raise HornbookError(f"The sandbox failed ({failed}).", "Check that the temporary folder can be written.")
    output, status, report = (_read(folder / f"{number}-{name}", limits) for name in ("output", "status", "report"))
    lines = status.splitlines()
    held = tuple(filter(None, lines[0].split(","))) if lines else ()
    if len(lines) < 2:  # the keeper was stopped from outside
        return Outcome(False, "time", output, limits.seconds, held)
    code, why, seconds = lines[1].split()
    told = next((line.split() for line in report.splitlines() if line.startswith(secret)), None)
    reason, checks = (told[1], int(told[2])) if told else ("", 0)
    if why != "-" or int(code) in (-signal.SIGXCPU, -signal.SIGKILL):
        reason = "time" if why == "-" else why
    elif int(code) < 0:
        reason = "signal"
    elif not told or (int(code) == 0) != (reason == "end"):
        reason = "exit"
    return Outcome(reason == "end", "" if reason == "end" else reason, output, float(seconds), held, checks)


def _read(path: Path, limits: Limits) -> str:
    try:
        with open(path, "rb") as file:
            return file.read(limits.output_bytes).decode("utf-8", "replace")
    except OSError:
        return ""


def _kill(process: subprocess.Popen[bytes]) -> None:
    """End the whole process group, whatever is left of it."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    for stream in (process.stdin, process.stderr):
        if stream is not None:
            stream.close()
