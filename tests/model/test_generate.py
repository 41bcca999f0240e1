"""Generation: the same tokens as transformers, with or without a cache; text appears character by character."""

from itertools import islice
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer
from transformers import AutoModelForCausalLM

from hornbook.core.errors import HornbookError
from hornbook.model import huggingface
from hornbook.model.decoder import Decoder
from hornbook.model.generate import generate
from hornbook.model.text import encode_prompt, load_tokenizer, stream_text
from tests.model.tiny import TEXT, tiny_folder, tiny_model

PROMPT = [0, 70, 80, 90, 11]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_folder(tmp_path_factory.mktemp("model"), tie_word_embeddings=False)


@pytest.fixture(scope="module")
def model(folder: Path) -> Decoder:
    return huggingface.load(folder)


@pytest.fixture(scope="module")
def tokenizer(folder: Path) -> Tokenizer:
    return load_tokenizer(folder)


def test_greedy_generation_is_that_of_transformers(folder: Path, model: Decoder) -> None:
    theirs = AutoModelForCausalLM.from_pretrained(folder)
    wanted = theirs.generate(torch.tensor([PROMPT]), max_new_tokens=60, do_sample=False)[0, len(PROMPT) :]
    ours = list(generate(model, PROMPT, max_new_tokens=60, stop_ids={0}))
    assert ours == [token for token in wanted.tolist() if token != 0]
    assert len(set(ours)) > 3  # it is no test when the model says one thing only


@torch.no_grad()
def test_the_cache_changes_nothing(model: Decoder) -> None:
    ids = list(PROMPT)
    for token in generate(model, PROMPT, max_new_tokens=50):
        assert token == int(model(torch.tensor([ids]))[0, -1].argmax())
        ids.append(token)
    assert len(ids) == len(PROMPT) + 50


def test_generation_ends_before_a_stop_token_and_where_the_context_is_full(model: Decoder) -> None:
    free = list(generate(model, PROMPT, max_new_tokens=10_000))
    assert len(free) == 128 - len(PROMPT)
    assert list(generate(model, PROMPT, max_new_tokens=50, stop_ids={free[3]})) == free[: free.index(free[3])]
    assert list(generate(model, PROMPT, max_new_tokens=0)) == []


@pytest.mark.parametrize("prompt", [[], [1] * 128])
def test_a_prompt_that_is_empty_or_fills_the_context_is_one_clear_error(model: Decoder, prompt: list[int]) -> None:
    with pytest.raises(HornbookError, match="wants 1 to 127"):
        next(generate(model, prompt, max_new_tokens=1))


def test_a_seed_repeats_the_draws(model: Decoder) -> None:
    first, again, other = (
        list(generate(model, PROMPT, max_new_tokens=40, temperature=1.5, seed=seed)) for seed in (1, 1, 2)
    )
    assert first == again != other


def test_a_prompt_starts_as_every_text_in_training(model: Decoder, tokenizer: Tokenizer) -> None:
    ids = encode_prompt(model.config, tokenizer, TEXT)
    assert ids[0] == 0 and tokenizer.decode(ids[1:]) == TEXT
    assert encode_prompt(tiny_model(bos_token_id=None, eos_token_id=5).config, tokenizer, "")[0] == 5


@settings(max_examples=60, deadline=None)
@given(ids=st.lists(st.integers(0, 319), max_size=30))
def test_streamed_text_is_the_decoded_text_whatever_the_tokens(tokenizer: Tokenizer, ids: list[int]) -> None:
    assert "".join(stream_text(tokenizer, ids)) == tokenizer.decode(ids)


def test_a_character_is_held_back_until_its_last_byte(tokenizer: Tokenizer) -> None:
    text = "naïve 🙂 漢字\n"
    ids = [token for character in text for token in tokenizer.encode(character).ids]
    pieces = list(stream_text(tokenizer, ids))
    assert "".join(pieces) == text
    assert "�" not in "".join(pieces) and len(pieces) > 8


def test_text_comes_while_tokens_come(tokenizer: Tokenizer) -> None:
    def endless():
        while True:
            yield tokenizer.encode("a").ids[0]

    assert list(islice(stream_text(tokenizer, endless()), 3)) == ["a", "a", "a"]
