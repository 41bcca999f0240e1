"""The inside of the sandbox: runs as a script in a fresh interpreter, and imports nothing of Hornbook.

Arguments: the numbers of `sandbox.Limits`, and the file descriptor on which it tells how the program ended. The
program comes on standard input.
"""

import ctypes
import os
import resource
import signal
import sys
from contextlib import suppress

_NEW_USER, _NEW_PID, _NEW_NET = 0x10000000, 0x20000000, 0x40000000  # flags of unshare(2)
_PASSED, _RAISED, _LEFT = 0, 1, 2


def main() -> None:
    """Isolate, limit, run, and tell."""
    program = sys.stdin.buffer.read().decode()
    seconds, cpu, memory_mb, file_mb, files, processes, _ = (float(number) for number in sys.argv[1].split(","))
    report = int(sys.argv[2])
    if _isolate():
        os.write(report, b"isolated ")
        child = os.fork()
        if child:
            _, status = os.waitpid(child, 0)
            code = os.waitstatus_to_exitcode(status)
            os._exit(code if code >= 0 else 128 - code)
        signal.alarm(max(1, round(seconds + 1)))
    for what, limit in (
        (resource.RLIMIT_CPU, cpu),
        (resource.RLIMIT_AS, memory_mb * 2**20),
        (resource.RLIMIT_FSIZE, file_mb * 2**20),
        (resource.RLIMIT_NOFILE, files),
        (resource.RLIMIT_NPROC, processes),
        (resource.RLIMIT_CORE, 0),
    ):
        with suppress(ValueError, OSError):  # where the system allows less already, or knows no such limit
            resource.setrlimit(what, (int(limit), int(limit)))
    os._exit(_run(program, report))


def _isolate() -> bool:
    """Leave the network and the process ids of the machine; False where the kernel does not let us."""
    try:
        return ctypes.CDLL(None, use_errno=True).unshare(_NEW_USER | _NEW_PID | _NEW_NET) == 0
    except (OSError, AttributeError):
        return False


def _run(program: str, report: int) -> int:
    import traceback

    code = _PASSED
    word = "end"
    try:
        exec(compile(program, "program.py", "exec"), {"__name__": "__main__"})
    except SystemExit:
        code, word = _LEFT, "exit"
    except BaseException as error:
        code, word = _RAISED, type(error).__name__
        try:
            traceback.print_exc()
        except BaseException:
            word = "MemoryError"
    with suppress(OSError):
        sys.stdout.flush()
        sys.stderr.flush()
    os.write(report, word.encode())
    return code


if __name__ == "__main__":
    main()
