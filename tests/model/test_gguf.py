"""A GGUF file says what the folder says, or it is not written."""

import json
from pathlib import Path
from typing import Any

import gguf
import pytest
import torch

from hornbook.core.errors import HornbookError
from hornbook.model import huggingface
from hornbook.model.config import PARALLEL, LongRope
from hornbook.model.gguf import export, tensor_name
from tests.model.tiny import tiny_config, tiny_folder, tiny_model


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tiny_folder(tmp_path / "model")


def refused(folder: Path, reason: str, file_type: Any = "F16") -> None:
    path = folder / "model.gguf"
    with pytest.raises(HornbookError, match=f"cannot become.*{reason}"):
        export(folder, path, file_type)
    assert not list(folder.glob("*.gguf*")) and not list(folder.glob(".*.gguf*"))


def change_tokenizer(folder: Path, **changes: Any) -> None:
    path = folder / "tokenizer.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


@pytest.mark.parametrize("tied", [True, False])
def test_every_weight_is_in_the_file_under_its_other_name(tmp_path: Path, tied: bool) -> None:
    folder = tiny_folder(tmp_path, tie_word_embeddings=tied)
    export(folder, folder / "model.gguf", "F32")
    tensors = {tensor.name: tensor.data for tensor in gguf.GGUFReader(folder / "model.gguf").tensors}
    weights = huggingface.load(folder).state_dict()
    assert {tensor_name(name) for name in weights} == tensors.keys()
    assert ("output.weight" in tensors) is not tied
    for name, weight in weights.items():
        assert torch.equal(torch.from_numpy(tensors[tensor_name(name)].copy()), weight), name


def test_file_types_shrink_matrices_and_leave_norms(folder: Path) -> None:
    sizes = {}
    for file_type in ("F32", "F16", "Q8_0"):
        export(folder, folder / f"{file_type}.gguf", file_type)
        reader = gguf.GGUFReader(folder / f"{file_type}.gguf")
        kinds = {tensor.name: tensor.tensor_type.name for tensor in reader.tensors}
        assert kinds["blk.0.ffn_down.weight"] == kinds["token_embd.weight"] == file_type
        assert kinds["blk.1.attn_norm.weight"] == kinds["output_norm.weight"] == "F32"
        sizes[file_type] = sum(int(tensor.n_bytes) for tensor in reader.tensors)
    assert sizes["Q8_0"] < 0.55 * sizes["F16"] < 0.3 * sizes["F32"]


def test_a_window_that_llama_cpp_would_ignore_is_refused(tmp_path: Path) -> None:
    refused(tiny_folder(tmp_path / "a", sliding_window=64), "sliding window of 64")
    wide = tiny_folder(tmp_path / "b", sliding_window=128)  # as wide as the context: the same as none
    export(wide, wide / "model.gguf", "F16")


def test_weights_that_a_file_type_cannot_hold_are_refused(tmp_path: Path) -> None:
    narrow = tiny_folder(tmp_path / "narrow", intermediate_size=72)
    refused(narrow, "72 weights, not a multiple of 32", "Q8_0")
    export(narrow, tmp_path / "narrow.gguf", "F16")
    for value, reason in ((1e5, "more than float16"), (float("nan"), "not finite"), (float("inf"), "not finite")):
        model, folder = tiny_model(), tiny_folder(tmp_path / f"with {value}")
        with torch.no_grad():
            model.head_weight[3, 4] = value
        huggingface.save(model, folder)
        refused(folder, reason)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"pre_tokenizer": None}, "no name for"),
        ({"pre_tokenizer": {"type": "Whitespace"}}, "no name for"),
        (
            {"pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": True, "use_regex": True}},
            "no name for",
        ),
        (
            {"pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": False, "use_regex": False}},
            "no name for",
        ),
        ({"normalizer": {"type": "NFC"}}, "changes the text"),
        ({"model": {"type": "WordLevel", "vocab": {"a": 0}, "unk_token": "a"}}, "not a plain byte-level BPE"),
    ],
)
def test_a_tokenizer_that_llama_cpp_would_run_differently_is_refused(
    folder: Path, changes: dict[str, Any], reason: str
) -> None:
    pre_tokenizer = changes.get("pre_tokenizer")
    if pre_tokenizer and pre_tokenizer["type"] == "ByteLevel":
        pre_tokenizer["trim_offsets"] = True
    change_tokenizer(folder, **changes)
    refused(folder, reason)


def test_a_tokenizer_with_more_tokens_than_the_model_is_refused(tmp_path: Path) -> None:
    folder = tiny_folder(tmp_path)
    huggingface.save(tiny_model(vocab_size=280), folder)
    with pytest.raises(HornbookError, match="the model only 280 rows"):
        export(folder, folder / "model.gguf", "F16")


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({**PARALLEL, "tie_word_embeddings": False}, "sequential blocks"),
        ({"head_dim": 32}, "do not fill the width 64"),
        ({"rope_scaling": LongRope(32, (1.0,) * 8, (2.0,) * 8)}, "LongRoPE"),
    ],
)
def test_a_model_that_llama_cpp_would_run_differently_is_refused(
    tmp_path: Path, changes: dict[str, Any], reason: str
) -> None:
    refused(tiny_folder(tmp_path, **changes), reason)


def test_an_export_that_fails_leaves_the_old_file(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = folder / "model.gguf"
    export(folder, path, "F16")
    before = path.read_bytes()
    monkeypatch.setattr(gguf.GGUFWriter, "write_tensors_to_file", lambda self: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        export(folder, path, "F16")
    assert path.read_bytes() == before
    assert not list(folder.glob(".*.gguf*"))


def test_the_file_says_context_shape_and_special_tokens(folder: Path) -> None:
    export(folder, folder / "model.gguf", "F16")
    fields = gguf.GGUFReader(folder / "model.gguf").fields
    config = tiny_config()
    wanted = {
        "phi3.context_length": config.max_position_embeddings,
        "phi3.rope.dimension_count": config.rotary_dim,
        "phi3.attention.head_count_kv": config.num_key_value_heads,
        "tokenizer.ggml.bos_token_id": 0,
        "tokenizer.ggml.pre": "gpt-2",
    }
    assert {key: fields[key].contents() for key in wanted} == wanted
