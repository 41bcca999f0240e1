"""Texts that end where they should, and pieces that never show the start of a stop string."""

import pytest
from tokenizers import Tokenizer

from hornbook.model.decoder import Decoder
from hornbook.model.load import load_any
from hornbook.model.sampling import SamplingOptions
from hornbook.model.text import encode_prompt, generate_texts, stream_text
from tests.model.tiny import tiny_folder


@pytest.fixture(scope="module")
def opened(tmp_path_factory: pytest.TempPathFactory) -> tuple[Decoder, Tokenizer]:
    return load_any(tiny_folder(tmp_path_factory.mktemp("model"), tie_word_embeddings=False))


def texts(opened: tuple[Decoder, Tokenizer], **settings) -> tuple[list[str], list[list[str]]]:
    model, tokenizer = opened
    rows = [encode_prompt(model.config, tokenizer, text) for text in ("def f(", "return", "n")]
    pieces: list[list[str]] = [[], [], []]
    for number, piece in generate_texts(
        model, tokenizer, rows, SamplingOptions(1.5), max_new_tokens=40, seeds=[1, 2, 3], **settings
    ):
        pieces[number].append(piece)
    return ["".join(row) for row in pieces], pieces


def test_texts_come_in_pieces_and_end_before_stop_strings(opened: tuple[Decoder, Tokenizer]) -> None:
    free, pieces = texts(opened)
    assert all(len(text) > 20 for text in free) and max(map(len, pieces)) > 10
    stops = [free[0][9:13], free[1][5:7], "never there"]
    cut = [text[: min([at for at in map(text.find, stops) if at >= 0], default=None)] for text in free]
    stopped, _ = texts(opened, stop=stops)
    assert stopped == cut and stopped[0] == free[0][: len(stopped[0])] != free[0]


def test_what_a_stop_string_may_begin_with_is_held_back(opened: tuple[Decoder, Tokenizer]) -> None:
    free, _ = texts(opened)
    almost = free[2][6:9] + "\x00"  # begins as the text goes on, and never comes
    assert texts(opened, stop=[almost])[0] == free
    stop = free[2][6:11]
    _, pieces = texts(opened, stop=[stop])
    told = ""
    for piece in pieces[2]:
        told += piece
        assert free[2][: free[2].find(stop)].startswith(told)


def test_the_caller_may_say_where_a_text_ends(opened: tuple[Decoder, Tokenizer]) -> None:
    free, _ = texts(opened)
    assert texts(opened, end_of=lambda text: 7 if len(text) >= 7 else None)[0] == [text[:7] for text in free]


def test_texts_are_those_of_the_tokens(opened: tuple[Decoder, Tokenizer]) -> None:
    model, tokenizer = opened
    from hornbook.model.generate import generate

    ids = encode_prompt(model.config, tokenizer, "return")
    assert texts(opened)[0][1] == "".join(
        stream_text(tokenizer, generate(model, ids, max_new_tokens=40, temperature=1.5, seed=2))
    )
