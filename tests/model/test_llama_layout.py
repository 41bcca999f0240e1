"""A Llama checkpoint computes with our decoder what it computes with transformers, or it is refused."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from tokenizers import Tokenizer, models
from transformers import AutoModelForCausalLM, LlamaForCausalLM, Phi3ForCausalLM

from hornbook.core.errors import HornbookError
from hornbook.model import huggingface, llama_layout
from hornbook.model.load import load_any
from tests.model.llama_files import tiny_llama, write_llama_folder
from tests.model.tiny import TEXT, tiny_folder

SHAPES: dict[str, dict[str, Any]] = {
    "plain": {"num_key_value_heads": 4},
    "grouped queries": {},
    "one head of keys and values": {"num_key_value_heads": 1},
    "tied": {"tie_word_embeddings": True},
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_llama_folder(tmp_path / "llama", tiny_llama())


def change_config(folder: Path, **changes: Any) -> None:
    path = folder / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def ids(rows: int = 3, length: int = 40) -> torch.Tensor:
    return torch.randint(320, (rows, length), generator=torch.Generator().manual_seed(1))


@torch.no_grad()
def largest_difference(model: Any, reference: Any) -> float:
    return float((model(ids()) - reference(ids()).logits).abs().max())


@pytest.mark.parametrize("changes", SHAPES.values(), ids=SHAPES)
def test_logits_are_those_of_transformers(tmp_path: Path, changes: dict[str, Any]) -> None:
    reference = tiny_llama(**changes)
    model, _ = load_any(write_llama_folder(tmp_path, reference))
    assert not model.training
    assert largest_difference(model, reference) < 1e-4


@pytest.mark.parametrize("changes", SHAPES.values(), ids=SHAPES)
def test_saved_again_it_is_a_phi3_checkpoint_with_equal_logits(tmp_path: Path, changes: dict[str, Any]) -> None:
    reference = tiny_llama(**changes)
    model, tokenizer = load_any(write_llama_folder(tmp_path / "llama", reference))
    huggingface.save(model, tmp_path / "phi")
    tokenizer.save(str(tmp_path / "phi" / "tokenizer.json"))
    phi = AutoModelForCausalLM.from_pretrained(tmp_path / "phi").eval()
    assert isinstance(phi, Phi3ForCausalLM)
    with torch.no_grad():
        assert float((phi(ids()).logits - reference(ids()).logits).abs().max()) < 1e-4
    again, same = load_any(tmp_path / "phi")
    assert largest_difference(again, reference) < 1e-4
    assert same.encode(TEXT).ids == tokenizer.encode(TEXT).ids


def test_weights_may_lie_in_several_files_and_in_bfloat16(tmp_path: Path) -> None:
    tiny_llama().bfloat16().save_pretrained(tmp_path, max_shard_size="50KB")
    reference = LlamaForCausalLM.from_pretrained(tmp_path, dtype=torch.float32).eval()
    assert len(list(tmp_path.glob("model-*.safetensors"))) > 1
    model = llama_layout.load(tmp_path)
    assert {weight.dtype for weight in model.parameters()} == {torch.float32}
    assert largest_difference(model, reference) < 1e-4


def test_what_config_json_does_not_say_is_what_transformers_takes(tmp_path: Path) -> None:
    reference = tiny_llama(rms_norm_eps=1e-6, rope_parameters={"rope_type": "default", "rope_theta": 10_000.0})
    write_llama_folder(tmp_path, reference)
    described = json.loads((tmp_path / "config.json").read_text())
    for name in ("rms_norm_eps", "rope_parameters", "tie_word_embeddings", "bos_token_id", "head_dim", "hidden_act"):
        described.pop(name, None)
    (tmp_path / "config.json").write_text(json.dumps(described))
    model = llama_layout.load(tmp_path)
    assert largest_difference(model, LlamaForCausalLM.from_pretrained(tmp_path).eval()) < 1e-4
    assert model.config.bos_token_id == 1


def test_an_older_config_json_says_theta_outside(folder: Path) -> None:
    described = json.loads((folder / "config.json").read_text())
    del described["rope_parameters"]
    (folder / "config.json").write_text(json.dumps(described | {"rope_theta": 50_000.0, "rope_scaling": None}))
    assert largest_difference(llama_layout.load(folder), tiny_llama()) < 1e-4


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"rope_parameters": {"rope_type": "llama3", "factor": 8.0, "rope_theta": 5e5}}, "llama3"),
        ({"rope_parameters": None, "rope_scaling": {"type": "linear", "factor": 2.0}}, "linear"),
        ({"rope_parameters": {"rope_type": "default", "partial_rotary_factor": 0.5}}, "a part of a head"),
        ({"attention_bias": True}, "attention_bias"),
        ({"mlp_bias": True}, "mlp_bias"),
        ({"hidden_act": "gelu"}, "gelu"),
        ({"head_dim": 32}, "32 channels"),
        ({"quantization_config": {"bits": 4}}, "quantised"),
        ({"eos_token_id": None}, "eos_token_id"),
        ({"hidden_size": None}, "hidden_size"),
    ],
)
def test_what_the_decoder_does_not_compute_is_refused(folder: Path, changes: dict[str, Any], named: str) -> None:
    change_config(folder, **changes)
    with pytest.raises(HornbookError, match=named) as caught:
        load_any(folder)
    assert caught.value.remedy


@pytest.mark.parametrize("damage", ["missing", "cut short", "rubbish"])
def test_missing_and_damaged_weights_are_one_clear_error(folder: Path, damage: str) -> None:
    path = folder / "model.safetensors"
    data = path.read_bytes()
    path.unlink()
    if damage != "missing":
        path.write_bytes(data[: len(data) // 2] if damage == "cut short" else b"\xff\xfe[1, 2]")
    with pytest.raises(HornbookError, match=r"model\.safetensors") as caught:
        load_any(folder)
    assert caught.value.remedy


def test_weights_that_do_not_belong_to_the_config_are_one_clear_error(folder: Path) -> None:
    weights = load_file(folder / "model.safetensors")
    save_file(weights | {"model.layers.0.self_attn.q_proj.bias": torch.zeros(64)}, folder / "model.safetensors")
    with pytest.raises(HornbookError, match=r"q_proj\.bias.*asks for nothing"):
        load_any(folder)
    save_file(weights, folder / "model.safetensors")
    change_config(folder, num_key_value_heads=1)
    with pytest.raises(HornbookError, match=r"k_proj\.weight.*\(32, 64\).*\(16, 64\)"):
        load_any(folder)


def test_a_tokenizer_that_is_not_byte_level_is_refused(folder: Path) -> None:
    Tokenizer(models.BPE()).save(str(folder / "tokenizer.json"))
    with pytest.raises(HornbookError, match="no byte-level BPE"):
        load_any(folder)


def test_a_tokenizer_with_more_tokens_than_the_model_is_refused(tmp_path: Path) -> None:
    write_llama_folder(tmp_path, tiny_llama(vocab_size=280))
    with pytest.raises(HornbookError, match="only 280 rows"):
        load_any(tmp_path)


def test_quantised_weights_are_refused(folder: Path) -> None:
    weights = load_file(folder / "model.safetensors")
    name = "model.layers.0.mlp.up_proj.weight"
    save_file(weights | {name: weights[name].to(torch.int8)}, folder / "model.safetensors")
    with pytest.raises(HornbookError, match=f"{name} is quantised"):
        load_any(folder)


def test_our_own_folders_open_as_before(tmp_path: Path) -> None:
    model, tokenizer = load_any(tiny_folder(tmp_path))
    assert model.config == huggingface.load(tmp_path).config
    assert tokenizer.post_processor is None
