"""Steps: nothing complete is repeated, nothing half-written is taken for whole."""

import os
import signal
import subprocess
import sys

import pytest

from hornbook.core.config import Config
from hornbook.core.errors import HornbookError
from hornbook.core.step import Step, execute, read_manifest

CALLS: list[str] = []


class Power(Config):
    exponent: int = 2


def write_number(inputs, out, config):
    CALLS.append("number")
    (out / "n.txt").write_text("3")
    return {"rows_out": 1}


def raise_to(inputs, out, config):
    CALLS.append("power")
    (out / "n.txt").write_text(str(int((inputs["number"] / "n.txt").read_text()) ** config.exponent))
    return {"rows_out": 1}


def probe(inputs, out, config):
    CALLS.append("probe")
    (out / "threads").write_text(os.environ["PROBED"])
    return {}


def no_space(inputs, out, config):
    raise OSError(28, "No space left on device")


def steps(exponent=2, external="v1"):
    number = Step("demo.number", write_number, "read", external=external)
    return [number, Step("demo.power", raise_to, "transform", Power(exponent=exponent), {"number": number})]


def run(tmp_path, plan):
    CALLS.clear()
    done = list(execute(plan, tmp_path))
    return [d.fresh for d in done]


def test_second_run_does_nothing(tmp_path):
    assert run(tmp_path, steps()) == [True, True]
    assert run(tmp_path, steps()) == [False, False]
    assert CALLS == []
    assert (tmp_path / "steps" / "demo.power" / "n.txt").read_text() == "9"


def test_a_change_repeats_the_step_and_all_that_follows_and_nothing_else(tmp_path):
    run(tmp_path, steps())
    assert run(tmp_path, steps(exponent=3)) == [False, True]
    assert (tmp_path / "steps" / "demo.power" / "n.txt").read_text() == "27"
    assert run(tmp_path, steps(exponent=3, external="v2")) == [True, True]


def test_what_a_machine_was_found_to_be_is_part_of_the_identity_of_what_follows(tmp_path, monkeypatch):
    first = Step("demo.probe", probe, "train", by_content=True)
    plan = [first, Step("demo.power", write_number, "train", inputs={"choices": first})]
    monkeypatch.setenv("PROBED", "2")
    assert run(tmp_path, plan) == [True, True]
    monkeypatch.setenv("PROBED", "4")
    assert run(tmp_path, plan) == [False, False]  # probed once per run
    (tmp_path / "steps" / "demo.probe" / "manifest.json").unlink()
    assert run(tmp_path, plan) == [True, True]


def test_a_folder_without_a_manifest_is_rubbish(tmp_path):
    run(tmp_path, steps())
    (tmp_path / "steps" / "demo.number" / "manifest.json").write_text('{"identity": ')
    assert run(tmp_path, steps()) == [True, False]


def test_a_full_disk_is_one_clear_error(tmp_path):
    with pytest.raises(HornbookError, match=r"disk is full.*Free some space"):
        run(tmp_path, [Step("demo.full", no_space, "read")])
    assert read_manifest(tmp_path / "steps" / "demo.full") is None


KILLED = """
import sys, time, pathlib
from hornbook.core.step import Step, execute
def slow(inputs, out, config):
    for i in range(5):
        part = out / f"part{i}"
        if not part.exists():
            print("wrote", i, flush=True)
            time.sleep(0.2)
            part.write_text(str(i))
    return {}
if __name__ == "__main__":
    list(execute([Step("demo.slow", slow, "read")], pathlib.Path(sys.argv[1])))
"""


def test_a_killed_step_keeps_its_finished_parts_and_is_never_taken_for_whole(tmp_path):
    script = tmp_path / "killed.py"
    script.write_text(KILLED)
    command = [sys.executable, str(script), str(tmp_path / "run")]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert [process.stdout.readline() for _ in range(4)][-1] == "wrote 3\n"
    process.send_signal(signal.SIGKILL)
    process.wait()
    folder = tmp_path / "run" / "steps" / "demo.slow"
    assert not folder.exists()
    second = subprocess.run(command, capture_output=True, text=True, check=True)
    assert second.stdout.split("\n")[0] == "wrote 3"
    assert sorted(path.name for path in folder.iterdir()) == [
        "manifest.json",
        *(f"part{i}" for i in range(5)),
    ]
