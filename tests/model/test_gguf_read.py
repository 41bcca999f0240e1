"""A GGUF file opens as the model that llama.cpp runs, or is refused with the field that stands against it."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import gguf
import pytest
import torch

from hornbook.core.errors import HornbookError
from hornbook.model import gguf_read, huggingface
from hornbook.model.config import LongRope
from hornbook.model.gguf import export
from hornbook.model.gguf_names import LONG_FACTORS, SHORT_FACTORS
from hornbook.model.load import load_any
from hornbook.model.text import load_tokenizer
from hornbook.services.llama_server import serve
from tests.model.llama_files import tiny_llama, write_llama_gguf
from tests.model.tiny import SHAPES, TEXT, tiny_folder

ROW = [0, *range(70, 110)]


def refused(path: Path, reason: str) -> None:
    with pytest.raises(HornbookError, match=reason) as caught:
        gguf_read.read(path)
    assert path.name in caught.value.problem and caught.value.remedy


LONG = LongRope(64, (1.0, 1.5, 2.25, 3.0, 4.5, 5.0, 6.0, 7.0), (1.0, 3.0, 5.5, 8.0, 9.0, 10.0, 20.0, 40.1))
OURS = {
    **{name: SHAPES[name] for name in SHAPES if name not in ("window", "heads wider than the model")},
    "theta": {**SHAPES["parallel blocks"], "rope_theta": 12_345.0, "layer_norm_eps": 1e-6},
    "window as wide as the context": {"sliding_window": 128},
    "LongRoPE": {"rope_scaling": LONG},
    "LongRoPE with a factor of its own": {"rope_scaling": replace(LONG, attention_factor=1.3)},
}


@pytest.mark.parametrize("shape", OURS)
def test_our_own_export_comes_back_as_it_was(tmp_path: Path, shape: str) -> None:
    folder = tiny_folder(tmp_path, **OURS[shape])
    export(folder, tmp_path / "model.gguf", "F32")
    model, tokenizer = load_any(tmp_path / "model.gguf")
    original = huggingface.load(folder)
    same = {name: getattr(original.config, name) for name in vars(original.config) if name != "initializer_range"}
    assert {name: getattr(model.config, name) for name in same} == same
    assert not model.training
    for name, weight in original.state_dict().items():
        assert torch.equal(model.state_dict()[name], weight), name
    assert tokenizer.encode(TEXT).ids == load_tokenizer(folder).encode(TEXT).ids
    assert tokenizer.decode(tokenizer.encode(TEXT).ids) == TEXT
    assert tokenizer.get_vocab() == load_tokenizer(folder).get_vocab()
    assert tokenizer.post_processor is None


@pytest.mark.parametrize(
    ("file_type", "error"), [("F16", 1e-3), ("BF16", 4e-3), ("Q8_0", 1e-2), ("Q4_0", 0.13), ("Q4_1", 0.07)]
)
def test_smaller_types_are_expanded(tmp_path: Path, file_type: Any, error: float) -> None:
    folder = tiny_folder(tmp_path)
    export(folder, tmp_path / "model.gguf", file_type)
    weights = gguf_read.read(tmp_path / "model.gguf").weights
    assert {weight.dtype for weight in weights.values()} == {torch.float32}
    for name, weight in huggingface.load(folder).state_dict().items():
        assert float((weights[name] - weight).abs().max()) <= error * float(weight.abs().max()), name


@pytest.mark.parametrize("changes", [{}, {"num_key_value_heads": 4}, {"tie_word_embeddings": True}])
def test_a_llama_file_computes_what_llama_cpp_and_transformers_compute(tmp_path: Path, changes: dict[str, Any]) -> None:
    reference = tiny_llama(**changes)
    path = write_llama_gguf(tmp_path / "model.gguf", reference)
    model, _ = load_any(path)
    with torch.no_grad():
        ours = model(torch.tensor([ROW]))
        assert float((ours - reference(torch.tensor([ROW])).logits).abs().max()) < 1e-4
    with serve(path) as server:
        theirs = server.next_token_logprobs(ROW, 50)
    ours_V = ours[0, -1].log_softmax(-1)
    assert max(abs(float(ours_V[token]) - value) for token, value in theirs.items()) < 0.02


def test_the_order_of_rotary_pairs_is_undone() -> None:
    rows = torch.arange(16.0).reshape(16, 1)  # two heads of 8 channels
    order = [0, 2, 4, 6, 1, 3, 5, 7]
    assert gguf_read.half_split(rows, 8).flatten().tolist() == order + [8 + row for row in order]


@pytest.mark.parametrize("size", [0, 3, 100, 5_000, -20_000, -1])
def test_a_file_that_is_cut_short_is_one_clear_error(tmp_path: Path, size: int) -> None:
    path = write_llama_gguf(tmp_path / "model.gguf", tiny_llama())
    path.write_bytes(path.read_bytes()[:size])
    refused(path, "is damaged")


def test_rubbish_and_nothing_are_one_clear_error(tmp_path: Path) -> None:
    (tmp_path / "model.gguf").write_bytes(b"\x00" * 1000)
    refused(tmp_path / "model.gguf", "is no GGUF file")
    refused(tmp_path / "other.gguf", "There is no file")


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"general__architecture": "qwen2"}, "general.architecture is 'qwen2'"),
        ({"llama__rope__scaling__type": "yarn"}, "llama.rope.scaling.type is 'yarn'"),
        ({"llama__rope__scaling__factor": 8.0}, "llama.rope.scaling.factor is 8.0"),
        ({"llama__rope__dimension_count": 8}, "llama.rope.dimension_count is 8"),
        ({"llama__attention__key_length": 32}, "llama.attention.key_length is 32"),
        ({"llama__expert_count": 8}, "llama.expert_count is 8"),
        ({"llama__attention__scale": 0.5}, "llama.attention.scale is not known"),
        ({"llama__attention__layer_norm_rms_epsilon": None}, "layer_norm_rms_epsilon is missing"),
        ({"llama__context_length": None}, "llama.context_length is missing"),
        ({"llama__context_length": "long"}, "llama.context_length is 'long', not of type int"),
        ({"llama__embedding_length": 128}, r"token_embd.weight has the shape \(320, 64\).*says \(320, 128\)|attn"),
        ({"llama__feed_forward_length": 128}, r"ffn_down.weight has the shape \(64, 96\).*says \(64, 128\)"),
        ({"llama__attention__head_count_kv": 1}, r"attn_k.weight has the shape \(32, 64\).*says \(16, 64\)"),
        ({"llama__attention__head_count": 0}, "llama.attention.head_count is 0"),
        ({"llama__block_count": 3}, "the tensor blk.2.attn_k.weight is missing"),
        ({"llama__block_count": 1}, "it has a tensor blk.1.attn_k.weight"),
        ({"llama__block_count": 2_000_000_000}, "llama.block_count is 2000000000"),
        ({"llama__vocab_size": 300}, r"shape \(320, 64\).*says \(300, 64\)"),
        ({"tokenizer__ggml__eos_token_id": None}, "eos_token_id is missing"),
        ({"tokenizer__ggml__bos_token_id": 320}, "bos_token_id is 320"),
        ({"llama__attention__layer_norm_rms_epsilon": float("nan")}, "layer_norm_rms_epsilon is nan"),
        ({"llama__rope__freq_base": 0.0}, "llama.rope.freq_base is 0.0"),
        ({"llama__attention__head_count": 128}, "llama.attention.head_count is 128, which does not divide"),
    ],
)
def test_what_is_unknown_missing_or_contradictory_is_refused(
    tmp_path: Path, changes: dict[str, Any], reason: str
) -> None:
    refused(write_llama_gguf(tmp_path / "model.gguf", tiny_llama(), **changes), reason)


@pytest.mark.parametrize(
    ("leave_out", "reason"),
    [
        (SHORT_FACTORS, f"the tensor {SHORT_FACTORS} is missing"),
        (LONG_FACTORS, "phi3.rope.scaling.type is 'longrope'"),
    ],
)
def test_half_a_longrope_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, leave_out: str, reason: str
) -> None:
    add = gguf.GGUFWriter.add_tensor

    def changed(self: gguf.GGUFWriter, name: str, *values: Any, **more: Any) -> None:
        if name != leave_out:
            add(self, name, *values, **more)

    monkeypatch.setattr(gguf.GGUFWriter, "add_tensor", changed)
    export(tiny_folder(tmp_path, rope_scaling=LONG), tmp_path / "model.gguf", "F32")
    refused(tmp_path / "model.gguf", reason)


def test_shapes_that_cannot_be_are_refused(tmp_path: Path) -> None:
    path = write_llama_gguf(tmp_path / "model.gguf", tiny_llama(), llama__attention__head_count_kv=3)
    refused(path, "contradicts itself. 4 heads cannot share 3")


@pytest.mark.parametrize(
    ("kind", "reason"),
    [
        ("I8", "stored as I8, which cannot be expanded"),
        ("nan", "not finite"),
        ("bias", "it has a tensor blk.0.attn_q.bias"),
    ],
)
def test_weights_that_cannot_be_taken_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str, reason: str
) -> None:
    add = gguf.GGUFWriter.add_tensor

    def changed(self: gguf.GGUFWriter, name: str, weight: Any) -> None:
        if kind == "bias" and name == "blk.0.attn_q.weight":
            add(self, "blk.0.attn_q.bias", weight[:, 0].copy())
        if name == "blk.0.ffn_up.weight":
            weight = weight.astype("int8") if kind == "I8" else weight.copy()
            weight[0, 0] = float(kind) if kind == "nan" else weight[0, 0]
        add(self, name, weight)

    monkeypatch.setattr(gguf.GGUFWriter, "add_tensor", changed)
    refused(write_llama_gguf(tmp_path / "model.gguf", tiny_llama()), reason)
