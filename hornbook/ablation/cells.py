"""What was measured: the bits of one set as an array, and what every arm read with how large a model."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from hornbook.ablation.config import VerdictConfig
from hornbook.core.errors import HornbookError

AGAIN = "Run the recipe again; evaluate every arm on the same sets with the same seeds."

Cell = tuple[str, int]  # an arm at a budget


@dataclass(frozen=True)
class SetBits:
    """Bits of the texts of one set: `bits_SNC` [seeds, texts, cells] and `bytes_N` [texts]."""

    name: str
    cells: list[Cell]
    seeds: list[int]
    bits_SNC: np.ndarray
    bytes_N: np.ndarray


@dataclass(frozen=True)
class Arms:
    """For each arm whose data it reads and the parameters of its model; and what the others are measured against.

    Without a ladder every arm reads its own data. Arms are in the order of the table.
    """

    data: dict[str, str]
    parameters: dict[str, int]
    reference: str  # the data that multipliers count in
    base: str  # the arm that others are compared with one by one

    def reads_reference(self, arm: str) -> bool:
        """Whether an arm is the reference arm or another rung of its ladder."""
        return self.data[arm] == self.reference

    def reference_of(self, arm: str) -> str | None:
        """The arm that reads the reference data with a model of the same size, if there is one."""
        rungs = (other for other in self.data if self.reads_reference(other))
        return next((rung for rung in rungs if self.parameters[rung] == self.parameters[arm]), None)


def read_arms(table: pa.Table, config: VerdictConfig) -> Arms:
    """The arms of a table with the columns `arm` and `parameters`.

    Raises HornbookError when the reference arm or the base arm is missing, an arm has models of several sizes, or two
    arms are the same rung.
    """
    sizes = sizes_of(table)
    for role, name in (("reference_arm", config.reference_arm), ("base_arm", config.base_arm)):
        if name is not None and name not in sizes:
            raise HornbookError(
                f"The {role.replace('_', ' ')} {name!r} is not among the arms: {', '.join(sorted(sizes))}.",
                f"Add it to the recipe, or name another {role}.",
            )
    alike = [arm for arm in sizes if sizes[arm] == sizes[config.reference_arm]]
    read = config.ladder.data if config.ladder else {}
    data = {arm: read.get(arm, arm) for arm in sizes}
    rungs: dict[tuple[str, int], str] = {}
    for arm in sizes:
        twin = rungs.setdefault((data[arm], sizes[arm]), arm)
        if twin != arm:
            raise HornbookError(
                f"The arms {twin} and {arm} both read the data of {data[arm]} with {sizes[arm]:,} parameters.",
                "Take one of them out of the ladder.",
            )
    return Arms(data, sizes, data[config.reference_arm], config.base_arm or alike[-1])


def sizes_of(table: pa.Table) -> dict[str, int]:
    """Parameters of each arm's models; HornbookError when they are not all of one size."""
    sizes: dict[str, int] = {}
    for row in table.group_by(["arm", "parameters"], use_threads=False).aggregate([]).to_pylist():
        if sizes.setdefault(row["arm"], row["parameters"]) != row["parameters"]:
            raise HornbookError(
                f"The arm {row['arm']} has models of {sizes[row['arm']]:,} and of {row['parameters']:,} parameters.",
                "Give arms of different sizes different names, and run the recipe again.",
            )
    return sizes


def set_bits(table: pa.Table, name: str) -> SetBits:
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
            AGAIN,
        )
    return SetBits(name, cells, seeds, bits_SNC, bytes_N)


def _positions(values: Sequence[Any]) -> dict[Any, int]:
    return {value: index for index, value in enumerate(values)}
