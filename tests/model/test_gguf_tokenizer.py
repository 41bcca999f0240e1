"""A tokenizer from a GGUF file cuts text where llama.cpp cuts it, or is refused."""

import json
import random
from pathlib import Path
from typing import Any

import pytest

from hornbook.core.errors import HornbookError
from hornbook.model import gguf_read
from hornbook.model.pre_tokenizers import INEXACT, PRE_TOKENIZERS, pre_tokenizer_name
from hornbook.services.llama_server import serve
from tests.model.llama_files import tiny_llama, write_llama_gguf
from tests.model.tiny import TEXT


def hard_texts() -> list[str]:
    draw = random.Random(0)
    ranges = [(0x20, 0x7F), (0xA0, 0x2000), (0x4E00, 0x5000), (0x1F300, 0x1F700)]
    noise = "".join(chr(draw.randrange(*draw.choice(ranges))) for _ in range(2000))
    return [
        TEXT,
        "in 1234567890 steps, 12.5e-10, ½ x² ٣٤",
        "  a\n\n\tb  \r\n c   \n",
        "don't I'LL we've 'S 'tis",
        "e\u0301 \u00a0x\u3000y\u200bz\ufeff\x7f",
        "👩‍👩‍👧 naïve 漢字",
        noise,
    ]


@pytest.mark.parametrize("pre", PRE_TOKENIZERS)
def test_texts_become_the_tokens_of_llama_cpp(tmp_path: Path, pre: str) -> None:
    path = write_llama_gguf(tmp_path / "model.gguf", tiny_llama(), pre)
    tokenizer = gguf_read.read(path).tokenizer
    with serve(path) as server:
        for text in hard_texts():
            if pre in INEXACT:
                text = text.encode("ascii", "ignore").decode()
            ids = tokenizer.encode(text, add_special_tokens=False).ids
            assert ids == server.tokenize(text), text
            assert tokenizer.decode(ids) == text


def test_the_ways_of_cutting_differ(tmp_path: Path) -> None:
    text = "in 1234567890 steps"
    found = {
        tuple(piece for piece, _ in PRE_TOKENIZERS[pre].pre_tokenize_str(text))
        for pre in ("gpt-2", "smollm", "llama-bpe")
    }
    assert len(found) == 3
    assert len(PRE_TOKENIZERS["gpt-4o"].pre_tokenize_str("camelCase isn't")) == 3
    assert len(PRE_TOKENIZERS["dbrx"].pre_tokenize_str("camelCase isn")) == 2


def test_published_tokenizers_are_known_by_their_rule() -> None:
    words = PRE_TOKENIZERS["dbrx"].__getstate__()
    phi_4 = json.loads(words)  # as its tokenizer.json writes it: everything but what the pattern finds is removed
    phi_4["pretokenizers"][0] |= {"behavior": "Removed", "invert": True}
    phi_4["pretokenizers"][1] |= {"trim_offsets": False}
    assert pre_tokenizer_name({"pre_tokenizer": phi_4, "model": {"ignore_merges": False}}) == "dbrx"
    assert pre_tokenizer_name({"pre_tokenizer": phi_4, "model": {"ignore_merges": True}}) == "llama-bpe"
    phi_4["pretokenizers"][0]["pattern"]["Regex"] += "|x"
    assert pre_tokenizer_name({"pre_tokenizer": phi_4, "model": {}}) is None
    for name, rule in PRE_TOKENIZERS.items():
        found = pre_tokenizer_name(
            {"pre_tokenizer": json.loads(rule.__getstate__()), "model": {"ignore_merges": name == "llama-bpe"}}
        )
        assert found is not None and PRE_TOKENIZERS[found] is rule


@pytest.mark.parametrize(("adds", "start"), [(False, []), (True, [0]), (None, [])])
def test_the_file_says_whether_a_text_starts_with_bos(tmp_path: Path, adds: bool | None, start: list[int]) -> None:
    path = write_llama_gguf(tmp_path / "model.gguf", tiny_llama(), tokenizer__ggml__add_bos_token=adds)
    tokenizer = gguf_read.read(path).tokenizer
    assert tokenizer.encode("a b").ids == start + tokenizer.encode("a b", add_special_tokens=False).ids


def test_special_tokens_are_silent_and_unused_rows_have_no_token(tmp_path: Path) -> None:
    tokenizer = gguf_read.read(write_llama_gguf(tmp_path / "model.gguf", tiny_llama())).tokenizer
    assert tokenizer.id_to_token(0) == "<|endoftext|>" and tokenizer.decode([0]) == ""
    assert tokenizer.id_to_token(319) is None


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"tokenizer__ggml__model": "llama"}, "kind 'llama', and only 'gpt2'"),
        ({"tokenizer__ggml__pre": "qwen2"}, "tokenizer.ggml.pre is 'qwen2'"),
        ({"tokenizer__ggml__pre": None}, "tokenizer.ggml.pre is 'default'"),
        ({"tokenizer__ggml__add_space_prefix": True}, "a space before every text"),
        ({"tokenizer__ggml__tokens": ["a"] * 320}, "the same token twice"),
        ({"tokenizer__ggml__tokens": ["a", "b"]}, "it has 2 tokens, 320 types of them and 320 rows"),
        ({"tokenizer__ggml__token_type": [6] * 320}, "token_type of token 0 is 6"),
        ({"tokenizer__ggml__tokens": [f"t {row}" for row in range(320)]}, "'t 1', is not written in bytes"),
        ({"tokenizer__ggml__token_type": ["x"] * 320}, "token_type is not a list of int"),
        ({"tokenizer__ggml__merges": ["q zzz"]}, "merges do not fit"),
        ({"tokenizer__ggml__merges": ["alone"]}, "merges do not fit"),
        ({"tokenizer__ggml__merges": None}, "tokenizer.ggml.merges is missing"),
    ],
)
def test_an_unknown_or_contradictory_tokenizer_is_refused(tmp_path: Path, changes: dict[str, Any], reason: str) -> None:
    path = write_llama_gguf(tmp_path / "model.gguf", tiny_llama(), **changes)
    with pytest.raises(HornbookError, match=reason) as caught:
        gguf_read.read(path)
    assert "model.gguf" in caught.value.problem and caught.value.remedy
