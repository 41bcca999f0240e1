"""LongRoPE: which factors a sequence gets, when they change, and that training and generation follow."""

import math
from pathlib import Path

import pytest
import torch
from torch.nn import functional as F
from transformers import AutoModelForCausalLM

from hornbook.core.errors import HornbookError
from hornbook.model import huggingface
from hornbook.model.config import LongRope
from hornbook.model.decoder import Decoder, KVCache
from hornbook.model.generate import generate
from hornbook.model.rope import Rope, attention_factor
from tests.model.tiny import tiny_config, tiny_model

ORIGINAL = 24
SCALING = LongRope(ORIGINAL, tuple(1 + 0.1 * i for i in range(8)), tuple(1 + 1.5 * i for i in range(8)))
CPU = torch.device("cpu")


@pytest.fixture
def model() -> Decoder:
    return tiny_model(rope_scaling=SCALING, pad_token_id=None, tie_word_embeddings=False)


def some_ids(rows: int, length: int) -> torch.Tensor:
    return torch.randint(0, 320, (rows, length), generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize(
    ("original", "context", "factor"), [(4096, 131072, 1.1902380714), (8192, 131072, 1.1435437498)]
)
def test_the_attention_factor_of_the_published_models(original: int, context: int, factor: float) -> None:
    assert attention_factor(original, context / original) == pytest.approx(factor, abs=1e-10)
    assert attention_factor(original, 1.0) == 1.0


@pytest.mark.parametrize(("length", "factors"), [(ORIGINAL, SCALING.short_factor), (ORIGINAL + 1, SCALING.long_factor)])
def test_a_frequency_is_divided_by_the_factor_of_the_length(length: int, factors: tuple[float, ...]) -> None:
    config = tiny_config(rope_scaling=SCALING)
    cos, sin = Rope.of(config).tables(0, length, CPU, torch.float32)
    sharper = math.sqrt(1 + math.log(128 / ORIGINAL) / math.log(ORIGINAL))
    for i in range(8):
        angle = (length - 1) / (factors[i] * 10_000 ** (2 * i / 16))
        assert cos[-1, 0, i].item() == pytest.approx(sharper * math.cos(angle), abs=1e-5)
        assert sin[-1, 0, i].item() == pytest.approx(sharper * math.sin(angle), abs=1e-5)


def test_a_given_attention_factor_replaces_the_formula(tmp_path: Path) -> None:
    given = LongRope(ORIGINAL, SCALING.short_factor, SCALING.long_factor, attention_factor=1.5)
    ours, ids = tiny_model(rope_scaling=given), some_ids(2, 40)
    huggingface.save(ours, tmp_path)
    with torch.no_grad():
        theirs = AutoModelForCausalLM.from_pretrained(tmp_path)(ids).logits
        torch.testing.assert_close(ours(ids), theirs, atol=1e-5, rtol=1e-5)
    assert huggingface.load(tmp_path).config == ours.config


def test_angles_are_exact_when_the_model_is_in_bfloat16() -> None:
    rope = Rope.of(tiny_config(rope_scaling=SCALING))
    exact, narrow = (rope.tables(100, 1, CPU, dtype)[0] for dtype in (torch.float32, torch.bfloat16))
    assert torch.equal(narrow, exact.bfloat16())


@torch.no_grad()
def test_rows_of_a_batch_do_not_depend_on_their_neighbours(model: Decoder) -> None:
    ids, lengths = some_ids(3, 40), [20, ORIGINAL, 40]
    together = model(ids, lengths_B=torch.tensor(lengths))
    for row, length in enumerate(lengths):
        alone = model(ids[row : row + 1, :length])[0]
        torch.testing.assert_close(together[row, :length], alone, atol=1e-5, rtol=1e-5)
    padded_blindly = model(ids)[0, :20]
    assert (padded_blindly - model(ids[:1, :20])[0]).abs().max() > 0.01  # what the lengths are for


@torch.no_grad()
@pytest.mark.parametrize("pieces", [[40], [24, 1, 15], [10, 10, 20], [23, 2, 15], [25, 15]])
def test_when_a_sequence_outgrows_the_short_factors_its_keys_are_computed_again(
    model: Decoder, pieces: list[int]
) -> None:
    ids, cache = some_ids(2, 40), KVCache(model.config)
    logits = [model(piece, cache) for piece in ids.split(pieces, dim=1)]
    assert cache.length == 40
    torch.testing.assert_close(logits[-1], model(ids)[:, -pieces[-1] :], atol=1e-5, rtol=1e-5)


def test_greedy_generation_across_the_boundary_is_that_of_transformers(tmp_path: Path, model: Decoder) -> None:
    huggingface.save(model, tmp_path)
    theirs, prompt = AutoModelForCausalLM.from_pretrained(tmp_path), some_ids(1, ORIGINAL - 8)
    wanted = theirs.generate(prompt, max_new_tokens=40, do_sample=False, eos_token_id=None)[0, prompt.shape[1] :]
    assert list(generate(model, prompt[0].tolist(), max_new_tokens=40)) == wanted.tolist()
    assert len(set(wanted.tolist())) > 5


@torch.no_grad()
def test_every_generated_token_is_the_one_without_a_cache(model: Decoder) -> None:
    ids = some_ids(1, ORIGINAL - 5)[0].tolist()
    for token in generate(model, ids, max_new_tokens=12):
        assert token == int(model(torch.tensor([ids]))[0, -1].argmax())
        ids.append(token)
    assert len(ids) > ORIGINAL + 5


@pytest.mark.parametrize("length", [ORIGINAL, 2 * ORIGINAL])
def test_it_trains_below_and_above_the_boundary(model: Decoder, length: int) -> None:
    model.train()
    ids, optimizer = some_ids(4, length), torch.optim.AdamW(model.parameters(), lr=0.01)
    losses = []
    for _ in range(15):
        loss = F.cross_entropy(model(ids)[:, :-1].flatten(0, 1), ids[:, 1:].flatten())
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        losses.append(loss.item())
    assert losses[-1] < 0.5 * losses[0]


def test_without_factors_a_model_can_be_measured_and_not_run_or_saved(tmp_path: Path) -> None:
    model = tiny_model(rope_scaling=LongRope(ORIGINAL))
    assert model.num_parameters() == tiny_model().num_parameters()
    with pytest.raises(HornbookError, match=r"no factors.*checkpoint"):
        model(some_ids(1, 4))
    with pytest.raises(HornbookError, match=r"no factors.*checkpoint"):
        huggingface.save(model, tmp_path)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("scaling", "named"),
    [
        (LongRope(ORIGINAL, (1.0,) * 8, (1.0,) * 7), "long_factor has 7 factors.*need 8"),
        (LongRope(ORIGINAL, (), (1.0,) * 8), "short_factor has 0"),
        (LongRope(ORIGINAL, (0.0,) * 8, (1.0,) * 8), "positive"),
        (LongRope(256, (1.0,) * 8, (1.0,) * 8), "is 256, and max_position_embeddings 128"),
    ],
)
def test_factors_that_cannot_be_are_one_clear_error(scaling: LongRope, named: str) -> None:
    with pytest.raises(HornbookError, match=named):
        tiny_config(rope_scaling=scaling)
