"""Shares of executed solutions that pass, and whether one arm passes more than another."""

import numpy as np
import pyarrow as pa
import pytest

from hornbook.ablation.config import VerdictConfig
from hornbook.ablation.executed import pass_rates
from hornbook.core.errors import HornbookError

CONFIG = VerdictConfig(bootstrap=400)
EXERCISES, SAMPLES = 100, 5


def rows(arm: str, lift: float = 0.0, seeds: int = 3, size: int = 1_000_000, budget: int = 600_000) -> list[dict]:
    """Exercises of all difficulties; `lift` is added to the chance of every one."""
    rng = np.random.default_rng([len(arm), size])
    found = []
    for exercise, easy in enumerate(np.random.default_rng(0).uniform(0.1, 0.6, EXERCISES)):
        for seed in range(seeds):
            about = {"arm": arm, "budget": budget, "seed": seed, "parameters": size, "id": f"{exercise}"}
            found.append(about | {"samples": SAMPLES, "passed": int(rng.binomial(SAMPLES, easy + lift))})
    return found


def judge(*parts: list[dict], base: str = "raw") -> tuple[list[dict], list[dict]]:
    return pass_rates(pa.Table.from_pylist([row for part in parts for row in part]), base, CONFIG)


def test_the_pass_rate_is_the_mean_share_of_samples_that_pass() -> None:
    table = rows("raw")
    rates, differences = judge(table)
    row = rates[0]
    assert row["pass_rate"] == pytest.approx(np.mean([row["passed"] / SAMPLES for row in table]))
    assert row["low"] < 0.35 < row["high"] and row["high"] - row["low"] < 0.2
    assert (row["arm"], row["budget"], row["parameters"]) == ("raw", 600_000, 1_000_000)
    assert (row["exercises"], row["samples"]) == (EXERCISES, EXERCISES * SAMPLES * 3)
    assert differences == []


def test_an_arm_that_passes_more_is_above_zero_and_decided() -> None:
    _, differences = judge(rows("raw"), rows("curated", 0.2), rows("same"))
    found = {row["arm"]: row for row in differences}
    assert found.keys() == {"curated", "same"} and found["curated"]["base"] == "raw"
    assert found["curated"]["value"] == pytest.approx(0.2, abs=0.05) and found["curated"]["low"] > 0
    assert found["curated"]["decided"] and not found["same"]["decided"]


def test_models_of_another_size_or_budget_are_not_compared() -> None:
    rates, differences = judge(
        rows("raw"), rows("curated", 0.2, size=3_000_000), rows("other", budget=1_200_000), rows("raw", budget=300_000)
    )
    assert len(rates) == 4 and differences == []


def test_the_base_arm_need_not_be_executed() -> None:
    rates, differences = judge(rows("curated"), rows("textbook", 0.1))
    assert [row["arm"] for row in rates] == ["curated", "textbook"] and differences == []


def test_rates_stay_between_nothing_and_everything() -> None:
    none, every = rows("raw"), rows("curated")
    for row in none:
        row["passed"] = 0
    for row in every:
        row["passed"] = SAMPLES - (row["seed"] == 0)
    rates, _ = judge(none, every)
    assert [rates[0][key] for key in ("pass_rate", "low", "high")] == [0, 0, 0]
    assert rates[1]["high"] == 1.0


def test_counts_that_cannot_be_are_refused() -> None:
    for wrong in ({"samples": 0, "passed": 0}, {"passed": SAMPLES + 1}, {"passed": -1}):
        table = rows("raw")
        table[3] |= wrong
        with pytest.raises(HornbookError, match="raw passes the exercise 1 in"):
            judge(table)
    with pytest.raises(HornbookError, match="not measured alike on executed exercises: curated"):
        judge(rows("raw"), rows("curated")[1:])
