"""Files held out for evaluation: a verdict that every later step respects."""

from functools import partial
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from hornbook.core.documents import VERDICTS, read_table, seeded_order
from hornbook.core.engine import Counters, add_counters, map_shards
from hornbook.core.errors import HornbookError
from hornbook.corpus.config import HoldOutConfig

REASON = "held out for evaluation"


def hold_out_step(inputs: dict[str, Path], out: Path, config: HoldOutConfig) -> Counters:
    """Verdicts on files (input `documents`): a seeded share of them is held out, never a synthetic one.

    In a small corpus no file may fall into the share; then the one that comes first is held out. HornbookError when
    that would be the only one.
    """
    documents = read_table(inputs["documents"], ["id", "kind"])
    found = documents["id"].filter(pc.not_equal(documents["kind"], "synthetic"))
    limit = np.uint64(config.share * 2**64)
    if config.share and len(found):
        order = np.sort(seeded_order(found, config.seed))
        if order[0] >= limit:
            if len(order) < 2:
                raise HornbookError(
                    "The sources hold one file, which cannot be trained on and held out for evaluation.",
                    "Add files, or cut it in two.",
                )
            limit = order[0] + np.uint64(1)
    function = partial(hold_out, limit=limit, seed=config.seed)
    return add_counters(map_shards(function, inputs["documents"], out, "holding out files", columns=["id", "kind"]))


def hold_out(table: pa.Table, limit: np.uint64, seed: int) -> tuple[pa.Table, Counters]:
    """Decide on the files of one shard: those below `limit` in seeded order are held out."""
    drawn = seeded_order(table["id"], seed) < limit
    held = drawn & pc.not_equal(table["kind"], "synthetic").to_numpy(zero_copy_only=False)
    verdicts = pa.table(
        {"id": table["id"], "keep": ~held, "reason": pa.array(np.where(held, REASON, ""), pa.string())},
        schema=VERDICTS,
    )
    kept = int((~held).sum())
    return verdicts, {"rows_in": len(held), "rows_out": kept, "kept": kept, "dropped": {REASON: len(held) - kept}}
