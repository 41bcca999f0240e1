"""How tokens are chosen: the rules of transformers, in its order, and draws that follow the probabilities."""

from typing import Any

import pytest
import torch
from transformers import GenerationConfig, GPT2Config, GPT2LMHeadModel

from hornbook.core.errors import HornbookError
from hornbook.model.sampling import SamplingOptions, candidates, choose, penalised

VOCABULARY = 2000


@pytest.fixture(scope="module")
def theirs() -> GPT2LMHeadModel:
    return GPT2LMHeadModel(GPT2Config(vocab_size=VOCABULARY, n_embd=8, n_layer=1, n_head=1))


@pytest.mark.parametrize(
    "options",
    [
        {"temperature": 0.7},
        {"top_k": 5},
        {"top_p": 0.4},
        {"top_p": 0.999},  # more tokens than are sorted at first
        {"min_p": 0.2},
        {"repetition_penalty": 1.3},
        {"repetition_penalty": 0.8},
        {"temperature": 1.4, "top_k": 30, "top_p": 0.8, "min_p": 0.05, "repetition_penalty": 1.2},
        {"temperature": 0.3, "top_p": 0.9, "min_p": 0.1},
    ],
)
def test_the_rules_leave_what_those_of_transformers_leave(theirs: GPT2LMHeadModel, options: dict[str, Any]) -> None:
    generator = torch.Generator().manual_seed(0)
    scores = torch.randn(4, VOCABULARY, generator=generator) * torch.tensor([[0.01], [1.0], [3.0], [8.0]])
    ids = torch.randint(VOCABULARY, (4, 30), generator=generator)
    seen = torch.zeros(4, VOCABULARY, dtype=torch.bool).scatter_(1, ids, True)
    config = GenerationConfig(do_sample=True, **{"temperature": 1.0, "top_k": 0, "top_p": 1.0, **options})
    wanted = theirs._get_logits_processor(config, device="cpu")(ids, scores.clone()).softmax(-1)

    ours = SamplingOptions(**{"temperature": 1.0, **options})
    kept, places = candidates(penalised(scores, seen, ours.repetition_penalty) / ours.temperature, ours)
    found = kept.softmax(-1)
    if places is not None:
        found = torch.zeros_like(scores).scatter_(1, places, found)
    torch.testing.assert_close(found, wanted, atol=1e-6, rtol=1e-4)


def test_draws_follow_the_probabilities() -> None:
    logits = torch.tensor([[0.5, 0.3, 0.15, 0.05]]).log()

    def drawn(**options: Any) -> list[float]:
        counts = [0] * 4
        for draw in range(2000):
            counts[choose(logits, SamplingOptions(**{"temperature": 1.0, **options}), [(draw + 0.5) / 2000])[0]] += 1
        return [count / 2000 for count in counts]

    assert drawn() == pytest.approx([0.5, 0.3, 0.15, 0.05], abs=0.002)
    assert drawn(top_k=2) == pytest.approx([0.625, 0.375, 0, 0], abs=0.002)
    assert drawn(top_p=0.7) == pytest.approx([0.625, 0.375, 0, 0], abs=0.002)
    assert drawn(min_p=0.5) == pytest.approx([0.625, 0.375, 0, 0], abs=0.002)
    assert drawn(top_p=0.4) == drawn(top_p=0.0) == drawn(min_p=1.0) == drawn(temperature=0.0) == [1, 0, 0, 0]


def test_the_largest_draw_still_falls_on_a_token_that_is_left() -> None:
    logits = torch.randn(1, VOCABULARY, generator=torch.Generator().manual_seed(1))
    for options in (SamplingOptions(1.0), SamplingOptions(1.0, top_p=0.5), SamplingOptions(1.0, min_p=0.5)):
        (token,) = choose(logits, options, [1 - 2**-53])
        kept, ids = candidates(logits, options)
        assert token in (range(VOCABULARY) if ids is None else ids[0][kept[0] > -torch.inf].tolist())


@pytest.mark.parametrize(
    "options",
    [{"temperature": -1}, {"top_k": -1}, {"top_p": 1.5}, {"min_p": -0.1}, {"repetition_penalty": 0}],
)
def test_what_means_nothing_is_one_clear_error(options: dict[str, Any]) -> None:
    with pytest.raises(HornbookError, match=next(iter(options))):
        SamplingOptions(**options)
