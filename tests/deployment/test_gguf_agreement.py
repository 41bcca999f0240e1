"""llama.cpp computes with our GGUF files what our decoder computes, in both block styles and every file type."""

from pathlib import Path
from typing import Any

import pytest

from hornbook.deployment.agreement import Agreement, Row, compare
from hornbook.deployment.config import DeploymentConfig
from hornbook.deployment.export import export_gguf
from hornbook.model import gguf
from hornbook.model.config import LongRope
from hornbook.model.load import load_any
from tests.model.tiny import SHAPES, tiny_folder

CONFIG = DeploymentConfig(positions=60, prompts=("def add(a, b):", "naïve 🙂\n\n  x\t='s "))
PARALLEL = SHAPES["parallel blocks"]
LONG = {
    "max_position_embeddings": 512,
    "rope_scaling": LongRope(256, tuple(1 + 0.1 * i for i in range(8)), tuple(1 + 1.5 * i for i in range(8))),
}
MODELS: dict[str, dict[str, Any]] = {
    "phi2": PARALLEL,
    "phi2 with another theta": {**PARALLEL, "rope_theta": 500.0},
    "phi2 with grouped queries": {**PARALLEL, "num_key_value_heads": 2, "partial_rotary_factor": 0.25},
    "phi3": {},
    "phi3 with a head of its own": {"tie_word_embeddings": False, "num_key_value_heads": 4},
    "phi3 with partial rotary and another theta": {"partial_rotary_factor": 0.75, "rope_theta": 500.0},
    "phi3 with a window": {"sliding_window": 64},
    "phi3 with LongRoPE": LONG,
    "phi3 with LongRoPE in a part of a head": {
        **LONG,
        "partial_rotary_factor": 0.5,
        "rope_scaling": LongRope(256, (1.0, 1.1, 1.2, 1.3), (1.0, 3.0, 6.0, 12.0), attention_factor=1.3),
    },
}


def measured(folder: Path, file_type: Any) -> Agreement:
    found = export_gguf(folder, folder / "model.gguf", file_type, CONFIG)
    print(f"{file_type}: {found}")
    assert found.positions >= 50
    return found


@pytest.mark.parametrize("model", MODELS)
def test_every_kind_of_model_agrees_to_the_last_digits(tmp_path: Path, model: str) -> None:
    found = measured(tiny_folder(tmp_path, **MODELS[model]), "F32")
    assert found.kl_divergence < 3e-5 and found.top_token == 1


@pytest.mark.parametrize("model", ["phi2", "phi3 with LongRoPE"])
@pytest.mark.parametrize(("file_type", "kl_divergence"), [("F16", 1e-3), ("BF16", 1e-2), ("Q8_0", 1e-2)])
def test_smaller_types_agree_with_the_model(tmp_path: Path, model: str, file_type: str, kl_divergence: float) -> None:
    assert measured(tiny_folder(tmp_path, **MODELS[model]), file_type).kl_divergence < kl_divergence


@pytest.mark.parametrize("model", ["phi2", "phi3"])
@pytest.mark.parametrize("file_type", ["Q4_0", "Q4_1"])
def test_four_bits_agree_with_what_they_leave_of_the_model(tmp_path: Path, model: str, file_type: str) -> None:
    assert measured(tiny_folder(tmp_path, **MODELS[model]), file_type).kl_divergence < 1e-2


def test_llama_cpp_chooses_the_factors_by_the_room_it_is_given(tmp_path: Path) -> None:
    folder = tiny_folder(tmp_path, **LONG)
    gguf.export(folder, tmp_path / "model.gguf", "F32")
    model, tokenizer = load_any(folder)
    short = [Row(range(60), context) for context in (256, 512)]
    found = [compare(model, tokenizer, tmp_path / "model.gguf", (), [row], "F32") for row in short]
    assert found[0].kl_divergence < 1e-5 and found[1].kl_divergence > 1e-2
