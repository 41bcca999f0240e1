"""Exercises that were executed: the share of a model's solutions that pass, and paired differences of it.

An exercise is what a text is elsewhere, its share of passed samples what bits are, and each counts as one byte. So the
mean, its interval and the paired difference are the ones of bits per byte; only here more is better.
"""

import zlib
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from hornbook.ablation.cells import set_bits, sizes_of
from hornbook.ablation.config import VerdictConfig
from hornbook.ablation.difference import paired_difference
from hornbook.ablation.multiplier import interval, resampled_bits_per_byte
from hornbook.core.errors import HornbookError

_NAME = "executed exercises"


def pass_rates(table: pa.Table, base: str, config: VerdictConfig) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Rows per arm and budget, and rows of the differences to the base arm at the same budget and size.

    `table`: arm, budget, seed, parameters, id, samples, passed; one row per exercise and model. `pass_rate` is the
    mean share that passes (pass@1), `samples` all that were drawn. Not every arm need be there, the base arm neither.
    Raises HornbookError for impossible counts, and for models that did not get the same exercises and seeds.
    """
    sizes = sizes_of(table)
    wrong = table.filter(
        pc.or_(
            pc.less(table["samples"], 1),
            pc.or_(pc.less(table["passed"], 0), pc.greater(table["passed"], table["samples"])),
        )
    )
    for row in wrong.slice(0, 1).to_pylist():
        raise HornbookError(
            f"The arm {row['arm']} passes the exercise {row['id']} in {row['passed']} of {row['samples']} samples.",
            "Execute the exercises again.",
        )
    share = pc.divide(pc.cast(table["passed"], pa.float64()), pc.cast(table["samples"], pa.float64()))
    ones = pa.array(np.ones(table.num_rows, dtype=np.int64))
    columns = {"set": pa.array([_NAME] * table.num_rows), "bits": share, "bytes": ones}
    for name in ("arm", "budget", "seed", "id"):
        columns[name] = table[name]
    bits = set_bits(pa.table(columns), _NAME)
    drawn = table.group_by(["arm", "budget"]).aggregate([("samples", "sum")]).to_pylist()
    samples = {(row["arm"], row["budget"]): row["samples_sum"] for row in drawn}

    rng = np.random.default_rng([config.seed, zlib.crc32(_NAME.encode())])
    point_C, samples_BC = resampled_bits_per_byte(bits.bits_SNC, bits.bytes_N, config.bootstrap, rng)
    rates, differences = [], []
    for index, (arm, budget) in enumerate(bits.cells):
        low, high = np.clip(interval(samples_BC[:, index]), 0, 1)  # Student's widening knows nothing of 0 and 1
        about = {"arm": arm, "budget": budget}
        counts = {"parameters": sizes[arm], "exercises": len(bits.bytes_N), "samples": samples[arm, budget]}
        rates.append({**about, **counts, "pass_rate": float(point_C[index]), "low": float(low), "high": float(high)})
        if arm != base and (base, budget) in bits.cells and sizes[arm] == sizes[base]:
            pair = (bits.bits_SNC[:, :, index], bits.bits_SNC[:, :, bits.cells.index((base, budget))])
            found = paired_difference(*pair, bits.bytes_N, config.bootstrap, rng)
            differences.append({**about, "base": base, **found.as_dict()})
    return rates, differences
