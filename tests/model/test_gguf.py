"""A GGUF file says what the folder says, or it is not written."""

import json
from pathlib import Path
from typing import Any

import gguf
import pytest
import torch
from tokenizers import AddedToken
from tokenizers.processors import TemplateProcessing

from hornbook.core.errors import HornbookError
from hornbook.model import huggingface
from hornbook.model.config import PARALLEL, LongRope
from hornbook.model.gguf import FILE_TYPES, export
from hornbook.model.gguf_names import tensor_name
from hornbook.model.load import chat_template, eos_token_ids, load_any
from hornbook.model.text import encode_prompt, load_tokenizer
from hornbook.services.llama_server import serve
from tests.model.llama_files import tiny_llama, write_llama_folder
from tests.model.tiny import SHAPES, tiny_config, tiny_folder, tiny_model


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tiny_folder(tmp_path / "model")


def refused(folder: Path, reason: str, file_type: Any = "F16") -> None:
    path = folder / "model.gguf"
    with pytest.raises(HornbookError, match=f"cannot become.*{reason}") as caught:
        export(folder, path, file_type)
    assert str(folder) in caught.value.problem and caught.value.remedy
    assert not list(folder.glob("*.gguf*")) and not list(folder.glob(".*.gguf*"))


def change_tokenizer(folder: Path, **changes: Any) -> None:
    path = folder / "tokenizer.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


@pytest.mark.parametrize("shape", ["plain", "head of its own", "parallel blocks"])
def test_every_weight_is_in_the_file_under_its_other_name(tmp_path: Path, shape: str) -> None:
    folder = tiny_folder(tmp_path, **SHAPES[shape])
    export(folder, folder / "model.gguf", "F32")
    tensors = {tensor.name: tensor.data for tensor in gguf.GGUFReader(folder / "model.gguf").tensors}
    weights = huggingface.load(folder).state_dict()
    assert {tensor_name(name) for name in weights} == tensors.keys()
    assert ("output.weight" in tensors) is (shape != "plain")
    for name, weight in weights.items():
        assert torch.equal(torch.from_numpy(tensors[tensor_name(name)].copy()), weight), name


def test_file_types_shrink_matrices_and_leave_norms(folder: Path) -> None:
    sizes = {}
    for file_type in FILE_TYPES:
        export(folder, folder / f"{file_type}.gguf", file_type)
        reader = gguf.GGUFReader(folder / f"{file_type}.gguf")
        kinds = {tensor.name: tensor.tensor_type.name for tensor in reader.tensors}
        assert kinds["blk.0.ffn_down.weight"] == file_type
        assert kinds["token_embd.weight"] == ("Q8_0" if file_type.startswith("Q4") else file_type)
        assert kinds["blk.1.attn_norm.weight"] == kinds["output_norm.weight"] == "F32"
        sizes[file_type] = sum(int(tensor.n_bytes) for tensor in reader.tensors)
    assert sizes["Q8_0"] < 0.55 * sizes["F16"] < 0.3 * sizes["F32"]
    assert sizes["Q4_0"] < sizes["Q4_1"] < sizes["Q8_0"] < sizes["BF16"] == sizes["F16"]


def test_the_user_is_told_where_llama_cpp_computes_something_else(tmp_path: Path) -> None:
    path = tmp_path / "model.gguf"
    window, wide = (tiny_folder(tmp_path / f"{size}", sliding_window=size) for size in (64, 128))
    (limit,) = export(window, path, "F16")
    assert "sliding window of 64 positions" in limit and "(-c 128)" in limit
    assert gguf.GGUFReader(path).fields["phi3.context_length"].contents() == 64
    assert export(wide, path, "F16") == []  # as wide as the context: the same as none

    scaling = LongRope(300, (1.0,) * 8, (2.0,) * 8)
    (limit,) = export(tiny_folder(tmp_path / "long", max_position_embeddings=512, rope_scaling=scaling), path, "F16")
    assert "-c 256 for texts of at most 256 tokens (300 is no multiple of 256)" in limit

    end_ids = (0, 5, 6, 7)
    folder = tmp_path / "ends"
    huggingface.save(tiny_model(), tiny_folder(folder), end_ids)
    (limit,) = export(folder, path, "F16")
    assert "4 tokens end an answer, and the file has room for 3" in limit
    assert eos_token_ids(folder) == end_ids and eos_token_ids(path) == end_ids[:3]


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
        (
            {
                "pre_tokenizer": {
                    "type": "Split",
                    "pattern": {"Regex": r"\\p{N}"},
                    "behavior": "Isolated",
                    "invert": False,
                }
            },
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
        ({"head_dim": 32}, "do not fill the width 64"),
        (
            {**PARALLEL, "tie_word_embeddings": False, "rope_scaling": LongRope(32, (1.0,) * 8, (2.0,) * 8)},
            "no LongRoPE for parallel blocks",
        ),
    ],
)
def test_a_model_that_llama_cpp_would_run_differently_is_refused(
    tmp_path: Path, changes: dict[str, Any], reason: str
) -> None:
    refused(tiny_folder(tmp_path, **changes), reason)


def test_tokens_that_take_in_spaces_are_refused(folder: Path) -> None:
    tokenizer = load_tokenizer(folder)
    tokenizer.add_special_tokens([AddedToken("<|end|>", rstrip=True)])
    tokenizer.save(str(folder / "tokenizer.json"))
    refused(folder, r"<\|end\|>.*rstrip")


def test_llama_cpp_keeps_spaces_after_special_tokens_whatever_the_name_of_the_file(folder: Path) -> None:
    tokenizer = load_tokenizer(folder)
    tokenizer.add_special_tokens([AddedToken("<|end|>"), AddedToken("<|user|>")])
    tokenizer.save(str(folder / "tokenizer.json"))
    export(folder, folder / "my-Phi-3-model.gguf", "F32")
    text = "<|user|> add  <|end|>\n x"
    with serve(folder / "my-Phi-3-model.gguf") as server:
        request = {"content": text, "add_special": False, "parse_special": True}
        assert server._post("/tokenize", request)["tokens"] == tokenizer.encode(text).ids


@pytest.mark.parametrize("where", ["chat_template.jinja", "tokenizer_config.json", "several"])
def test_the_chat_template_travels(folder: Path, where: str) -> None:
    template = "{% for m in messages %}<|{{ m.role }}|>{{ m.content }}{% endfor %}"
    if where == "chat_template.jinja":
        (folder / where).write_text(template)
    else:
        several = [{"name": "tools", "template": "-"}, {"name": "default", "template": template}]
        path = folder / "tokenizer_config.json"
        settings = json.loads(path.read_text())
        path.write_text(json.dumps(settings | {"chat_template": several if where == "several" else template}))
    export(folder, folder / "model.gguf", "F16")
    assert chat_template(folder) == template == chat_template(folder / "model.gguf")


@pytest.mark.parametrize(("post_processor", "starts"), [(None, True), ("$A", False), ("<|endoftext|> $A", True)])
def test_a_text_starts_as_it_does_here(folder: Path, post_processor: str | None, starts: bool) -> None:
    tokenizer = load_tokenizer(folder)
    if post_processor:
        tokenizer.post_processor = TemplateProcessing(single=post_processor, special_tokens=[("<|endoftext|>", 0)])
        tokenizer.save(str(folder / "tokenizer.json"))
    export(folder, folder / "model.gguf", "F16")
    with serve(folder / "model.gguf") as server:
        request = {"content": "a b", "add_special": True, "parse_special": False}
        theirs = server._post("/tokenize", request)["tokens"]
    assert (theirs[0] == 0) is starts
    for path in (folder, folder / "model.gguf"):
        model, tokenizer = load_any(path)
        assert encode_prompt(model.config, tokenizer, "a b") == theirs


def test_a_tokenizer_that_ends_texts_is_refused(folder: Path) -> None:
    tokenizer = load_tokenizer(folder)
    tokenizer.post_processor = TemplateProcessing(single="$A <|endoftext|>", special_tokens=[("<|endoftext|>", 0)])
    tokenizer.save(str(folder / "tokenizer.json"))
    refused(folder, "puts other tokens around a text")


def test_models_of_others_can_be_written_again(tmp_path: Path) -> None:
    write_llama_folder(tmp_path / "llama", tiny_llama())
    export(tmp_path / "llama", tmp_path / "first.gguf", "F32")
    export(tmp_path / "first.gguf", tmp_path / "second.gguf", "F32")
    first, second = (gguf.GGUFReader(tmp_path / f"{name}.gguf") for name in ("first", "second"))
    assert {key: f.contents() for key, f in first.fields.items() if key != "general.name"} == {
        key: f.contents() for key, f in second.fields.items() if key != "general.name"
    }
    for ours, theirs in zip(first.tensors, second.tensors, strict=True):
        assert ours.name == theirs.name and (ours.data == theirs.data).all()


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
