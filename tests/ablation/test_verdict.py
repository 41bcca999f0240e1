import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from pydantic import ValidationError

from hornbook.ablation.config import LadderConfig, VerdictConfig
from hornbook.ablation.verdict import ONE_SEED, verdict, verdict_step
from hornbook.core.documents import write_table
from hornbook.core.errors import HornbookError

SETS = ("humaneval", "programs", "explained", "helpers", "held_out")
CONFIG = VerdictConfig(bootstrap=200)
RAW = {300_000: 3.0, 600_000: 2.6, 1_200_000: 2.3, 2_400_000: 2.1}


def rows(
    arm: str, curve: dict[int, float], seed: int = 0, sets: tuple[str, ...] = SETS, parameters: int = 1_000_000
) -> list[dict]:
    """Texts whose mean rate at each budget is exactly the curve's."""
    found = []
    for name in sets:
        rng = np.random.default_rng(len(name))
        size = rng.integers(80, 400, 40)
        noise = rng.normal(0, 0.3, 40)
        noise -= (noise * size).sum() / size.sum()
        for budget, rate in curve.items():
            for text in range(40):
                bits, length = float(size[text] * (rate + noise[text])), int(size[text])
                row = {"arm": arm, "budget": budget, "seed": seed, "set": name, "id": f"{name}/{text}"}
                found.append(row | {"parameters": parameters, "bits": bits, "bytes": length})
    return found


def judge(*parts: list[dict], config: VerdictConfig = CONFIG) -> dict:
    return verdict(pa.Table.from_pylist([row for part in parts for row in part]), config)


def of(result: dict, arm: str, name: str = "humaneval") -> dict:
    return next(row for row in result["multipliers"] if (row["arm"], row["set"]) == (arm, name))


def test_an_arm_equal_to_raw_at_a_budget_is_worth_that_many_tokens_exactly() -> None:
    result = judge(rows("raw", RAW), rows("twin", {600_000: 2.6}), rows("double", {600_000: 2.3}))
    for arm, times in (("twin", 1.0), ("double", 2.0)):
        row = of(result, arm)
        assert [row["multiplier"], row["low"], row["high"]] == pytest.approx([times] * 3)
        assert not row["beyond"] and not row["below"]
    assert of(result, "double")["text"] == "2.0x [2.0, 2.0]"


def test_beyond_and_below_the_raw_curve() -> None:
    result = judge(rows("raw", RAW), rows("good", {600_000: 1.5}), rows("bad", {600_000: 4.0}))
    assert of(result, "good")["beyond"] and of(result, "good")["multiplier"] == 4.0
    assert of(result, "bad")["below"] and of(result, "bad")["multiplier"] == 0.5


def test_the_best_arm_is_chosen_on_the_choice_sets_alone() -> None:
    neutral, others = ("programs", "explained", "helpers"), ("humaneval", "held_out")
    result = judge(
        rows("raw", RAW),
        rows("crammer", {600_000: 2.5}, sets=neutral) + rows("crammer", {600_000: 0.5}, sets=others),
        rows("sound", {600_000: 2.4}),
    )
    assert result["best_arm"] == "sound"
    assert result["choice"]["crammer"] == pytest.approx(2.5)


def test_tables_hold_every_set_arm_budget_and_seed() -> None:
    arms = [rows("raw", RAW, seed) + rows("good", {300_000: 2.7, 600_000: 2.2 + seed / 10}, seed) for seed in (0, 1)]
    result = judge(*arms)
    assert len(result["bpb"]) == len(SETS) * 6 * 2 and len(result["curves"]) == len(SETS) * 6
    assert result["seeds"] == [0, 1] and result["note"] == ""
    by_seed = [
        row["bpb"] for row in result["bpb"] if (row["set"], row["arm"], row["budget"]) == (SETS[0], "good", 600_000)
    ]
    assert by_seed == pytest.approx([2.2, 2.3])
    row = next(row for row in result["curves"] if (row["arm"], row["budget"]) == ("good", 600_000))
    assert row["bpb"] == pytest.approx(2.25) and row["low"] < 2.25 < row["high"]


def test_the_step_writes_the_same_verdict_whatever_the_order_of_its_inputs(tmp_path: Path) -> None:
    for arm, curve in (("raw", RAW), ("good", {600_000: 2.2})):
        (tmp_path / arm).mkdir()
        write_table(pa.Table.from_pylist(rows(arm, curve)), tmp_path / arm / "bits.parquet")
    results = []
    for order in (("raw", "good"), ("good", "raw")):
        counters = verdict_step({arm: tmp_path / arm for arm in order}, tmp_path, CONFIG)
        results.append(json.loads((tmp_path / "verdict.json").read_text()))
    assert results[0]["multipliers"] == results[1]["multipliers"] and results[0]["note"] == ONE_SEED
    assert counters["best_arm"] == "good" and counters["multipliers"]["good"].startswith("2.")


def test_another_set_does_not_move_the_intervals() -> None:
    noisy = rows("good", {600_000: 2.2})
    for row in noisy:
        row["bits"] += 7 * (hash_of(row["id"]) % 5)
    few = [row for row in rows("raw", RAW) + noisy if row["set"] != "held_out"]
    assert of(judge(rows("raw", RAW), noisy), "good") == of(judge(few), "good")


def hash_of(text: str) -> int:
    return sum(text.encode())


LADDER = {"raw": "raw", "raw-3m": "raw", "good": "good", "good-3m": "good"}


def ladder(**changes: object) -> VerdictConfig:
    return VerdictConfig(bootstrap=200, ladder=LadderConfig(data=LADDER), **changes)


def rungs(factor: float = 0.9) -> list[dict]:
    """Data of which each token is worth two, at two sizes; the larger models are better by a factor."""
    large = {budget: rate * factor for budget, rate in RAW.items()}
    double, large_double = ({600_000: curve[1_200_000]} for curve in (RAW, large))
    return (
        rows("raw", RAW)
        + rows("raw-3m", large, parameters=3_000_000)
        + rows("good", double)
        + rows("good-3m", large_double, parameters=3_000_000)
    )


def test_every_arm_is_measured_against_the_reference_data_at_its_own_size() -> None:
    result = judge(rungs(), config=ladder())
    found = {row["arm"]: row["multiplier"] for row in result["multipliers"] if row["set"] == "humaneval"}
    assert found == pytest.approx({"good": 2.0, "good-3m": 2.0})


def test_differences_and_the_choice_stay_within_one_size() -> None:
    result = judge(rungs(), config=ladder())
    pairs = {(row["arm"], row["base"]) for row in result["differences"]}
    assert pairs == {("raw", "good")}
    assert result["best_arm"] == "good" and result["choice"]["good-3m"] < result["choice"]["good"]
    large = judge(rungs(), config=ladder(base_arm="raw-3m"))
    assert {(row["arm"], row["base"]) for row in large["differences"]} == {("good-3m", "raw-3m")}


def test_a_rung_without_its_like_on_the_reference_data_has_no_multiplier() -> None:
    lonely = [row for row in rungs() if row["arm"] != "raw-3m"]
    assert {row["arm"] for row in judge(lonely, config=ladder())["multipliers"]} == {"good"}


def test_rows_say_how_large_the_model_was() -> None:
    result = judge(rungs(), config=ladder())
    for name in ("bpb", "curves"):
        assert {(row["arm"], row["parameters"]) for row in result[name]} == {
            *((arm, 3_000_000 if "3m" in arm else 1_000_000) for arm in LADDER)
        }


def test_a_ladder_of_one_size_changes_nothing_and_says_that_it_is_no_ladder() -> None:
    parts = rows("raw", RAW), rows("good", {600_000: 2.2})
    plain, short = judge(*parts), judge(*parts, config=ladder())
    same = ("multipliers", "differences", "curves", "bpb", "best_arm")
    assert [plain[key] for key in same] == [short[key] for key in same]
    assert plain["ladder"] is None and plain["law"] == plain["parameter_multipliers"] == []
    assert short["parameter_multipliers"] == []
    assert [row["set"] for row in short["law"]] == list(SETS)
    assert not any(row["identified"] for row in short["law"])


def test_the_step_reads_executed_exercises_where_there_are_any(tmp_path: Path) -> None:
    for arm, curve in (("raw", RAW), ("good", {600_000: 2.2})):
        (tmp_path / arm).mkdir()
        write_table(pa.Table.from_pylist(rows(arm, curve)), tmp_path / arm / "bits.parquet")
    (tmp_path / "executed").mkdir()
    passed = {"arm": "good", "budget": 600_000, "seed": 0, "parameters": 1_000_000, "samples": 4, "passed": 1}
    write_table(pa.Table.from_pylist([passed | {"id": "0"}]), tmp_path / "executed" / "executed.parquet")
    inputs = {name: tmp_path / name for name in ("raw", "good", "executed")}
    verdict_step(inputs, tmp_path, CONFIG)
    assert json.loads((tmp_path / "verdict.json").read_text())["executed"][0]["pass_rate"] == 0.25
    with pytest.raises(HornbookError, match=r"no bits\.parquet"):
        verdict_step({"executed": tmp_path / "executed"}, tmp_path, CONFIG)


def test_arms_that_are_not_what_they_are_called_are_refused() -> None:
    with pytest.raises(HornbookError, match="good has models of 1,000,000 and of 3,000,000 parameters"):
        judge(rows("raw", RAW), rows("good", {600_000: 2.2}), rows("good", {300_000: 2.4}, parameters=3_000_000))
    with pytest.raises(HornbookError, match="raw and raw-3m both read the data of raw with 1,000,000 parameters"):
        judge(rows("raw", RAW), rows("raw-3m", RAW), config=ladder())
    with pytest.raises(HornbookError, match="base arm 'absent' is not among the arms"):
        judge(rows("raw", RAW), config=ladder(base_arm="absent"))


def test_what_cannot_be_compared_is_refused() -> None:
    good = rows("good", {600_000: 2.2})
    with pytest.raises(HornbookError, match="not measured alike on humaneval: good at 600,000"):
        judge(rows("raw", RAW), good[1:])
    with pytest.raises(HornbookError, match="twice"):
        judge(rows("raw", RAW), [*good, good[0]])
    with pytest.raises(HornbookError, match="good has no model at the reference budget of 600,000"):
        judge(rows("raw", RAW), rows("good", {300_000: 2.2}))
    with pytest.raises(HornbookError, match="reference arm 'raw' is not among"):
        judge(good)
    with pytest.raises(HornbookError, match="No arm was evaluated on the set 'absent'"):
        judge(rows("raw", RAW), good, config=VerdictConfig(choice_sets=("programs", "absent")))
    with pytest.raises(HornbookError, match="gives nan bits"):
        judge(rows("raw", RAW), [{**good[0], "bits": float("nan")}, *good[1:]])


def test_the_verdict_set_may_not_choose() -> None:
    with pytest.raises(ValidationError, match="cannot be one of the choice_sets"):
        VerdictConfig(choice_sets=("programs", "humaneval"))
