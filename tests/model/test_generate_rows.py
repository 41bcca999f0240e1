"""Many rows at once: each gets what it would get alone, with caches of unequal length, and rows that come and go."""

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

import pytest
import torch
from transformers import AutoModelForCausalLM

from hornbook.core.errors import HornbookError
from hornbook.model import huggingface
from hornbook.model.config import PARALLEL, LongRope
from hornbook.model.decoder import Decoder
from hornbook.model.generate import generate, generate_rows
from hornbook.model.kv_cache import KVCache
from hornbook.model.prepare import prepared
from hornbook.model.sampling import SamplingOptions
from hornbook.model.score import log_probabilities
from hornbook.model.sizes import measure
from tests.model.tiny import tiny_model

LONG = LongRope(24, (1.0,) * 8, tuple(1 + 1.5 * i for i in range(8)))
SHAPES: dict[str, dict[str, Any]] = {
    "plain": {"tie_word_embeddings": False},
    "window": {"sliding_window": 12, "tie_word_embeddings": False},
    "parallel": {**PARALLEL, "tie_word_embeddings": False, "partial_rotary_factor": 0.5},
    "longrope": {
        "tie_word_embeddings": False,
        "rope_scaling": LongRope(24, (1.0,) * 8, tuple(1 + 1.5 * i for i in range(8))),
    },
}
LENGTHS = (3, 21, 9, 20, 40, 22, 1)  # some outgrow 24 positions while they are continued, and the window


@pytest.fixture(scope="module", params=SHAPES)
def model(request: pytest.FixtureRequest) -> Decoder:
    return tiny_model(**SHAPES[request.param])


def prompts(lengths: Sequence[int] = LENGTHS) -> list[list[int]]:
    generator = torch.Generator().manual_seed(5)
    return [torch.randint(1, 320, (length,), generator=generator).tolist() for length in lengths]


def answers(model: Decoder, rows: list[list[int]], options: SamplingOptions | None = None, **settings: Any) -> list:
    found = defaultdict(list)
    for number, token in generate_rows(model, rows, options, **{"max_new_tokens": 15, **settings}):
        found[number].append(token)
    return [found[number] for number in range(len(rows))]


@pytest.mark.parametrize("max_rows", [1, 3, 16])
def test_greedy_rows_are_those_of_the_model_without_cache_or_neighbours(model: Decoder, max_rows: int) -> None:
    wanted = []
    for prompt in prompts():
        ids = list(prompt)
        for _ in range(15):
            with torch.no_grad():
                ids.append(int(model(torch.tensor([ids]))[0, -1].argmax()))
        wanted.append(ids[len(prompt) :])
    assert answers(model, prompts(), max_rows=max_rows) == wanted
    assert sum(len(set(tokens)) for tokens in wanted) > 30


@pytest.mark.parametrize(
    "options",
    [SamplingOptions(1.2, top_p=0.9), SamplingOptions(0.9, top_k=20, min_p=0.02, repetition_penalty=1.3)],
)
def test_the_draws_of_a_row_are_its_own(model: Decoder, options: SamplingOptions) -> None:
    rows, seeds = prompts(), [7, 7, 1, 2, 3, 4, 5]
    together = answers(model, rows, options, seeds=seeds)
    one_by_one = [answers(model, [row], options, seeds=[seed])[0] for row, seed in zip(rows, seeds, strict=True)]
    backwards = answers(model, rows[::-1], options, seeds=seeds[::-1], max_rows=3)[::-1]
    assert together == one_by_one == backwards
    same = answers(model, [rows[0]] * 3, options, seeds=[1, 2, 1])
    assert same[0] == same[2] != same[1]


def test_rows_end_for_reasons_of_their_own(model: Decoder) -> None:
    rows = prompts()
    free = answers(model, rows)
    limits = [0, 1, 5, 15, 2, 15, 3]
    assert answers(model, rows, max_new_tokens=limits) == [f[:n] for f, n in zip(free, limits, strict=True)]
    stops = {free[1][4], free[3][2]}
    cut = [next((n for n, token in enumerate(tokens) if token in stops), 15) for tokens in free]
    assert answers(model, rows, stop_ids=stops) == [f[:n] for f, n in zip(free, cut, strict=True)]
    last = answers(model, rows, is_done=lambda number, token: number % 2 == 0)
    assert last == [f[:1] if number % 2 == 0 else f for number, f in enumerate(free)]
    full = answers(model, prompts([120, 126, 127]), max_new_tokens=50)
    assert [len(tokens) for tokens in full] == [8, 2, 1]  # the context has 128 positions


def test_one_bad_prompt_is_one_clear_error(model: Decoder) -> None:
    with pytest.raises(HornbookError, match="wants 1 to 127"):
        next(generate_rows(model, [[1], [1] * 128], max_new_tokens=1))


def test_a_repetition_penalty_generates_what_transformers_generates(tmp_path) -> None:
    ours = tiny_model(tie_word_embeddings=False)
    huggingface.save(ours, tmp_path)
    prompt = prompts([6])[0]
    theirs = AutoModelForCausalLM.from_pretrained(tmp_path)
    wanted = theirs.generate(
        torch.tensor([prompt]), max_new_tokens=40, do_sample=False, repetition_penalty=1.5, eos_token_id=None
    )
    found = list(generate(ours, prompt, max_new_tokens=40, repetition_penalty=1.5))
    assert found == wanted[0, 6:].tolist() != list(generate(ours, prompt, max_new_tokens=40))


@torch.no_grad()
def test_log_probabilities_are_those_of_the_model(model: Decoder) -> None:
    rows = prompts()
    continuations = [row[::-1] for row in rows[:-1]] + [[]]
    found = log_probabilities(model, rows, continuations, batch_tokens=100)
    assert found[-1] == []
    for prompt, continuation, scores in zip(rows, continuations, found, strict=True):
        if continuation:
            ids = torch.tensor([prompt + continuation])
            wanted = model(ids).log_softmax(-1)[0, len(prompt) - 1 : -1].gather(1, torch.tensor(continuation)[:, None])
            assert scores == pytest.approx(wanted[:, 0].tolist(), abs=1e-4)


@torch.no_grad()
def test_the_cache_takes_the_memory_that_is_predicted() -> None:
    model = tiny_model().bfloat16()
    per_token = measure(model.config).kv_bytes_per_token
    cache = KVCache(model.config, limit=50)
    for piece in torch.randint(320, (3, 50)).split([30, 1, 1, 18], dim=1):
        model(piece, cache)
        assert cache.nbytes >= 3 * cache.length * per_token
    assert cache.nbytes == 3 * 50 * per_token
    filled = KVCache(model.config)
    model(torch.randint(320, (2, 128)), filled)
    assert filled.nbytes == 2 * 128 * per_token


@torch.no_grad()
@pytest.mark.parametrize("name", SHAPES)
def test_a_prepared_model_computes_the_same_and_is_left_as_it_was(name: str) -> None:
    model = tiny_model(**SHAPES[name]).bfloat16()
    ids = torch.randint(320, (3, 20), generator=torch.Generator().manual_seed(0))
    before, threads = model(ids), torch.get_num_threads()
    with prepared(model), prepared(model):
        inside = model(ids)
        one = model(ids[:1, :1])
    torch.testing.assert_close(inside, before, atol=0.05, rtol=0.05)
    torch.testing.assert_close(one, before[:1, :1], atol=0.05, rtol=0.05)
    assert torch.equal(model(ids), before) and torch.get_num_threads() == threads


def test_a_prepared_model_generates_what_it_would_unprepared(model: Decoder) -> None:
    free = answers(model, prompts())
    with prepared(model):
        assert answers(model, prompts()) == free  # in float32, so rounding decides nothing
