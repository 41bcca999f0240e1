"""The choice of the machine."""

import json

from hornbook.training import probe
from hornbook.training.config import ProbeConfig
from hornbook.training.probe import probe_step
from tests.training.stores import SHAPE

SMALL = {"model": SHAPE, "vocab_size": 300, "context": 32, "batch_tokens": 64}


def test_the_choices_are_written_and_a_short_run_is_not_compiled(tmp_path):
    counters = probe_step({}, tmp_path, ProbeConfig(**SMALL, planned_tokens=64, threads=1))
    choices = json.loads((tmp_path / "choices.json").read_text())
    assert choices.keys() == {"threads", "compile", "dtype", "device"}
    assert choices["threads"] == 1 and choices["compile"] is False
    assert counters["choices"] == choices
    assert "too short" in counters["compile"]["not_tried"]
    assert counters["bfloat16"]["times_faster"] > 0


def test_what_the_recipe_says_is_not_probed(tmp_path, monkeypatch):
    monkeypatch.setattr(probe, "_step_seconds", lambda *_: 1 / 0)
    given = {"threads": 2, "compile": True, "dtype": "bfloat16", "device": "cpu"}
    probe_step({}, tmp_path, ProbeConfig(**SMALL, **given))
    assert json.loads((tmp_path / "choices.json").read_text()) == given


def test_a_long_run_is_compiled_when_that_saves_time_and_a_compiler_is_there(tmp_path, monkeypatch):
    def chosen(eager: float, compiled: float) -> bool:
        seconds = {True: (compiled, 60.0), False: (eager, eager)}
        monkeypatch.setattr(probe, "_step_seconds", lambda _, choices: seconds[choices.compile])
        settings = ProbeConfig(**SMALL, planned_tokens=640_000, threads=1, dtype="float32", device="cpu")
        probe_step({}, tmp_path, settings)
        return json.loads((tmp_path / "choices.json").read_text())["compile"]

    monkeypatch.setattr(probe.shutil, "which", lambda name: f"/usr/bin/{name}")
    assert chosen(0.1, 0.05)
    assert not chosen(0.1, 0.099)
    monkeypatch.setattr(probe.shutil, "which", lambda name: None)
    assert not chosen(0.1, 0.05)
