import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hornbook.ablation.multiplier import (
    amount_to_match,
    falling,
    interval,
    multiplier,
    resampled_bits_per_byte,
)

BUDGETS = np.array([300_000.0, 600_000.0, 1_200_000.0, 2_400_000.0])
CURVE = np.array([3.0, 2.6, 2.3, 2.1])

curves = st.lists(st.floats(0.01, 1.0), min_size=4, max_size=4).map(lambda drops: 5.0 - np.cumsum(drops))
targets = st.floats(0.5, 5.5)


def at(target: float, curve: np.ndarray = CURVE) -> float:
    return float(amount_to_match(BUDGETS, curve[None], np.array([target]))[0])


@given(curves, st.integers(1, 3))
def test_a_target_on_the_curve_needs_exactly_that_budget(curve: np.ndarray, k: int) -> None:
    assert at(curve[k], curve) == pytest.approx(BUDGETS[k], rel=1e-9)


@given(curves, targets, targets)
def test_a_lower_target_never_needs_fewer_tokens(curve: np.ndarray, one: float, other: float) -> None:
    assert at(min(one, other), curve) >= at(max(one, other), curve)


def test_between_budgets_it_is_linear_in_log_tokens() -> None:
    assert at((2.6 + 2.3) / 2) == pytest.approx(np.sqrt(600_000 * 1_200_000))


def test_outside_of_the_curve_there_are_only_bounds() -> None:
    assert at(2.0) == np.inf
    assert at(3.1) == at(3.0) == 0


def test_a_bump_in_the_curve_is_levelled() -> None:
    bumpy = np.array([3.0, 2.3, 2.6, 2.1])
    assert falling(bumpy[None])[0] == pytest.approx([3.0, 2.45, 2.45, 2.1])
    assert at(2.45, bumpy) == pytest.approx(600_000)
    assert 1_200_000 < at(2.3, bumpy) < 2_400_000


@given(st.lists(st.floats(0.5, 5.0), min_size=4, max_size=4).map(np.array))
def test_a_levelled_curve_never_rises_and_keeps_its_mean(curve: np.ndarray) -> None:
    fitted = falling(curve[None])[0]
    assert (np.diff(fitted) <= 1e-12).all()
    assert fitted.mean() == pytest.approx(curve.mean())


def test_one_budget_gives_bounds() -> None:
    for target, tokens in ((2.0, np.inf), (3.0, 0.0)):
        found = amount_to_match(np.array([6e5]), np.array([[2.5]]), np.array([target]))
        assert found[0] == tokens


def test_bounds_are_flagged_and_read_as_such() -> None:
    samples = np.tile(CURVE, (100, 1))
    beyond = multiplier(BUDGETS, 600_000, (CURVE, samples), (np.array(2.0), np.linspace(1.9, 2.2, 100)))
    assert beyond.beyond and beyond.high_beyond and not beyond.low_beyond
    assert beyond.multiplier == beyond.high == 4.0
    assert str(beyond).startswith(">= 4.0x [") and str(beyond).endswith(", >= 4.0]")
    below = multiplier(BUDGETS, 600_000, (CURVE, samples), (np.array(3.5), np.full(100, 3.5)))
    assert below.below and below.low_below and below.high_below
    assert str(below) == "<= 0.50x [<= 0.50, <= 0.50]"


def test_resampling_keeps_the_arms_paired() -> None:
    rng = np.random.default_rng(0)
    bits_SNC = rng.uniform(100, 900, (1, 50, 1)) * np.array([1.0, 2.0])
    point_C, samples_BC = resampled_bits_per_byte(bits_SNC, np.full(50, 200.0), 200, rng)
    assert point_C == pytest.approx(bits_SNC[0].sum(axis=0) / 10_000)
    assert samples_BC[:, 1] == pytest.approx(2 * samples_BC[:, 0])
    assert samples_BC[:, 0].std() > 0


def test_several_seeds_widen_the_interval_by_their_spread() -> None:
    rng = np.random.default_rng(0)
    bits_SNC = np.repeat(rng.uniform(100, 900, (1, 50, 1)), 5, axis=0)
    alike = interval(resampled_bits_per_byte(bits_SNC, np.full(50, 200.0), 1000, rng)[1][:, 0])
    apart_SNC = bits_SNC * np.array([0.7, 0.85, 1.0, 1.15, 1.3])[:, None, None]
    apart = interval(resampled_bits_per_byte(apart_SNC, np.full(50, 200.0), 1000, rng)[1][:, 0])
    assert apart[1] - apart[0] > 1.2 * (alike[1] - alike[0])


def test_intervals_cover_the_truth_as_often_as_they_say() -> None:
    """Texts drawn from a population with a known multiplier of 2: raw is at 1.2 M where the arm is at 0.6 M."""
    rng = np.random.default_rng(1)
    covered, runs, texts = 0, 300, 160
    rates_C = np.array([*CURVE, 2.3])
    for _ in range(runs):
        bytes_N = rng.integers(50, 800, texts).astype(float)
        hard_N1 = rng.normal(0, 0.4, (texts, 1))  # shared by all models: what pairing takes out
        bits_SNC = (bytes_N[:, None] * (rates_C + hard_N1 + rng.normal(0, 0.15, (texts, 5))))[None]
        point_C, samples_BC = resampled_bits_per_byte(bits_SNC, bytes_N, 400, rng)
        curve = (point_C[:4], samples_BC[:, :4])
        found = multiplier(BUDGETS, 600_000, curve, (point_C[4], samples_BC[:, 4]))
        covered += found.low <= 2 <= found.high
    assert 0.91 <= covered / runs <= 0.985
