"""Checkpoints: whole or not there, of one run only, and a model at any of them."""

import json
from pathlib import Path

import pytest
import torch

from hornbook.core.errors import HornbookError
from hornbook.core.lock import folder_lock
from hornbook.model import huggingface
from hornbook.training.checkpoint import About, Checkpoints, read_about, read_tensors
from hornbook.training.config import CheckpointConfig, OptimizerConfig
from hornbook.training.model_folder import export_checkpoint
from hornbook.training.trainer import train_arm_step
from tests.training.stores import config

IDENTITY = {"data": "d", "settings": {"seed": 0, "optimizer": {"muon_lr": 0.1}}, "machine": {"threads": 1}}


def state(value: float) -> dict[str, torch.Tensor]:
    return {"weight.a": torch.full((100, 3), value), "mean.a": torch.full((7,), -value)}


def saved(folder: Path, steps: dict[int, float | None], **settings: object) -> list[int]:
    """Save states at steps with a measure each; returns the steps that are kept."""
    with Checkpoints(folder, CheckpointConfig(**settings)) as checkpoints:
        for step, measure in steps.items():
            checkpoints.save(state(step), About("trunk", step, step, IDENTITY, milestone=False, measure=measure))
    return sorted(int(path.name.removeprefix("trunk-")) for path in folder.glob("trunk-*"))


def test_what_is_saved_comes_back_and_later_changes_do_not_reach_it(tmp_path):
    tensors = state(1.5)
    with Checkpoints(tmp_path, CheckpointConfig()) as checkpoints:
        checkpoints.save(tensors, About("trunk", 3, 2, IDENTITY))
        for tensor in tensors.values():
            tensor.zero_()  # training goes on
        found = checkpoints.newest("trunk", 0, 10)
        assert found and (found.step, found.updates) == (3, 2)
        checkpoints.load(found, IDENTITY, tensors)
    assert all(torch.equal(tensor, state(1.5)[name]) for name, tensor in tensors.items())


def test_the_last_and_the_best_are_kept(tmp_path):
    measured = {1: 3.0, 2: 1.0, 3: 2.0, 4: 5.0, 5: 4.0}
    assert saved(tmp_path / "a", measured) == [5]
    assert saved(tmp_path / "b", measured, keep_last=2) == [4, 5]
    assert saved(tmp_path / "c", measured, keep_last=1, keep_best=2) == [2, 3, 5]


def test_a_checkpoint_of_another_run_is_refused_and_the_difference_is_named(tmp_path):
    saved(tmp_path, {1: None})
    with Checkpoints(tmp_path, CheckpointConfig()) as checkpoints:
        found = checkpoints.newest("trunk", 0, 1)
        other = {**IDENTITY, "settings": {"seed": 0, "optimizer": {"muon_lr": 0.2}}, "machine": {"threads": 2}}
        tensors = state(9)
        with pytest.raises(HornbookError, match=r"other settings \(optimizer.muon_lr\) and other machine \(threads\)"):
            checkpoints.load(found, other, tensors)
        with pytest.raises(HornbookError, match="other data"):
            checkpoints.load(found, {**IDENTITY, "data": "e"}, tensors)
    assert all(torch.equal(tensor, state(9)[name]) for name, tensor in tensors.items())


@pytest.mark.parametrize("file", ["__0_0.distcp", ".metadata"])
@pytest.mark.parametrize("harm", ["flipped", "cut", "gone"])
def test_a_damaged_file_is_noticed_before_anything_is_loaded(tmp_path, file, harm):
    saved(tmp_path, {1: None})
    path = tmp_path / "trunk-00000001" / file
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content if harm == "flipped" else content[:-9])
    if harm == "gone":
        path.unlink()
    tensors = state(9)
    with pytest.raises(HornbookError, match=r"Delete .*trunk-00000001 and run again"):
        read_tensors(tmp_path / "trunk-00000001", tensors)
    assert all(torch.equal(tensor, state(9)[name]) for name, tensor in tensors.items())


def test_what_a_kill_leaves_behind_is_no_checkpoint(tmp_path):
    saved(tmp_path, {1: None})
    half = tmp_path / ".partial-trunk-00000002"
    half.mkdir()
    (half / "__0_0.distcp").write_bytes(b"half")
    (tmp_path / "trunk-00000007").mkdir()  # its description is gone: it was being removed
    with Checkpoints(tmp_path, CheckpointConfig()) as checkpoints:
        found = checkpoints.newest("trunk", 0, 10)
    assert found and found.step == 1
    assert sorted(path.name for path in tmp_path.iterdir()) == [".lock", "trunk-00000001"]


def test_a_description_that_cannot_be_read_is_an_error(tmp_path):
    saved(tmp_path, {1: None})
    (tmp_path / "trunk-00000001" / "checkpoint.json").write_text("{")
    with pytest.raises(HornbookError, match="damaged"):
        read_about(tmp_path / "trunk-00000001")


def test_a_folder_in_use_is_refused(tmp_path, inputs):
    with folder_lock(tmp_path / "checkpoints", "x"), pytest.raises(HornbookError, match="Another process is at work"):
        train_arm_step(inputs, tmp_path, config())


def test_any_kept_checkpoint_becomes_a_hugging_face_folder(tmp_path, inputs):
    from transformers import AutoModelForCausalLM, AutoTokenizer

    losses = iter(range(100, 0, -1))
    kept = {"every_steps": 4, "keep_last": 2, "keep_best": 1, "keep_when_done": True}
    settings = config(budgets=(2560,), checkpoints=kept)
    train_arm_step(inputs, tmp_path, settings, measure=lambda model: float(next(losses)))
    checkpoints = tmp_path / "checkpoints"
    assert sorted(path.name for path in checkpoints.glob("*-*")) == [
        "2560-00000016",
        "trunk-00000012",
        "trunk-00000015",  # the decay starts from it
    ]
    export_checkpoint(checkpoints / "2560-00000016", tmp_path / "exported")
    ours, theirs = (
        huggingface.load(tmp_path / "exported"),
        AutoModelForCausalLM.from_pretrained(tmp_path / "exported"),
    )
    ids = torch.tensor([AutoTokenizer.from_pretrained(tmp_path / "exported")("def task(values):")["input_ids"]])
    with torch.no_grad():
        assert torch.allclose(theirs(ids).logits, ours(ids), atol=1e-4)
    finished = huggingface.load(tmp_path / "2560").state_dict()
    moved = max((ours.state_dict()[name] - weight).abs().max().item() for name, weight in finished.items())
    assert 0 < moved < 0.1  # four steps at a low rate later
    with pytest.raises(HornbookError, match="exists"):
        export_checkpoint(checkpoints / "2560-00000016", tmp_path / "exported")
    with pytest.raises(HornbookError, match="no checkpoint"):
        export_checkpoint(checkpoints / "2560-00000001", tmp_path / "other")


def test_keeping_the_best_needs_a_measure(tmp_path, inputs):
    with pytest.raises(HornbookError, match="needs a measure"):
        train_arm_step(inputs, tmp_path, config(checkpoints={"keep_best": 1}))


def test_other_settings_in_the_folder_of_an_interrupted_run_are_refused(tmp_path, inputs):
    def interrupted(model: object) -> float:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):  # in the decay, after the trunk has left its state
        train_arm_step(inputs, tmp_path, config(checkpoints={"every_steps": 18}), measure=interrupted)
    other = config(optimizer=OptimizerConfig(muon_lr=0.02))
    with pytest.raises(HornbookError, match=r"other settings \(optimizer.muon_lr\)"):
        train_arm_step(inputs, tmp_path, other)
    about = json.loads((tmp_path / "checkpoints" / "trunk-00000015" / "checkpoint.json").read_text())
    assert about["step"] == about["updates"] == 15
