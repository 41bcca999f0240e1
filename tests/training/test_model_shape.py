"""A recipe chooses the blocks of its models, and what is trained leaves as what it says it is."""

import json
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from hornbook.deployment.config import DeploymentConfig
from hornbook.deployment.export import export_gguf
from hornbook.model import gguf_read, huggingface
from hornbook.model.config import PARALLEL
from hornbook.model.presets import PRESETS
from hornbook.training.config import ModelShape
from hornbook.training.trainer import train_arm_step
from tests.training.stores import SHAPE, config, write_inputs

PHI = {"style": "phi", "partial_rotary_factor": 0.5, "rope_theta": 5_000.0}
SMALL = {"preset": "phi-3-small-8k", "rope_theta": 10_000.0}


def test_a_model_in_the_style_of_phi_1_is_trained_and_leaves_as_one(tmp_path: Path) -> None:
    shape = ModelShape(**{**SHAPE.model_dump(exclude={"tie_word_embeddings"}), **PHI})
    out = tmp_path / "out"
    out.mkdir()
    train_arm_step(write_inputs(tmp_path / "in"), out, config(model=shape, budgets=(2560,)))
    assert json.loads((out / "2560" / "config.json").read_text())["model_type"] == "phi"
    trained = huggingface.load(out / "2560").config
    assert {name: getattr(trained, name) for name in PARALLEL} == PARALLEL
    assert (trained.rotary_dim, trained.rope_theta, trained.tie_word_embeddings) == (8, 5_000.0, False)

    prompts = DeploymentConfig(positions=50, prompts=("def task_1(values):", "    total"))
    measured = export_gguf(out / "2560", tmp_path / "model.gguf", "F16", prompts)
    assert measured.positions >= 50 and measured.kl_divergence < 1e-3
    assert gguf_read.read(tmp_path / "model.gguf").config.block == "parallel"


def test_a_shape_means_the_same_after_it_was_written_down() -> None:
    for changes in (
        {},
        PHI,
        {"style": "phi", "partial_rotary_factor": 1.0},
        {"sliding_window": 128},
        {"preset": "phi-4"},
        SMALL,
    ):
        shape = ModelShape(**changes)
        assert ModelShape(**shape.model_dump()) == shape
        assert ModelShape(**json.loads(shape.model_dump_json())).of(300) == shape.of(300)


def test_a_preset_is_the_shape_of_that_name_but_for_what_is_said_beside_it() -> None:
    for name in ("phi-1-small", "phi-2", "phi-3-mini-4k", "phi-3-small-8k", "phi-4", "3M", "1M-parallel"):
        known = PRESETS[name]
        special = {
            key: getattr(known, key)
            for key in ("bos_token_id", "eos_token_id", "dummy_token_indices")
            if hasattr(known, key)
        }
        assert ModelShape(preset=name).of(known.vocab_size, **special) == known
    changed = ModelShape(preset="phi-4", rope_theta=10_000.0)
    assert (changed.rope_theta, changed.hidden_size) == (10_000.0, 5120)
    assert ModelShape(preset="phi-4-mini").max_position_embeddings == 4096  # before LongRoPE


def test_what_a_recipe_does_not_use_is_not_in_its_identity() -> None:
    assert ModelShape().model_dump().keys() == {
        "hidden_size",
        "num_hidden_layers",
        "num_attention_heads",
        "num_key_value_heads",
        "intermediate_size",
        "max_position_embeddings",
        "tie_word_embeddings",
    }


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"style": "phi2"}, "'phi3', 'phi' or 'phi3small'"),
        ({"style": "phi", "tie_word_embeddings": True}, "head with a bias is not the embedding"),
        ({"style": "phi", "sliding_window": 64}, "no sliding_window"),
        ({"preset": "phi-5"}, "'phi-5' is no model that a recipe trains"),
        ({"num_attention_heads": 3}, "cannot be shared by 3 heads"),
        ({"partial_rotary_factor": 0.01}, "cannot turn 0 channels"),
    ],
)
def test_a_shape_that_cannot_be_is_refused_before_anything_runs(changes: dict[str, Any], reason: str) -> None:
    with pytest.raises(ValidationError, match=reason):
        ModelShape(**changes)
