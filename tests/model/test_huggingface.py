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
from hornbook.model import weights as weights_file
from hornbook.model.config import PARALLEL, LongRope
from hornbook.model.text import load_tokenizer
from hornbook.model.weights import INDEX, WEIGHTS
from tests.model.tiny import SHAPES, TEXT, tiny_config, tiny_folder, tiny_model


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

    monkeypatch.setattr(weights_file, "save_file", full)
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
        ({"rope_scaling": {"type": "dynamic", "factor": 2.0}}, "dynamic"),
        ({"rope_parameters": {"rope_type": "llama3"}}, "llama3"),
        ({"hidden_act": "gelu"}, "gelu"),
        ({"model_type": "phi", "hidden_act": "gelu_new", "qk_layernorm": True}, "qk_layernorm"),
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


def test_weights_of_many_files_come_back_and_transformers_reads_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(weights_file, "SHARD_BYTES", 60_000)
    model = tiny_model(**SHAPES["parallel blocks"])
    (tmp_path / WEIGHTS).write_bytes(b"of an older model")
    huggingface.save(model, tmp_path)
    files = sorted(path.name for path in tmp_path.glob("*.safetensors"))
    assert len(files) > 3 and files[0] == f"model-00001-of-{len(files):05d}.safetensors"
    assert all(path.stat().st_size < 90_000 for path in tmp_path.glob("*.safetensors"))  # one matrix is larger
    theirs = AutoModelForCausalLM.from_pretrained(tmp_path).state_dict()
    for name, weight in huggingface.load(tmp_path).state_dict().items():
        assert torch.equal(weight, model.state_dict()[name]) and torch.equal(weight, theirs[name]), name

    monkeypatch.undo()
    huggingface.save(model, tmp_path)  # now in one file: the index must not lead to the old ones
    assert not (tmp_path / INDEX).exists()
    assert torch.equal(huggingface.load(tmp_path).head_weight, model.head_weight)


def test_damage_to_one_of_many_files_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(weights_file, "SHARD_BYTES", 60_000)
    huggingface.save(tiny_model(), tmp_path)
    second = sorted(tmp_path.glob("*.safetensors"))[1]
    data = second.read_bytes()
    second.write_bytes(data[:-100])
    with pytest.raises(HornbookError, match=rf"{second.name} is damaged or cut short"):
        huggingface.load(tmp_path)
    second.unlink()
    with pytest.raises(HornbookError, match=rf"{second.name} is missing"):
        huggingface.load(tmp_path)
    save_file({"other": torch.zeros(1)}, second)
    with pytest.raises(HornbookError, match=rf"{second.name} does not hold model\."):
        huggingface.load(tmp_path)
    (tmp_path / INDEX).write_text('{"weight_map": 3}')
    with pytest.raises(HornbookError, match=r"index\.json is damaged"):
        huggingface.load(tmp_path)


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"num_attention_heads": 5}, "config.json contradicts itself.*5 heads cannot share 2"),
        ({"head_dim": None, "num_attention_heads": 5}, "config.json contradicts itself.*shared by 5 heads"),
        ({"num_key_value_heads": 3}, "config.json contradicts itself.*4 heads cannot share 3"),
        ({"num_key_value_heads": 4}, r"qkv_proj.*\(128, 64\).*\(192, 64\)"),
        ({"hidden_size": "64"}, "hidden_size is '64'"),
        ({"rope_scaling": {"type": "longrope", "short_factor": [1.0]}}, "not complete.*long_factor"),
        ({"rope_scaling": {"type": "longrope", "short_factor": [1.0], "long_factor": [1.0]}}, "need 8"),
        ({"vocab_size": 100}, "tokenizer in .* has the id 299, and the model only 100 rows"),
    ],
)
def test_contradictions_are_one_clear_error(folder: Path, changes: dict[str, Any], named: str) -> None:
    change_config(folder, **changes)
    with pytest.raises(HornbookError, match=named) as caught:
        huggingface.load(folder)
    assert caught.value.remedy


def test_quantised_weights_are_refused_whatever_the_config_says(folder: Path) -> None:
    weights = load_file(folder / "model.safetensors")
    name = "model.layers.0.mlp.down_proj.weight"
    save_file(weights | {name: weights[name].to(torch.int8)}, folder / "model.safetensors")
    with pytest.raises(HornbookError, match=r"down_proj\.weight is quantised \(I8\)"):
        huggingface.load(folder)


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({**PARALLEL, "tie_word_embeddings": False, "sliding_window": 16}, "PhiForCausalLM.*no sliding window"),
        ({"norm": "layer"}, "no architecture with block sequential, norm layer"),
        ({"head_dim": 32, "rope_scaling": LongRope(32, (1.0,) * 16, (2.0,) * 16)}, "counts the factors"),
    ],
)
def test_a_model_that_transformers_does_not_have_is_not_written(
    tmp_path: Path, changes: dict[str, Any], named: str
) -> None:
    with pytest.raises(HornbookError, match=named):
        huggingface.save(tiny_model(**changes), tmp_path / "new")
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize("name", ["su", "yarn", "longrope"])
def test_older_files_of_phi_3_are_read_as_transformers_reads_them(folder: Path, name: str) -> None:
    described = json.loads((folder / "config.json").read_text())
    del described["rope_parameters"], described["head_dim"], described["partial_rotary_factor"]
    described |= {"original_max_position_embeddings": 32, "pad_token_id": None, "eos_token_id": [2, 3]}
    described["rope_scaling"] = {"type": name, "short_factor": [1.0] * 8, "long_factor": [2.0] * 8}
    (folder / "config.json").write_text(json.dumps(described))
    config = huggingface.load(folder).config
    assert config.rope_scaling == LongRope(32, (1.0,) * 8, (2.0,) * 8)
    assert (config.partial_rotary_factor, config.head_dim, config.eos_token_id) == (1.0, 16, 2)
    ids = torch.randint(0, 320, (1, 40), generator=torch.Generator().manual_seed(1))
    if name == "su":  # transformers 5 has forgotten that it once wrote this
        (folder / "config.json").write_text(json.dumps(described).replace('"su"', '"longrope"'))
    with torch.no_grad():
        theirs = AutoModelForCausalLM.from_pretrained(folder)(ids).logits
        torch.testing.assert_close(huggingface.load(folder)(ids), theirs, atol=1e-5, rtol=1e-5)


def test_the_end_of_text_may_be_said_in_either_file(folder: Path) -> None:
    change_config(folder, eos_token_id=None)
    assert huggingface.load(folder).config.eos_token_id == 0
    (folder / "generation_config.json").write_text('{"eos_token_id": [7, 8]}')
    assert huggingface.load(folder).config.eos_token_id == 7
    (folder / "generation_config.json").unlink()
    with pytest.raises(HornbookError, match="names no eos_token_id"):
        huggingface.load(folder)
