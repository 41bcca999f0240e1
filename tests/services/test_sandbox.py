"""The sandbox: what a program cannot do, shown by programs that try."""

import contextlib
import os
import socket
import time
from pathlib import Path

import pytest

from hornbook.corpus.builtin import COLLECTIONS
from hornbook.services.sandbox import Limits, run, run_many

QUICK = Limits(seconds=2.0, cpu_seconds=2)
ISOLATED = run("pass").isolated


def test_a_program_that_reaches_its_end_has_passed():
    found = run("print('hello')\nassert sum([1, 2]) == 3\n")
    assert found.passed and found.reason == "" and found.output == "hello\n"


@pytest.mark.parametrize(
    ("program", "reason"),
    [
        ("assert 1 == 2", "AssertionError"),
        ("def f(:", "SyntaxError"),
        ("import sys; sys.exit(0)", "exit"),
        ("import os; os._exit(0)", "exit"),
        ("import ctypes; ctypes.string_at(0)", "signal"),
        ("x = []\nwhile True: x.append(' ' * 10_000_000)", "memory"),
        ("while True: pass", "time"),
        ("import time; time.sleep(60)", "time"),
    ],
)
def test_every_other_end_has_its_reason(program, reason):
    started = time.monotonic()
    found = run(program, QUICK)
    assert not found.passed and found.reason == reason, found
    assert time.monotonic() - started < 10


def test_it_sees_neither_environment_nor_files_of_ours_and_leaves_none(monkeypatch):
    monkeypatch.setenv("SECRET", "hunter2")
    found = run("import os\nprint(dict(os.environ))\nprint(os.getcwd(), os.listdir())\nopen('mine', 'w').write('x')\n")
    assert found.passed, found.output
    assert "hunter2" not in found.output
    folder = found.output.splitlines()[1].split()[0]
    assert found.output.splitlines()[1].endswith("[]") and not Path(folder).exists()


def test_a_flood_of_output_or_of_files_is_cut(tmp_path):
    found = run("while True: print('x' * 10_000)", QUICK)
    assert not found.passed and len(found.output) <= 20_000
    assert not run("open('big', 'wb').write(b'x' * 100_000_000)", QUICK).passed
    assert not run("keep = [open(str(n), 'w') for n in range(1000)]", QUICK).passed


@pytest.mark.skipif(not ISOLATED, reason="the kernel allows no namespaces here")
def test_there_is_no_network():
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        found = run(f"import socket\nsocket.create_connection(('127.0.0.1', {port}), timeout=1)\n", QUICK)
    assert not found.passed and found.reason in ("OSError", "PermissionError"), found


@pytest.mark.skipif(not ISOLATED, reason="the kernel allows no namespaces here")
def test_nothing_that_it_started_outlives_it():
    mark = f"hornbook-{os.getpid()}-{time.monotonic_ns()}"
    program = (
        "import os, time\nfor _ in range(5):\n    if os.fork() == 0:\n        os.setsid()\n"
        f"        os.execv('/bin/sleep', ['{mark}', '300'])\n"
    )
    assert run(program, QUICK).passed
    alive = []
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):  # it has ended meanwhile
            alive.append((process / "cmdline").read_bytes())
    assert not [command for command in alive if mark.encode() in command]


@pytest.mark.skipif(not ISOLATED, reason="the kernel allows no namespaces here")
def test_a_fork_bomb_ends():
    assert not run("import os\nwhile True: os.fork()\n", QUICK).passed


def test_exercises_of_the_textbook_pass_and_spoilt_ones_do_not():
    exercises = [
        (text, about) for _, text, about in COLLECTIONS["python-textbook"].read() if about["kind"] == "exercise"
    ][::60]
    good = list(run_many(f"{text}\n{about['tests']}" for text, about in exercises))
    assert len(good) > 10 and all(outcome.passed for outcome in good)
    spoilt = list(run_many(f"{text}\n{about['tests']}\nassert False" for text, about in exercises))
    assert not any(outcome.passed for outcome in spoilt)
