"""What is seen of a training: alarms, samples, measures, loggers, the page of curves; and seeing changes nothing."""

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from hornbook.core.errors import HornbookError
from hornbook.report.curves import write_curves
from hornbook.training import trainer
from hornbook.training.trainer import train_arm_step
from tests.training.stores import config

WATCHED = {
    "loggers": ["tensorboard"],
    "evaluate_every": 10,
    "sample_prompts": ["def task_1(values):\n", "total"],
    "sample_every": 10,
    "sample_tokens": 8,
    "alarms": {"update_ratio_every": 5},
}


def lines(path: Path) -> list[dict]:
    return [json.loads(line) for line in path.read_text().splitlines()]


@pytest.fixture(scope="module")
def run(inputs, tmp_path_factory) -> Path:
    """A run of one plain training and one that is watched."""
    pytest.importorskip("tensorboard")
    run = tmp_path_factory.mktemp("run")
    plain, watched = run / "steps" / "training.plain", run / "steps" / "training.watched"
    for out in (plain, watched):
        out.mkdir(parents=True)
    train_arm_step(inputs, plain, config())
    train_arm_step(inputs, watched, config(monitor=WATCHED), measure=lambda model: 1.5)
    return run


def test_a_watched_training_ends_with_the_same_bits(run):
    plain, watched = (
        load_file(run / "steps" / f"training.{name}" / "5120" / "model.safetensors") for name in ("plain", "watched")
    )
    assert all(torch.equal(weight, watched[name]) for name, weight in plain.items())


def test_curve_samples_and_measures_are_written_when_they_are_due(run):
    watched = run / "steps" / "training.watched"
    curve = lines(watched / "curve.jsonl")
    assert all(line["gradient_norm"] > 0 for line in curve)
    assert [line["step"] for line in curve if "update_ratio" in line] == [
        0,
        5,
        10,
        15,
        15,
        20,
        25,
        30,
        35,
    ]  # 15 in decay and trunk
    measured = {line["step"] for line in curve if line.get("measured") == 1.5}
    assert measured == {9, 14, 19, 29, 39}
    samples = [(line["branch"], line["step"], line["prompt"]) for line in lines(watched / "samples.jsonl")]
    assert samples[:2] == [("trunk", 9, prompt) for prompt in WATCHED["sample_prompts"]]
    assert (5120, 39, "total") in samples


def test_tensorboard_has_every_branch(run):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    for branch, steps in (("trunk", 30), ("2560", 5), ("5120", 10)):
        folder = run / "steps" / "training.watched" / "tensorboard" / branch
        found = set()
        for path in folder.iterdir():  # the trunk goes on after a decay
            events = EventAccumulator(str(path)).Reload()
            found |= {event.step for event in events.Scalars("loss")}
        assert len(found) == steps


def test_the_page_has_all_trainings_and_branches(run):
    page = write_curves(run).read_text()
    for text in ("plain", "watched", "trunk", "Gradient norm", "Update ratio", "def task_1"):
        assert text in page
    assert page.count("<svg") == 5 + 6  # nothing was measured in the plain one
    assert "http" not in page.replace("http://www.w3.org", "")
    with pytest.raises(HornbookError, match="curve yet"):
        write_curves(run / "steps")


def test_a_spike_rings(inputs, tmp_path, monkeypatch, capsys):
    made = trainer.gradient_function

    def with_spike(model, *args, **options):
        gradients, calls = made(model, *args, **options), iter(range(10**6))

        def spiking(*batch):
            loss = gradients(*batch)
            if next(calls) == 25:
                for parameter in model.parameters():
                    parameter.grad.mul_(1000)
                return loss + 5
            return loss

        return spiking

    monkeypatch.setattr(trainer, "gradient_function", with_spike)
    optimizer = {"name": "adamw", "adamw": {"lr": 0.001}, "clip_norm": 1.0}
    train_arm_step(inputs, tmp_path, config(budgets=(5120,), schedule="constant", optimizer=optimizer))
    rang = {line["step"]: line["alarms"] for line in lines(tmp_path / "curve.jsonl") if "alarms" in line}
    assert rang == {25: ["gradient_norm", "loss"]}
    assert "step 25 of branch 5120: the gradient norm" in capsys.readouterr().err


def test_weights_and_biases_gets_a_run_for_every_branch(inputs, tmp_path, monkeypatch):
    (tmp_path / "wandb.py").write_text(
        "runs = []\n"
        "class Run:\n"
        "    def __init__(self, **about): self.about, self.steps, self.is_finished = about, [], False\n"
        "    def log(self, values, step): self.steps.append(step)\n"
        "    def finish(self): self.is_finished = True\n"
        "def init(**about):\n"
        "    runs.append(Run(**about))\n"
        "    return runs[-1]\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    out = tmp_path / "training.arm"
    out.mkdir()
    train_arm_step(inputs, out, config(monitor={"loggers": ["wandb"]}))
    import wandb

    assert [run.about["name"] for run in wandb.runs[:2]] == ["training.arm trunk", "training.arm 2560"]
    assert all(run.is_finished for run in wandb.runs)
    assert sum(len(run.steps) for run in wandb.runs) == 45


def test_what_cannot_be_watched_is_told_before_training(inputs, tmp_path, monkeypatch):
    with pytest.raises(HornbookError, match="needs a measure"):
        train_arm_step(inputs, tmp_path, config(monitor={"evaluate_every": 5}))
    with pytest.raises(HornbookError, match="longer than the model's"):
        train_arm_step(inputs, tmp_path, config(monitor={"sample_prompts": ["a"], "sample_tokens": 100}))
    monkeypatch.setitem(__import__("sys").modules, "wandb", None)
    with pytest.raises(HornbookError, match="wandb is not installed"):
        train_arm_step(inputs, tmp_path, config(monitor={"loggers": ["wandb"]}))
