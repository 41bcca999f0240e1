"""How many times larger a model on the reference data must be: exact on clean curves, bounds outside of them."""

import numpy as np
import pytest

from hornbook.ablation.ladder import parameter_multipliers
from hornbook.ablation.multiplier import resampled_bits_per_byte
from tests.ablation.ladders import BUDGETS, SIZES, ladder

SLOPE = 0.3  # bits per byte that a model loses for a factor of e in size: straight in log parameters


def tripled(size: float, budget: float, data: str) -> float:
    """Curated data is worth a model three times as large, at every size and budget."""
    return 8 - SLOPE * np.log(size * (3 if data == "curated" else 1)) - 0.1 * np.log(budget / 1e6)


def found(**changes) -> dict[tuple[int, int], dict]:
    bits, arms = ladder(**{"rate": tripled, **changes})
    samples = resampled_bits_per_byte(bits.bits_SNC, bits.bytes_N, 300, np.random.default_rng(0))
    rows = parameter_multipliers(bits, arms, *samples)
    assert all(row["set"] == "texts" and row["data"] == "curated" for row in rows)
    return {(row["parameters"], row["budget"]): row for row in rows}


def test_data_worth_a_model_three_times_as_large_is_found_exactly() -> None:
    rows = found()
    assert set(rows) == {(size, budget) for size in SIZES for budget in BUDGETS}
    for size in SIZES[:3]:
        row = rows[size, 600_000]
        assert [row["multiplier"], row["low"], row["high"]] == pytest.approx([3.0] * 3)
        assert row["text"] == "3.0x [3.0, 3.0]" and not row["beyond"]


def test_beyond_the_largest_reference_model_there_is_only_a_bound() -> None:
    row = found()[10_000_000, 600_000]
    assert row["beyond"] and row["multiplier"] == 1.0 and row["text"] == ">= 1.0x [>= 1.0, >= 1.0]"


def test_data_that_is_worse_than_the_smallest_reference_model_has_an_upper_bound() -> None:
    rows = found(rate=lambda size, budget, data: tripled(size, budget, "raw") + (data == "curated"))
    row = rows[300_000, 600_000]
    assert row["below"] and row["multiplier"] == 1.0
    assert rows[10_000_000, 600_000]["multiplier"] == pytest.approx(np.exp(-1 / SLOPE))


def test_noise_of_texts_and_seeds_makes_an_interval_that_holds_the_truth() -> None:
    row = found(noise=0.2)[1_000_000, 600_000]
    assert row["low"] < 3 < row["high"] and row["high"] - row["low"] > 0.1


def test_a_larger_model_that_is_worse_is_levelled_as_in_learning_curves() -> None:
    bump = {3_000_000: 0.5}
    rows = found(
        rate=lambda size, budget, data: tripled(size, budget, data) + (bump.get(size, 0) if data == "raw" else 0)
    )
    levelled = rows[1_000_000, 600_000]["multiplier"]
    assert 3 < levelled <= 10


def test_one_size_is_no_ladder() -> None:
    assert found(sizes=(1_000_000,)) == {}


def test_data_with_two_sizes_has_no_trend_yet() -> None:
    assert found(sizes=SIZES[:2]) == {}
    assert found(sizes=SIZES[:3]).keys() == {(size, budget) for size in SIZES[:3] for budget in BUDGETS}
