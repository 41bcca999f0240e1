"""Paired differences: they find what is there, at the rate that they promise, and say what else would."""

import numpy as np
import pytest

from hornbook.ablation.difference import paired_difference

TEXTS = 120


def draw(
    rng: np.random.Generator, effect: float, seeds: int = 3, texts: int = TEXTS, spread: float = 0.05
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Bits of two arms on the same texts; the first is worse by `effect` bits per byte."""
    bytes_N = rng.integers(50, 400, texts).astype(float)
    hard_N = rng.normal(2.0, 0.4, texts)  # shared: what pairing takes out
    arms = []
    for shift in (effect, 0.0):
        per_seed = rng.normal(0, spread, (seeds, 1))
        arms.append(bytes_N * (hard_N + shift + per_seed + rng.normal(0, 0.2, (seeds, texts))))
    return arms[0], arms[1], bytes_N


def test_the_value_is_the_difference_of_bits_per_byte_and_turns_with_the_arms() -> None:
    a, b, size = draw(np.random.default_rng(0), 0.1)
    found = paired_difference(a, b, size, 500, np.random.default_rng(1))
    assert found.value == pytest.approx(a.mean(axis=0).sum() / size.sum() - b.mean(axis=0).sum() / size.sum())
    turned = paired_difference(b, a, size, 500, np.random.default_rng(1))
    assert (turned.value, turned.low, turned.high) == pytest.approx((-found.value, -found.high, -found.low))


def test_equal_arms_are_not_decided_and_no_number_of_texts_would_do() -> None:
    a, _, size = draw(np.random.default_rng(0), 0.0)
    found = paired_difference(a, a, size, 500, np.random.default_rng(1))
    assert found.value == 0 and not found.decided and found.p == 1
    assert found.seeds is None and found.texts is None


def test_what_an_open_difference_asks_for_is_more_than_there_is() -> None:
    rng, seen = np.random.default_rng(6), 0
    for _ in range(60):
        a, b, size = draw(rng, 0.04, seeds=2, spread=0.01)
        found = paired_difference(a, b, size, 300, rng)
        if not found.decided:
            seen += 1
            assert found.seeds is None or found.seeds > 2
            assert found.texts is None or found.texts > TEXTS
    assert seen >= 20


def test_a_large_difference_is_decided() -> None:
    a, b, size = draw(np.random.default_rng(0), 0.5)
    found = paired_difference(a, b, size, 1000, np.random.default_rng(1))
    assert found.decided and found.low > 0 and found.p < 0.05
    assert found.seeds is not None and found.seeds <= 3


def test_the_interval_of_one_seed_holds_the_truth_as_often_as_it_says() -> None:
    rng, covered, runs = np.random.default_rng(2), 0, 300
    for _ in range(runs):
        a, b, size = draw(rng, 0.05, seeds=1, spread=0.0)
        found = paired_difference(a, b, size, 300, rng)
        covered += found.low <= 0.05 <= found.high
    assert 0.91 <= covered / runs <= 0.985


@pytest.mark.parametrize("seeds", [3, 5])
def test_the_interval_of_a_few_seeds_is_as_careful_as_it_should_be(seeds) -> None:
    rng, covered, runs = np.random.default_rng(2), 0, 200
    for _ in range(runs):
        a, b, size = draw(rng, 0.05, seeds=seeds, spread=0.1)
        found = paired_difference(a, b, size, 200, rng)
        covered += found.low <= 0.05 <= found.high
    assert covered / runs >= 0.9


def test_as_many_texts_as_asked_for_decide_four_times_in_five() -> None:
    rng, effect = np.random.default_rng(3), 0.03
    wanted = []
    for _ in range(40):
        a, b, size = draw(rng, effect, seeds=1, spread=0.0)
        # The size of the effect is known here; in a run it is estimated.
        a = a + size * (effect - (a - b).sum() / size.sum())
        wanted.append(paired_difference(a, b, size, 300, rng).texts)
    texts = int(np.median([n for n in wanted if n]))
    decided = 0
    for _ in range(100):
        a, b, size = draw(rng, effect, seeds=1, texts=texts, spread=0.0)
        decided += paired_difference(a, b, size, 300, rng).decided
    assert 65 <= decided <= 95


def test_more_seeds_are_asked_for_when_seeds_are_the_noise() -> None:
    _, b, size = draw(np.random.default_rng(4), 0.0, seeds=4, spread=0.0)
    a = b + size * np.array([-0.25, 0.05, 0.2, 0.6])[:, None]  # on average 0.15, give or take 0.35
    found = paired_difference(a, b, size, 500, np.random.default_rng(5))
    assert found.seeds == pytest.approx((2.8 * 0.354 / 0.15) ** 2, abs=2)
    assert found.texts is None  # no number of texts tells anything about the luck of seeds
