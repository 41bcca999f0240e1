"""From the bits of every text under every model to the verdict on the data."""

import json
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from hornbook.ablation.cells import AGAIN, Arms, Cell, SetBits, read_arms, set_bits
from hornbook.ablation.config import VerdictConfig
from hornbook.ablation.difference import paired_difference
from hornbook.ablation.executed import pass_rates
from hornbook.ablation.ladder import parameter_multipliers
from hornbook.ablation.law import law
from hornbook.ablation.multiplier import interval, multiplier, resampled_bits_per_byte
from hornbook.core.documents import atomic_write
from hornbook.core.errors import HornbookError

ONE_SEED = "indicative, one seed"


def verdict_step(inputs: dict[str, Path], out: Path, config: VerdictConfig) -> dict[str, Any]:
    """Write `out/verdict.json` from the `bits.parquet` and `executed.parquet` in the input folders.

    A folder has either or both, of one arm or of one arm and seed. Raises HornbookError when arms were not measured
    on the same texts or not at the reference budget.
    """
    table, executed = (_read_all(inputs, name) for name in ("bits.parquet", "executed.parquet"))
    if table is None:
        raise HornbookError("No arm was evaluated: there is no bits.parquet.", AGAIN)
    result = verdict(table, config, executed)
    atomic_write(out / "verdict.json", json.dumps(result, indent=1))
    best = [row for row in result["multipliers"] if row["set"] == config.verdict_set]
    return {
        "rows_in": table.num_rows,
        "best_arm": result["best_arm"],
        "multipliers": {row["arm"]: row["text"] for row in best},
    }


def verdict(table: pa.Table, config: VerdictConfig, executed: pa.Table | None = None) -> dict[str, Any]:
    """The verdict as plain data.

    `table`: arm, budget, seed, parameters, set, id, bits, bytes; one row per text and model. `executed`: see
    `pass_rates`. Only like is compared with like: models of as many parameters, or data at as many tokens.

    `bpb` has a row per set, arm, budget and seed; `curves` the same averaged over seeds; `multipliers` a row
    per set and arm; `differences` a row per set and arm, against the base arm; `choice` the mean bits per byte over
    the choice sets that named the `best_arm`, which is of the reference arm's size. With a ladder,
    `parameter_multipliers` has a row per set, data, size and budget, and `law` a row per set. `executed` and
    `executed_differences` have a row per arm and budget that was executed.
    """
    names = list(dict.fromkeys(table["set"].to_pylist()))
    for name in (config.verdict_set, *config.choice_sets):
        if name not in names:
            raise HornbookError(
                f"No arm was evaluated on the set {name!r}, only on {', '.join(names) or 'nothing'}.",
                "Correct verdict_set or choice_sets in the recipe.",
            )
    arms = read_arms(table, config)
    bpb, curves, multipliers, differences, of_parameters, laws, sets = [], [], [], [], [], [], {}
    for name in names:
        bits = set_bits(table, name)
        _check_cells(bits, config)
        rng = np.random.default_rng([config.seed, zlib.crc32(name.encode())])  # sets do not disturb each other
        point_C, samples_BC = resampled_bits_per_byte(bits.bits_SNC, bits.bytes_N, config.bootstrap, rng)
        sets[name] = {"texts": len(bits.bytes_N), "bytes": int(bits.bytes_N.sum())}
        bpb += _by_seed(bits, arms, config)
        curves += [
            _row(name, cell, arms, point, samples)
            for cell, point, samples in zip(bits.cells, point_C, samples_BC.T, strict=True)
        ]
        multipliers += _multipliers(bits, arms, point_C, samples_BC, config)
        differences += _differences(bits, arms, config, rng)
        if config.ladder:
            of_parameters += parameter_multipliers(bits, arms, point_C, samples_BC)
            laws.append(law(bits, arms, point_C, samples_BC))
    choice = {
        arm: float(np.mean([_at_reference(curves, name, arm, config) for name in config.choice_sets]))
        for arm in dict.fromkeys(row["arm"] for row in curves)
    }
    alike = [arm for arm in choice if arms.parameters[arm] == arms.parameters[config.reference_arm]]
    pass_rows, pass_differences = pass_rates(executed, arms.base, config) if executed is not None else ([], [])
    seeds = sorted({row["seed"] for row in bpb})
    return {
        "reference_arm": config.reference_arm,
        "reference_budget": config.reference_budget,
        "verdict_set": config.verdict_set,
        "choice_sets": list(config.choice_sets),
        "best_arm": min(alike, key=lambda arm: choice[arm]),
        "choice": choice,
        "seeds": seeds,
        "note": ONE_SEED if len(seeds) == 1 else "",
        "bootstrap": config.bootstrap,
        "sweep": config.sweep.model_dump() if config.sweep else None,
        "ladder": config.ladder.model_dump() if config.ladder else None,
        "sets": sets,
        "multipliers": multipliers,
        "parameter_multipliers": of_parameters,
        "law": laws,
        "differences": differences,
        "executed": pass_rows,
        "executed_differences": pass_differences,
        "curves": curves,
        "bpb": bpb,
    }


def _read_all(inputs: dict[str, Path], name: str) -> pa.Table | None:
    files = [folder / name for folder in inputs.values() if (folder / name).exists()]
    return pa.concat_tables([pq.read_table(file) for file in files]) if files else None


def _check_cells(bits: SetBits, config: VerdictConfig) -> None:
    for arm in sorted({config.reference_arm, *(arm for arm, _ in bits.cells)}):
        if (arm, config.reference_budget) not in bits.cells:
            raise HornbookError(
                f"The arm {arm} has no model at the reference budget of {config.reference_budget:,} tokens.",
                "Add this budget to the arm, or choose another reference_budget.",
            )


def _by_seed(bits: SetBits, arms: Arms, config: VerdictConfig) -> list[dict[str, Any]]:
    rows = []
    for index, seed in enumerate(bits.seeds):
        rng = np.random.default_rng([config.seed, zlib.crc32(bits.name.encode())])
        one = bits.bits_SNC[index : index + 1]
        point_C, samples_BC = resampled_bits_per_byte(one, bits.bytes_N, config.bootstrap, rng)
        for cell, point, samples_B in zip(bits.cells, point_C, samples_BC.T, strict=True):
            rows.append(_row(bits.name, cell, arms, point, samples_B) | {"seed": seed})
    return rows


def _row(name: str, cell: Cell, arms: Arms, point: float, samples_B: np.ndarray) -> dict[str, Any]:
    (arm, budget), (low, high) = cell, interval(samples_B)
    about = {"set": name, "arm": arm, "parameters": arms.parameters[arm], "budget": budget}
    return {**about, "bpb": float(point), "low": low, "high": high}


def _multipliers(
    bits: SetBits, arms: Arms, point_C: np.ndarray, samples_BC: np.ndarray, config: VerdictConfig
) -> list[dict[str, Any]]:
    """One row per arm on other data than the reference; the budgets of an arm ascend."""
    rows = []
    for index, (arm, budget) in enumerate(bits.cells):
        reference = arms.reference_of(arm)
        if arms.reads_reference(arm) or budget != config.reference_budget or reference is None:
            continue
        curve = [index for index, cell in enumerate(bits.cells) if cell[0] == reference]
        if curve:
            budgets_K = np.array([bits.cells[index][1] for index in curve], dtype=np.float64)
            reached = (point_C[curve], samples_BC[:, curve])
            found = multiplier(budgets_K, budget, reached, (point_C[index], samples_BC[:, index]))
            rows.append({"set": bits.name, "arm": arm, **found.as_dict()})
    return rows


def _differences(bits: SetBits, arms: Arms, config: VerdictConfig, rng: np.random.Generator) -> list[dict[str, Any]]:
    """One row per arm of the base arm's size but the base arm: paired differences at the reference budget."""
    at = {arm: index for index, (arm, budget) in enumerate(bits.cells) if budget == config.reference_budget}
    rows = []
    for arm, cell in at.items():
        if arm != arms.base and arms.parameters[arm] == arms.parameters[arms.base] and arms.base in at:
            pair = (bits.bits_SNC[:, :, cell], bits.bits_SNC[:, :, at[arms.base]])
            found = paired_difference(*pair, bits.bytes_N, config.bootstrap, rng)
            rows.append({"set": bits.name, "arm": arm, "base": arms.base, **found.as_dict()})
    return rows


def _at_reference(curves: list[dict[str, Any]], name: str, arm: str, config: VerdictConfig) -> float:
    for row in curves:
        if (row["set"], row["arm"], row["budget"]) == (name, arm, config.reference_budget):
            return row["bpb"]
    raise HornbookError(f"The arm {arm} was not evaluated on the set {name!r}.", AGAIN)
