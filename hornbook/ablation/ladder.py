"""Parameter multipliers: how many times larger a model on the reference data must be to be as good at equal tokens."""

from typing import Any

import numpy as np

from hornbook.ablation.cells import Arms, SetBits
from hornbook.ablation.multiplier import multiplier

# Of the data and of the reference data at a budget: a ladder has a trend from three on, a curve two ends.
LEAST_SIZES, LEAST_REFERENCE_SIZES = 3, 2


def parameter_multipliers(
    bits: SetBits, arms: Arms, point_C: np.ndarray, samples_BC: np.ndarray
) -> list[dict[str, Any]]:
    """One row per data other than the reference, size and budget. Shapes as in `resampled_bits_per_byte`.

    The reference's curve goes along total parameters at the same budget. It is levelled, read and bounded exactly as
    a learning curve is along tokens, in the same resamples of texts and seeds.
    """
    # Ascending sizes, so that the reference's are a curve and rows read like a ladder.
    ordered = sorted(range(len(bits.cells)), key=lambda index: arms.parameters[bits.cells[index][0]])
    rungs: dict[tuple[str, int], list[int]] = {}
    for index in ordered:
        arm, budget = bits.cells[index]
        rungs.setdefault((arms.data[arm], budget), []).append(index)
    rows = []
    for (data, budget), indexes in sorted(rungs.items()):
        reference = rungs.get((arms.reference, budget), [])
        if data == arms.reference or len(indexes) < LEAST_SIZES or len(reference) < LEAST_REFERENCE_SIZES:
            continue
        sizes_K = np.array([arms.parameters[bits.cells[index][0]] for index in reference], dtype=np.float64)
        curve = (point_C[reference], samples_BC[:, reference])
        for index in indexes:
            size = arms.parameters[bits.cells[index][0]]
            found = multiplier(sizes_K, size, curve, (point_C[index], samples_BC[:, index]))
            rows.append({"set": bits.name, "data": data, "parameters": size, "budget": budget, **found.as_dict()})
    return rows
