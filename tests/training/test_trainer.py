"""What training leaves behind: models that share a trunk, a curve, the same bits after a kill."""

import itertools
import json
import shutil
from collections import Counter
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from hornbook.core.errors import HornbookError
from hornbook.model import huggingface
from hornbook.training import gradients, trainer
from hornbook.training.config import OptimizerConfig, TrainConfig
from hornbook.training.trainer import train_arm_step
from tests.training.stores import config

BUDGETS = ("2560", "5120")


def train(inputs: dict[str, Path], out: Path, settings: TrainConfig) -> dict:
    out.mkdir(exist_ok=True)
    return train_arm_step(inputs, out, settings)


def weights(out: Path, budget: str) -> dict[str, torch.Tensor]:
    return load_file(out / budget / "model.safetensors")


def assert_same_models(a: Path, b: Path) -> None:
    for budget in BUDGETS:
        wanted, found = weights(a, budget), weights(b, budget)
        assert wanted.keys() == found.keys()
        assert all(torch.equal(wanted[name], found[name]) for name in wanted)


def curve(out: Path, *, timed: bool = False) -> list[dict]:
    lines = [json.loads(line) for line in (out / "curve.jsonl").read_text().splitlines()]
    return lines if timed else [{k: v for k, v in line.items() if k != "seconds"} for line in lines]


@pytest.fixture(scope="module")
def trained(inputs, tmp_path_factory) -> tuple[Path, dict]:
    out = tmp_path_factory.mktemp("trained")
    return out, train(inputs, out, config())


def test_every_budget_gives_a_model_folder_that_transformers_loads(trained, inputs):
    from transformers import AutoModelForCausalLM, AutoTokenizer

    out, counters = trained
    assert sorted(path.name for path in out.iterdir()) == sorted([*BUDGETS, "curve.jsonl"])
    for budget in BUDGETS:
        theirs = AutoModelForCausalLM.from_pretrained(out / budget)
        ours = huggingface.load(out / budget)
        ids = torch.tensor([AutoTokenizer.from_pretrained(out / budget)("def task(values):")["input_ids"]])
        with torch.no_grad():
            assert torch.allclose(theirs(ids).logits, ours(ids), atol=1e-4)
    assert counters["tokens"] == (30 + 5 + 10) * 128
    assert counters["unique_tokens"]["corpus"] <= 5120
    assert counters["epochs"]["corpus"] == pytest.approx(5120 / counters["unique_tokens"]["corpus"], abs=1e-3)


def test_the_curve_has_every_step_of_the_trunk_and_of_the_branches(trained):
    lines = curve(trained[0], timed=True)
    assert Counter(line["branch"] for line in lines) == {"trunk": 30, 2560: 5, 5120: 10}
    assert all(line["tokens"] == (line["step"] + 1) * 128 for line in lines)
    assert all(a["seconds"] <= b["seconds"] for a, b in itertools.pairwise(lines))


def test_a_branch_starts_from_the_trunk_that_the_larger_budget_passes_too(trained, inputs, tmp_path):
    alone = tmp_path / "alone"
    train(inputs, alone, config(budgets=(5120,)))
    found, wanted = weights(alone, "5120"), weights(trained[0], "5120")
    assert all(torch.equal(found[name], wanted[name]) for name in wanted)  # the other branch left no trace
    before = [line for line in curve(alone) if line["branch"] == "trunk"]
    assert before == [line for line in curve(trained[0]) if line["branch"] == "trunk"]


def test_it_learns_a_small_text_by_heart(tmp_path, inputs):
    settings = config(budgets=(64_000,), optimizer=OptimizerConfig(muon_lr=0.02, embedding_lr=0.02))
    counters = train(inputs, tmp_path / "out", settings)
    lines = curve(tmp_path / "out")
    assert counters["epochs"]["corpus"] > 10
    assert lines[0]["loss"] > 5
    assert lines[-1]["loss"] < 0.6


def test_the_seed_changes_the_model_and_nothing_else_does(trained, inputs, tmp_path):
    train(inputs, tmp_path / "same", config())
    assert_same_models(trained[0], tmp_path / "same")
    train(inputs, tmp_path / "other", config(seed=1))
    assert not torch.equal(*(weights(out, "5120")["model.norm.weight"] for out in (trained[0], tmp_path / "other")))


def test_lessons_are_counted_with_their_epochs(inputs_with_lessons, tmp_path):
    counters = train(inputs_with_lessons, tmp_path / "out", config(lesson_share=(0.25, 0.75)))
    read = {name: counters["epochs"][name] * n for name, n in counters["unique_tokens"].items()}
    assert read["lessons"] == pytest.approx(0.25 * 30 * 128 + 0.75 * 10 * 128, rel=0.02)


FINETUNE = {"finetune": {"start_from": "base", "tokens": 1280, "learning_rate": 0.5}}


@pytest.fixture(scope="module")
def finetuned(trained, inputs_with_lessons, inputs, tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("finetuned")
    tokens = {**inputs, "tokens": inputs_with_lessons["tokens"], "start": trained[0]}
    train(tokens, out, config(lesson_share=1, **FINETUNE))
    return out


def test_fine_tuning_goes_on_from_the_models_of_another_arm(finetuned, trained, inputs_with_lessons, inputs, tmp_path):
    lines = curve(finetuned)
    assert Counter(line["branch"] for line in lines) == {2560: 10, 5120: 10}
    assert max(line["lr"] for line in lines) <= 0.5 and lines[-1]["lr"] < 0.1
    assert lines[-1]["loss"] < lines[10]["loss"] - 0.5
    tokens = {**inputs, "tokens": inputs_with_lessons["tokens"], "start": trained[0]}
    hardly = {"finetune": {**FINETUNE["finetune"], "learning_rate": 1e-7}}
    train(tokens, tmp_path / "hardly", config(lesson_share=1, **hardly))
    for budget in BUDGETS:  # without a step of any size they are where they began
        begun, ended = weights(trained[0], budget), weights(tmp_path / "hardly", budget)
        assert all(torch.allclose(begun[name], ended[name], atol=1e-5) for name in begun)


def test_interrupted_fine_tuning_ends_with_the_same_bits(
    finetuned, trained, inputs_with_lessons, inputs, tmp_path, monkeypatch
):
    out, original, steps = tmp_path / "out", gradients.linear_cross_entropy, iter(range(10**6))

    def interrupted(*args: torch.Tensor, **more: object) -> torch.Tensor:
        if next(steps) == 14:
            raise KeyboardInterrupt
        return original(*args, **more)

    tokens = {**inputs, "tokens": inputs_with_lessons["tokens"], "start": trained[0]}
    monkeypatch.setattr(gradients, "linear_cross_entropy", interrupted)
    with pytest.raises(KeyboardInterrupt):
        train(tokens, out, config(lesson_share=1, checkpoints={"every_seconds": 0}, **FINETUNE))
    train(tokens, out, config(lesson_share=1, checkpoints={"every_seconds": 0}, **FINETUNE))
    assert_same_models(finetuned, out)


@pytest.mark.parametrize("stop_at", [3, 16, 19, 34, 44])
def test_interrupted_anywhere_it_ends_with_the_same_bits(trained, inputs, tmp_path, monkeypatch, stop_at):
    out, settings = tmp_path / "out", config(checkpoints={"every_seconds": 0})
    original, steps = gradients.linear_cross_entropy, iter(range(10**6))

    def interrupted(*args: torch.Tensor, **more: object) -> torch.Tensor:
        if next(steps) == stop_at:
            raise KeyboardInterrupt
        return original(*args, **more)

    monkeypatch.setattr(gradients, "linear_cross_entropy", interrupted)
    with pytest.raises(KeyboardInterrupt):
        train(inputs, out, settings)
    steps = iter(range(100, 10**6))
    train(inputs, out, settings)
    assert next(steps) == 100 + 45 - stop_at  # nothing is done twice
    assert_same_models(trained[0], out)
    assert curve(out) == curve(trained[0])
    assert sorted(path.name for path in out.iterdir()) == sorted([*BUDGETS, "curve.jsonl"])


def test_a_checkpoint_of_other_data_is_refused(inputs, inputs_with_lessons, tmp_path, monkeypatch):
    out = tmp_path / "out"
    monkeypatch.setattr(trainer._Run, "_publish", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        train(inputs, out, config(checkpoints={"every_seconds": 0}))
    with pytest.raises(HornbookError, match="other data"):
        train(inputs_with_lessons, out, config(checkpoints={"every_seconds": 0}, lesson_share=0.5))


def poisoned(monkeypatch: pytest.MonkeyPatch, bad: set[int]) -> None:
    """Make the losses of these steps no numbers."""
    original, steps = gradients.linear_cross_entropy, iter(range(10**6))

    def poison(*args: torch.Tensor, **more: object) -> torch.Tensor:
        return original(*args, **more) * (float("nan") if next(steps) in bad else 1.0)

    monkeypatch.setattr(gradients, "linear_cross_entropy", poison)


def test_a_step_without_numbers_is_skipped_and_told(inputs, tmp_path, monkeypatch, capsys):
    poisoned(monkeypatch, {3, 17})
    counters = train(inputs, tmp_path / "out", config())
    lines = curve(tmp_path / "out")
    skipped = [(line["branch"], line["step"]) for line in lines if line.get("skipped")]
    assert skipped == [("trunk", 3), (2560, 17)]
    assert all((line["loss"] is None) == line.get("skipped", False) for line in lines)
    assert counters["skipped_steps"] == 2
    assert "step 3 of the trunk skipped" in capsys.readouterr().err
    assert all(torch.isfinite(tensor).all() for tensor in weights(tmp_path / "out", "5120").values())


def test_too_many_steps_without_numbers_stop_the_run(inputs, tmp_path, monkeypatch):
    poisoned(monkeypatch, set(range(5, 10**6)))
    with pytest.raises(HornbookError, match=r"4 steps .* Lower the learning rates"):
        train(inputs, tmp_path / "out", config(max_skipped_steps=3))
    assert curve(tmp_path / "out")[-1]["step"] == 8


def test_micro_batches_and_activation_checkpointing_train_the_same_model(trained, inputs, tmp_path):
    train(inputs, tmp_path / "out", config(micro_batch_tokens=64, activation_checkpointing=True))
    for budget in BUDGETS:
        wanted, found = weights(trained[0], budget), weights(tmp_path / "out", budget)
        assert all(torch.allclose(wanted[name], found[name], atol=1e-3) for name in wanted)


@pytest.mark.parametrize("schedule", ["cosine", "linear", "constant"])
def test_other_schedules_train_every_budget_on_its_own(inputs, tmp_path, schedule):
    settings = {"schedule": schedule, "optimizer": {"name": "adamw", "adamw": {"lr": 0.01}, "clip_norm": 1.0}}
    train(inputs, tmp_path / "both", config(**settings))
    train(inputs, tmp_path / "one", config(**settings, budgets=(2560,)))
    both, one = weights(tmp_path / "both", "2560"), weights(tmp_path / "one", "2560")
    assert all(torch.equal(both[name], one[name]) for name in both)
    lines = curve(tmp_path / "both")
    assert Counter(line["branch"] for line in lines) == {2560: 20, 5120: 40}
    assert lines[-1]["loss"] < lines[0]["loss"] - 1


def test_a_damaged_token_store_is_noticed(inputs, tmp_path):
    shutil.copytree(inputs["tokens"], tmp_path / "tokens")
    path = tmp_path / "tokens" / "corpus" / "tokens.bin"
    content = bytearray(path.read_bytes())
    content[1::2] = b"\xff" * len(content[1::2])
    path.write_bytes(content)
    with pytest.raises(HornbookError, match=r"token store .* has changed"):
        train({**inputs, "tokens": tmp_path / "tokens"}, tmp_path / "out", config())
