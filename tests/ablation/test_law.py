"""The law finds what was planted, within its intervals, and says when the models cannot tell."""

import json

import numpy as np
import pytest
from scipy.optimize import least_squares

from hornbook.ablation.law import TOO_WIDE, law
from hornbook.ablation.law_fit import EXPONENTS, HUBER, bounds, fit, fit_from_afar, grid, predict
from hornbook.ablation.multiplier import resampled_bits_per_byte
from tests.ablation.ladders import ALPHA, BETA, BUDGETS, SIZES, WORTH, A, B, E, ladder, planted


def found(**changes) -> dict:
    bits, arms = ladder(**changes)
    samples = resampled_bits_per_byte(bits.bits_SNC, bits.bytes_N, 300, np.random.default_rng(0))
    row = law(bits, arms, *samples)
    json.dumps(row, allow_nan=False)  # every number is one that JSON knows
    return row


def holds(number: dict[str, float], truth: float) -> bool:
    return number["low"] <= truth <= number["high"]


def test_a_planted_law_is_found_exactly_without_noise() -> None:
    row = found()
    assert row["identified"] and row["note"] == ""
    truth = {"E": E, "A": A, "alpha": ALPHA, "beta": BETA}
    assert {name: row[name]["value"] for name in truth} == pytest.approx(truth, rel=1e-4)
    assert {name: number["value"] for name, number in row["B"].items()} == pytest.approx(B, rel=1e-4)
    assert row["data_multiplier"].keys() == {"curated"}
    assert row["data_multiplier"]["curated"]["value"] == pytest.approx(WORTH, rel=1e-4)
    assert row["rms_residual"] <= row["max_residual"] < 1e-6


def test_a_planted_law_lies_within_the_intervals_under_noise() -> None:
    held = np.zeros(6)
    for seed in range(10):
        row = found(noise=0.1, seed=seed)
        numbers = [*(row[name] for name in ("E", "A", "alpha", "beta")), row["B"]["raw"]]
        numbers += [row["data_multiplier"]["curated"]]
        held += [holds(*pair) for pair in zip(numbers, (E, A, ALPHA, BETA, B["raw"], WORTH), strict=True)]
        assert row["identified"]
        assert row["data_multiplier"]["curated"]["low"] > 1.3  # and the intervals say something
    assert (held >= 9).all()


def test_data_that_is_no_better_is_worth_one() -> None:
    row = found(rate=lambda size, budget, data: planted(size, budget, "raw"), noise=0.1)
    assert holds(row["data_multiplier"]["curated"], 1.0)


def test_every_model_has_a_row_with_its_residual() -> None:
    row = found(noise=0.1)
    assert len(row["cells"]) == len(SIZES) * len(BUDGETS) * 2
    cell = next(cell for cell in row["cells"] if (cell["arm"], cell["budget"]) == ("curated-1000000", 600_000))
    assert (cell["data"], cell["parameters"]) == ("curated", 1_000_000)
    assert cell["residual"] == pytest.approx(np.log(cell["bpb"] / cell["fitted"]))
    residuals = np.array([cell["residual"] for cell in row["cells"]])
    assert row["rms_residual"] == pytest.approx(np.sqrt((residuals**2).mean()))
    assert row["max_residual"] == pytest.approx(abs(residuals).max())


def test_one_model_that_went_wrong_does_not_bend_the_law() -> None:
    def spoilt(size: float, budget: float, data: str) -> float:
        return planted(size, budget, data) * (1.2 if (size, budget, data) == (SIZES[1], BUDGETS[1], "raw") else 1)

    row = found(rate=spoilt)
    assert row["alpha"]["value"] == pytest.approx(ALPHA, rel=0.05)
    assert row["data_multiplier"]["curated"]["value"] == pytest.approx(WORTH, rel=0.05)
    assert row["max_residual"] == pytest.approx(np.log(1.2), rel=0.05)


@pytest.mark.parametrize(
    "changes", [{"sizes": SIZES[:2]}, {"budgets": BUDGETS[:1]}, {"sizes": SIZES[:3], "budgets": BUDGETS[:1]}]
)
def test_too_few_models_are_not_fitted_and_the_note_says_what_to_add(changes) -> None:
    row = found(**changes)
    assert not row["identified"] and row["alpha"] is row["E"] is None and row["data_multiplier"] == {}
    assert "needs 8 models, 3 sizes and 2 budgets" in row["note"] and "Add sizes" in row["note"]
    assert all(cell["fitted"] is None and cell["bpb"] > 0 for cell in row["cells"])


@pytest.mark.parametrize("noise", [0.0, 0.1])
def test_two_budgets_of_one_data_cannot_tell_what_tokens_bring(noise: float) -> None:
    row = found(data=("raw",), budgets=BUDGETS[:2], noise=noise)
    assert not row["identified"]
    assert "beta is not known" in row["note"] and "fewer and with more tokens" in row["note"]


def test_an_exponent_with_an_interval_too_wide_is_not_known() -> None:
    row = found(sizes=SIZES[:3], noise=0.3)
    alpha = row["alpha"]
    assert EXPONENTS[0] < alpha["low"] and TOO_WIDE * alpha["low"] < alpha["high"] < EXPONENTS[1]
    assert not row["identified"] and "alpha is not known: anything from" in row["note"]


@pytest.mark.parametrize("noise", [0.0, 0.1])
@pytest.mark.parametrize(
    "rate",
    [
        lambda size, budget, data: 2.0,
        lambda size, budget, data: 2.0 + size / 1e7,  # larger is worse
        lambda size, budget, data: 2.0 + budget / 1e7,  # longer is worse
        lambda size, budget, data: E + A / size**ALPHA,
    ],
)
def test_curves_that_do_not_fall_have_no_law(rate, noise: float) -> None:
    row = found(rate=rate, noise=noise)
    assert not row["identified"] and "is not known" in row["note"]


def test_what_tokens_do_not_bring_is_said_plainly_and_has_no_multiplier() -> None:
    row = found(rate=lambda size, budget, data: E + A / size**ALPHA)
    assert "beta is not known: bits per byte do not fall with more tokens" in row["note"]
    assert row["alpha"]["value"] == pytest.approx(ALPHA, rel=0.01) and row["data_multiplier"] == {}


@pytest.mark.filterwarnings("error")
def test_seeds_that_are_worlds_apart_do_not_break_the_fit() -> None:
    bits, arms = ladder()
    bits.bits_SNC[0] *= 50
    samples = resampled_bits_per_byte(bits.bits_SNC, bits.bytes_N, 300, np.random.default_rng(0))
    assert (samples[1] < 0).any()  # a mean of three widened to Student's interval
    json.dumps(law(bits, arms, *samples), allow_nan=False)


def test_the_fit_is_as_good_as_that_of_scipy() -> None:
    bits, arms = ladder(noise=0.1)
    loss_C, samples_BC = resampled_bits_per_byte(bits.bits_SNC, bits.bytes_N, 100, np.random.default_rng(1))
    sizes, tokens = (np.array(values) for values in zip(*((arms.parameters[a], b) for a, b in bits.cells), strict=True))
    cells = grid(sizes, tokens, np.array([int(arms.data[arm] == "curated") for arm, _ in bits.cells]))
    start_P, (low_P, high_P) = fit_from_afar(loss_C, cells), bounds(loss_C, cells)
    _, ours_F = fit(np.tile(start_P, (20, 1)), samples_BC[:20], cells, (low_P, high_P))
    for ours, one_C in zip(ours_F, samples_BC, strict=False):
        theirs = least_squares(
            lambda at_P, one_C=one_C: predict(at_P[None], cells)[0][0] - np.log(one_C),
            start_P,
            lambda at_P, one_C: predict(at_P[None], cells)[1][0],
            (low_P, high_P),
            kwargs={"one_C": one_C},
            loss="huber",
            f_scale=HUBER,
            x_scale="jac",
        )
        assert ours <= theirs.cost * 1.01


def test_slopes_are_those_of_the_law() -> None:
    rng = np.random.default_rng(0)
    cells = grid(rng.uniform(1e5, 1e7, 12), rng.uniform(1e5, 1e7, 12), np.arange(12) % 3)
    at_P = rng.normal(0, 0.5, cells.free)
    for place in range(cells.free):
        step_P = 1e-6 * np.eye(cells.free)[place]
        up, down = (predict((at_P + sign * step_P)[None], cells)[0][0] for sign in (1, -1))
        assert predict(at_P[None], cells)[1][0, :, place] == pytest.approx((up - down) / 2e-6, abs=1e-7)
