"""The sandbox against programs that mean harm: each is stopped, told by its cause, and leaves the machine as it was."""

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from hornbook.core.errors import HornbookError
from hornbook.services.sandbox import Limits, describe, layers, require, run, run_many, run_together

LIMITS = Limits(seconds=1.5, cpu_seconds=1)
HELD = {"namespaces", "file rules"} <= set(layers())
needs_layers = pytest.mark.skipif(not HELD, reason="the kernel offers neither namespaces nor Landlock here")

# What it does, and the causes that may be told (where the kernel decides which limit comes first, there are two).
HOSTILE = {
    "fork bomb": ("import os\nwhile True: os.fork()", "processes time"),
    "fork bomb that swallows errors": (
        "import os\nwhile True:\n    try: os.fork()\n    except BaseException: pass",
        "processes time",
    ),
    "shell fork bomb": ("import os\nos.execv('/bin/sh', ['sh', '-c', 'b(){ b|b& };b;sleep 9'])", "processes time exit"),
    "one process after the other": (
        "import os\nwhile True:\n    if not os.fork(): os._exit(0)\n    os.wait()",
        "processes time",
    ),
    "memory bomb": ("x = []\nwhile True: x.append(bytearray(10_000_000))", "memory"),
    "memory bomb in one piece": ("'x' * 10**11", "memory"),
    "big integer": ("10 ** (10 ** 9)", "time memory"),
    "endless loop": ("while True: pass", "time"),
    "endless loop that swallows everything": (
        "while True:\n    try:\n        while True: pass\n    except: pass",
        "time",
    ),
    "long sleep": ("import time\ntime.sleep(3600)", "time"),
    "waits for input": ("input()", "EOFError"),
    "waits for a child": ("import os, time\nif os.fork() == 0:\n    time.sleep(3600)\nos.wait()", "time"),
    "clock switched off": (
        "import signal, time\nsignal.setitimer(signal.ITIMER_REAL, 0)\n"
        "for s in (1, 2, 3, 14, 15, 24): signal.signal(s, signal.SIG_IGN)\nwhile True: time.sleep(1)",
        "time",
    ),
    "endless output": ("while True: print('x' * 10_000)", "disk time"),
    "endless errors": ("import os\nwhile True: os.write(2, b'x' * 10_000)", "disk time"),
    "huge file": ("open('big', 'wb').write(b'x' * 100_000_000)", "disk"),
    "many large files": (
        "for n in range(1000):\n    with open(str(n), 'wb') as f: f.write(b'x' * 4_000_000)",
        "disk",
    ),
    "file flood": ("n = 0\nwhile True:\n    open(str(n), 'w').close()\n    n += 1", "disk"),
    "deep folders": ("import os\nwhile True:\n    os.mkdir('d')\n    os.chdir('d')", "disk OSError FileNotFoundError"),
    "keeps files open": ("keep = [open(str(n), 'w') for n in range(900)]", "OSError"),
    "kills its parents": (
        "import os, signal\nos.kill(os.getppid(), signal.SIGKILL)\nos.kill(-1, signal.SIGKILL)\nraise ValueError",
        "ValueError PermissionError ProcessLookupError",
    ),
    "kills its group": ("import os, signal\nos.killpg(0, signal.SIGKILL)", "time signal"),
    "kills itself": ("import os, signal\nos.kill(os.getpid(), signal.SIGTERM)", "signal"),
    "leaves early": ("import sys\nsys.exit(0)", "exit"),
    "leaves early by os._exit": ("import os\nos._exit(0)", "exit"),
    "leaves early in a child that goes on": ("import os\nif os.fork(): os._exit(0)", "exit"),
    "leaves early by a patched assert": (
        "import builtins, os\nclass AssertionError(Exception):\n    def __init__(self): os._exit(0)\n"
        "builtins.AssertionError = AssertionError\nassert 1 == 2",
        "AssertionError exit",
    ),
    "becomes another program": ("import os\nos.execv('/bin/true', ['true'])", "exit"),
    "becomes another interpreter": (
        "import os, sys\nos.execv(sys.executable, ['python', '-c', 'print(1)'])",
        "exit FileNotFoundError",
    ),
    "closes what it should report on": ("import os\nos.closerange(0, 64)", "exit"),
    "guesses the report": (
        "import os\nfor fd in range(3, 20):\n    try: os.write(fd, b'end 9')\n    except OSError: pass\nos._exit(0)",
        "exit",
    ),
    "thread that never ends": (
        "import threading, time\ndef f():\n    while True: time.sleep(1)\nthreading.Thread(target=f).start()",
        "time",
    ),
    "thread flood": (
        "import threading, time\nwhile True: threading.Thread(target=time.sleep, args=(9,)).start()",
        "RuntimeError memory processes time",
    ),
    "endless recursion": ("def f(): return f()\nf()", "RecursionError"),
    "recursion without a limit": (
        "import sys\nsys.setrecursionlimit(10**9)\nclass A:\n    def __repr__(self): return repr(self)\nrepr(A())",
        "signal memory RecursionError time",
    ),
    "interpreter crash": ("import ctypes\nctypes.string_at(0)", "signal"),
    "abort": ("import os\nos.abort()", "signal"),
    "endless regular expression": ("import re\nre.match('(a+)+$', 'a' * 40 + 'b')", "time"),
    "source too deep for the parser": ("(" * 10_000 + ")" * 10_000, "SyntaxError memory RecursionError signal"),
    "null byte in the source": ("x = 1\0", "SyntaxError ValueError"),
}
# These need a layer of the kernel. SENTINEL is a file outside, PORT a server on this machine, PID our process.
HELD_BACK = {
    "writes outside": ("open(SENTINEL, 'w').write('gone')", "PermissionError OSError"),
    "removes outside": ("import os\nos.remove(SENTINEL)", "PermissionError OSError"),
    "removes a tree": ("import shutil, os\nshutil.rmtree(os.path.dirname(SENTINEL))", "PermissionError OSError"),
    "changes the rights of a file outside": ("import os\nos.chmod(SENTINEL, 0)", "PermissionError OSError"),
    "writes into shared memory": ("open('/dev/shm/hornbook', 'wb').write(b'x')", "PermissionError OSError"),
    "reads a file of the user": ("print(open(SENTINEL).read())", "PermissionError"),
    "reads our environment": ("print(open(f'/proc/{PID}/environ').read())", "PermissionError FileNotFoundError"),
    "looks for passwords": ("print(open('/etc/shadow').read())", "PermissionError"),
    "signals our process": ("import os\nos.kill(PID, 9)", "ProcessLookupError PermissionError"),
    "connects": ("import socket\nsocket.create_connection(('127.0.0.1', PORT), timeout=1)", "PermissionError OSError"),
    "sends a datagram": (
        "import socket\nsocket.socket(type=socket.SOCK_DGRAM).sendto(b'x', ('127.0.0.1', PORT))",
        "OSError PermissionError",
    ),
    "mounts": (
        "import ctypes\nif ctypes.CDLL(None).mount(b'none', b'/tmp', b'tmpfs', 0, None): raise PermissionError",
        "PermissionError",
    ),
}  # fmt: skip


SLOW = {"fork bomb that swallows errors", "shell fork bomb"}


@pytest.mark.parametrize("name", [pytest.param(n, marks=pytest.mark.stress if n in SLOW else ()) for n in HOSTILE])
def test_a_hostile_program_is_stopped_and_its_cause_told(name):
    program, causes = HOSTILE[name]
    started = time.monotonic()
    found = run(program, LIMITS)
    assert not found.passed and found.reason in causes.split(), (found.reason, found.output[-300:])
    assert len(found.output) <= LIMITS.output_bytes
    assert time.monotonic() - started < 60


@needs_layers
@pytest.mark.parametrize("name", HELD_BACK)
def test_what_lies_outside_stays_as_it_was(name, tmp_path, monkeypatch):
    monkeypatch.setenv("HORNBOOK_TEST_KEY", "hunter2")
    folder = tmp_path / "tree"
    folder.mkdir()
    sentinel = folder / "sentinel"
    sentinel.write_text("precious")
    sentinel.chmod(0o666)
    program, causes = HELD_BACK[name]
    with socket.create_server(("127.0.0.1", 0)) as server:
        head = f"SENTINEL, PORT, PID = {str(sentinel)!r}, {server.getsockname()[1]}, {os.getpid()}\n"
        found = run(head + program, LIMITS)
    assert not found.passed and found.reason in causes.split(), (found.reason, found.output[-300:])
    assert sentinel.read_text() == "precious" and os.stat(sentinel).st_mode & 0o777 == 0o666
    assert "precious" not in found.output and "hunter2" not in found.output
    assert not Path("/dev/shm/hornbook").exists()


def test_nothing_is_left_of_a_program_that_deletes_its_folder_or_hides_in_the_background():
    before = set(Path(os.environ.get("TMPDIR", "/tmp")).glob("hornbook-sandbox-*"))
    assert run("import os, shutil\nshutil.rmtree(os.getcwd(), ignore_errors=True)", LIMITS).seconds < 1.5
    assert run("import os\nif os.fork() == 0:\n    os.setsid()\n    while True: pass", LIMITS).passed
    assert set(Path(os.environ.get("TMPDIR", "/tmp")).glob("hornbook-sandbox-*")) <= before


def test_programs_that_run_together_see_nothing_of_each_other():
    spoil = "import builtins, os\nopen('left', 'w').close()\nbuiltins.len = lambda x: 7\nos._exit(3)"
    first, second = run_together([spoil, "import os\nassert len('ab') == 2\nassert os.listdir() == []"], LIMITS)
    assert first.reason == "exit" and second.passed


def test_a_program_counts_its_checks_and_one_that_stops_early_has_not_passed():
    assert run("__checked__()\n__checked__()").checks == 2
    early = run("import os\n__checked__()\nos._exit(0)")
    assert not early.passed and early.checks == 0


def test_the_sandbox_says_what_holds_and_refuses_where_nothing_does(monkeypatch):
    assert "time, memory" in describe()
    monkeypatch.setattr("hornbook.services.sandbox.layers", tuple)
    with pytest.raises(HornbookError, match="HORNBOOK_UNSANDBOXED"):
        list(run_many(["pass"]))
    monkeypatch.setenv("HORNBOOK_UNSANDBOXED", "1")
    require()


@needs_layers
def test_a_program_ends_when_we_are_killed():
    mark = f"hornbook-{os.getpid()}-{time.monotonic_ns()}"
    program = f"import os\nos.execv('/bin/sleep', ['{mark}', '300'])"
    code = f"from hornbook.services.sandbox import *\nrun({program!r}, Limits(seconds=2.0))"
    ours = subprocess.Popen([sys.executable, "-c", code])
    deadline = time.monotonic() + 60
    while not _running(mark) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert _running(mark)
    ours.send_signal(signal.SIGKILL)
    ours.wait()
    while _running(mark) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not _running(mark)


def _running(mark: str) -> bool:
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if mark.encode() in (process / "cmdline").read_bytes().split(b"\0")[0]:
                return True
        except OSError:  # it has ended meanwhile
            continue
    return False
