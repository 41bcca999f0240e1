"""From the bits of every text under every model to the verdict on the data."""

import json
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from hornbook.ablation.config import VerdictConfig
from hornbook.ablation.difference import paired_difference
from hornbook.ablation.multiplier import interval, multiplier, resampled_bits_per_byte
from hornbook.core.documents import atomic_write
from hornbook.core.errors import HornbookError

ONE_SEED = "indicative, one seed"
_AGAIN = "Run the recipe again; evaluate every arm on the same sets with the same seeds."

Cell = tuple[str, int]  # an arm at a budget


@dataclass(frozen=True)
class SetBits:
    """Bits of the texts of one set: `bits_SNC` [seeds, texts, cells] and `bytes_N` [texts]."""

    name: str
    cells: list[Cell]
    seeds: list[int]
    bits_SNC: np.ndarray
    bytes_N: np.ndarray


def verdict_step(inputs: dict[str, Path], out: Path, config: VerdictConfig) -> dict[str, Any]:
    """Write `out/verdict.json` from the `bits.parquet` in each input folder (one per arm, or arm and seed).

    Raises HornbookError when arms were not measured on the same texts or not at the reference budget.
    """
    table = pa.concat_tables([pq.read_table(folder / "bits.parquet") for folder in inputs.values()])
    result = verdict(table, config)
    atomic_write(out / "verdict.json", json.dumps(result, indent=1))
    best = [row for row in result["multipliers"] if row["set"] == config.verdict_set]
    return {
        "rows_in": table.num_rows,
        "best_arm": result["best_arm"],
        "multipliers": {row["arm"]: row["text"] for row in best},
    }


def verdict(table: pa.Table, config: VerdictConfig) -> dict[str, Any]:
    """The verdict as plain data. `table`: arm, budget, seed, set, id, bits, bytes; one row per text and model.

    `bpb` has a row per set, arm, budget and seed; `curves` the same averaged over seeds; `multipliers` a row
    per set and arm; `differences` a row per set and arm, against the base arm; `choice` the mean bits per byte over
    the choice sets that named the `best_arm`.
    """
    names = list(dict.fromkeys(table["set"].to_pylist()))
    for name in (config.verdict_set, *config.choice_sets):
        if name not in names:
            raise HornbookError(
                f"No arm was evaluated on the set {name!r}, only on {', '.join(names) or 'nothing'}.",
                "Correct verdict_set or choice_sets in the recipe.",
            )
    bpb, curves, multipliers, differences, sets = [], [], [], [], {}
    for name in names:
        bits = _set_bits(table, name)
        _check_cells(bits, config)
        rng = np.random.default_rng([config.seed, zlib.crc32(name.encode())])  # sets do not disturb each other
        point_C, samples_BC = resampled_bits_per_byte(bits.bits_SNC, bits.bytes_N, config.bootstrap, rng)
        sets[name] = {"texts": len(bits.bytes_N), "bytes": int(bits.bytes_N.sum())}
        bpb += _by_seed(bits, config)
        curves += [
            _row(name, cell, point, samples)
            for cell, point, samples in zip(bits.cells, point_C, samples_BC.T, strict=True)
        ]
        multipliers += _multipliers(bits, point_C, samples_BC, config)
        differences += _differences(bits, config, rng)
    choice = {
        arm: float(np.mean([_at_reference(curves, name, arm, config) for name in config.choice_sets]))
        for arm in dict.fromkeys(row["arm"] for row in curves)
    }
    seeds = sorted({row["seed"] for row in bpb})
    return {
        "reference_arm": config.reference_arm,
        "reference_budget": config.reference_budget,
        "verdict_set": config.verdict_set,
        "choice_sets": list(config.choice_sets),
        "best_arm": min(choice, key=lambda arm: choice[arm]),
        "choice": choice,
        "seeds": seeds,
        "note": ONE_SEED if len(seeds) == 1 else "",
        "bootstrap": config.bootstrap,
        "sweep": config.sweep.model_dump() if config.sweep else None,
        "sets": sets,
        "multipliers": multipliers,
        "differences": differences,
        "curves": curves,
        "bpb": bpb,
    }


def _set_bits(table: pa.Table, name: str) -> SetBits:
    """The rows of one set as a dense array; HornbookError when one is missing, doubled or not a number."""
    rows = table.filter(pc.equal(table["set"], name)).to_pylist()
    place = _positions(list(dict.fromkeys(row["arm"] for row in rows)))  # arms stay in the order of the recipe
    cells = sorted({(row["arm"], row["budget"]) for row in rows}, key=lambda cell: (place[cell[0]], cell[1]))
    seeds = sorted({row["seed"] for row in rows})
    ids = sorted({row["id"] for row in rows})
    cell_at, seed_at, id_at = (_positions(values) for values in (cells, seeds, ids))
    bits_SNC = np.full((len(seeds), len(ids), len(cells)), np.nan)
    bytes_N = np.zeros(len(ids))
    for row in rows:
        if not np.isfinite(row["bits"]) or row["bytes"] <= 0:
            raise HornbookError(
                f"The arm {row['arm']} at {row['budget']:,} tokens gives {row['bits']} bits to text {row['id']} of "
                f"{name}, which has {row['bytes']} bytes.",
                "Its training went wrong (try a smaller learning rate), or the set holds an empty text.",
            )
        text, cell = id_at[row["id"]], cell_at[row["arm"], row["budget"]]
        bits_SNC[seed_at[row["seed"]], text, cell] = row["bits"]
        bytes_N[text] = row["bytes"]
    missing = np.isnan(bits_SNC).any(axis=(0, 1))
    if missing.any() or len(rows) != bits_SNC.size:
        arm, budget = cells[int(missing.argmax())] if missing.any() else cells[0]
        raise HornbookError(
            f"The arms were not measured alike on {name}: {arm} at {budget:,} tokens lacks texts or seeds "
            "that others have, or has some twice.",
            _AGAIN,
        )
    return SetBits(name, cells, seeds, bits_SNC, bytes_N)


def _positions(values: Sequence[Any]) -> dict[Any, int]:
    return {value: index for index, value in enumerate(values)}


def _check_cells(bits: SetBits, config: VerdictConfig) -> None:
    arms = {arm for arm, _ in bits.cells}
    if config.reference_arm not in arms:
        raise HornbookError(
            f"The reference arm {config.reference_arm!r} is not among the arms: {', '.join(sorted(arms))}.",
            "Add it to the recipe, or name another reference_arm.",
        )
    for arm in sorted(arms):
        if (arm, config.reference_budget) not in bits.cells:
            raise HornbookError(
                f"The arm {arm} has no model at the reference budget of {config.reference_budget:,} tokens.",
                "Add this budget to the arm, or choose another reference_budget.",
            )


def _by_seed(bits: SetBits, config: VerdictConfig) -> list[dict[str, Any]]:
    rows = []
    for index, seed in enumerate(bits.seeds):
        rng = np.random.default_rng([config.seed, zlib.crc32(bits.name.encode())])
        one = bits.bits_SNC[index : index + 1]
        point_C, samples_BC = resampled_bits_per_byte(one, bits.bytes_N, config.bootstrap, rng)
        for cell, point, samples_B in zip(bits.cells, point_C, samples_BC.T, strict=True):
            rows.append(_row(bits.name, cell, point, samples_B) | {"seed": seed})
    return rows


def _row(name: str, cell: Cell, point: float, samples_B: np.ndarray) -> dict[str, Any]:
    low, high = interval(samples_B)
    return {"set": name, "arm": cell[0], "budget": cell[1], "bpb": float(point), "low": low, "high": high}


def _multipliers(
    bits: SetBits, point_C: np.ndarray, samples_BC: np.ndarray, config: VerdictConfig
) -> list[dict[str, Any]]:
    """One row per arm but the reference; the budgets of an arm ascend."""
    reference = [index for index, cell in enumerate(bits.cells) if cell[0] == config.reference_arm]
    budgets_K = np.array([bits.cells[index][1] for index in reference], dtype=np.float64)
    curve = (point_C[reference], samples_BC[:, reference])
    rows = []
    for index, (arm, budget) in enumerate(bits.cells):
        if arm != config.reference_arm and budget == config.reference_budget:
            found = multiplier(budgets_K, budget, curve, (point_C[index], samples_BC[:, index]))
            rows.append({"set": bits.name, "arm": arm, **found.as_dict()})
    return rows


def _differences(bits: SetBits, config: VerdictConfig, rng: np.random.Generator) -> list[dict[str, Any]]:
    """One row per arm but the base arm: paired differences at the reference budget."""
    at = {arm: index for index, (arm, budget) in enumerate(bits.cells) if budget == config.reference_budget}
    base = config.base_arm or list(at)[-1]
    rows = []
    for arm, cell in at.items():
        if arm != base:
            pair = (bits.bits_SNC[:, :, cell], bits.bits_SNC[:, :, at[base]])
            found = paired_difference(*pair, bits.bytes_N, config.bootstrap, rng)
            rows.append({"set": bits.name, "arm": arm, "base": base, **found.as_dict()})
    return rows


def _at_reference(curves: list[dict[str, Any]], name: str, arm: str, config: VerdictConfig) -> float:
    for row in curves:
        if (row["set"], row["arm"], row["budget"]) == (name, arm, config.reference_budget):
            return row["bpb"]
    raise HornbookError(f"The arm {arm} was not evaluated on the set {name!r}.", _AGAIN)
