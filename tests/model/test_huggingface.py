"""A folder is whole or it is refused with the reason; transformers reads what we write."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM, AutoTokenizer

from hornbook.core.errors import HornbookError
from hornbook.model import huggingface
from hornbook.model.generate import load_tokenizer
from tests.model.tiny import TEXT, tiny_config, tiny_folder, tiny_model


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tiny_folder(tmp_path / "model")


def change_config(folder: Path, **changes: Any) -> None:
    path = folder / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def test_a_model_comes_back_as_it_was(folder: Path) -> None:
    model = huggingface.load(folder)
    assert model.config == tiny_config()
    assert not model.training
    for name, weight in tiny_model().state_dict().items():
        assert torch.equal(model.state_dict()[name], weight), name


def test_bfloat16_weights_come_back_in_float32(tmp_path: Path) -> None:
    huggingface.save(tiny_model().bfloat16(), tmp_path)
    assert json.loads((tmp_path / "config.json").read_text())["torch_dtype"] == "bfloat16"
    assert AutoModelForCausalLM.from_pretrained(tmp_path).dtype == torch.bfloat16
    model = huggingface.load(tmp_path)
    assert {weight.dtype for weight in model.parameters()} == {torch.float32}
    assert torch.equal(model.head_weight, tiny_model().bfloat16().head_weight.float())


def test_the_auto_classes_of_transformers_read_model_and_tokenizer(folder: Path) -> None:
    tokenizer, model = AutoTokenizer.from_pretrained(folder), AutoModelForCausalLM.from_pretrained(folder)
    ids = tokenizer(TEXT)["input_ids"]
    assert ids == load_tokenizer(folder).encode(TEXT).ids
    assert tokenizer.decode(ids) == TEXT
    assert tokenizer.bos_token_id == tokenizer.eos_token_id == model.config.eos_token_id == 0
    with torch.no_grad():
        assert model(torch.tensor([ids])).logits.shape == (1, len(ids), 320)


def test_a_write_that_fails_leaves_the_old_weights(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(weights: Any, path: Path, **_: Any) -> None:
        Path(path).write_bytes(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(huggingface, "save_file", full)
    with pytest.raises(OSError, match="No space"):
        huggingface.save(tiny_model(seed=1), folder)
    assert torch.equal(huggingface.load(folder).head_weight, tiny_model().head_weight)


@pytest.mark.parametrize("name", ["config.json", "model.safetensors"])
@pytest.mark.parametrize("damage", ["missing", "cut short", "empty", "rubbish"])
def test_missing_and_damaged_files_are_one_clear_error(folder: Path, name: str, damage: str) -> None:
    data = (folder / name).read_bytes()
    if damage == "missing":
        (folder / name).unlink()
    else:
        content = {"cut short": data[: len(data) // 2], "empty": b"", "rubbish": b"\xff\xfe[1, 2]"}
        (folder / name).write_bytes(content[damage])
    with pytest.raises(HornbookError, match=name) as caught:
        huggingface.load(folder)
    assert caught.value.remedy


def test_weights_of_another_shape_are_one_clear_error(folder: Path) -> None:
    change_config(folder, intermediate_size=128)
    with pytest.raises(HornbookError, match=r"down_proj.*\(64, 96\).*\(64, 128\)"):
        huggingface.load(folder)


def test_a_missing_weight_and_a_strange_one_are_one_clear_error(folder: Path) -> None:
    weights = load_file(folder / "model.safetensors")
    norm = weights.pop("model.norm.weight")
    save_file(weights, folder / "model.safetensors")
    with pytest.raises(HornbookError, match=r"model\.norm\.weight.*nothing"):
        huggingface.load(folder)
    save_file(weights | {"model.norm.weight": norm, "extra": norm.clone()}, folder / "model.safetensors")
    with pytest.raises(HornbookError, match=r"extra.*asks for nothing"):
        huggingface.load(folder)


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"model_type": "llama"}, "llama"),
        ({"rope_scaling": {"type": "longrope", "short_factor": [1.0]}}, "longrope"),
        ({"rope_parameters": {"rope_type": "longrope"}}, "longrope"),
        ({"hidden_act": "gelu"}, "gelu"),
        ({"quantization_config": {"bits": 4}}, "quantised"),
    ],
)
def test_what_the_decoder_does_not_compute_is_refused(folder: Path, changes: dict[str, Any], named: str) -> None:
    change_config(folder, **changes)
    with pytest.raises(HornbookError, match=named):
        huggingface.load(folder)
    assert not (folder / ".model.safetensors.tmp").exists()


def test_an_incomplete_config_is_one_clear_error(folder: Path) -> None:
    described = json.loads((folder / "config.json").read_text())
    del described["hidden_size"]
    (folder / "config.json").write_text(json.dumps(described))
    with pytest.raises(HornbookError, match="hidden_size"):
        huggingface.load(folder)
