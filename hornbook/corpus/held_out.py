"""Files held out for evaluation: a verdict that every later step respects."""

from functools import partial
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from hornbook.core.documents import VERDICTS, seeded_order
from hornbook.core.engine import Counters, add_counters, map_shards
from hornbook.corpus.config import HoldOutConfig

REASON = "held out for evaluation"


def hold_out_step(inputs: dict[str, Path], out: Path, config: HoldOutConfig) -> Counters:
    """Verdicts on files (input `documents`): a seeded share of them is held out, never a synthetic one."""
    function = partial(hold_out, share=config.share, seed=config.seed)
    return add_counters(map_shards(function, inputs["documents"], out, "holding out files", columns=["id", "kind"]))


def hold_out(table: pa.Table, share: float, seed: int) -> tuple[pa.Table, Counters]:
    """Decide on the files of one shard. A file's fate hangs on its id and the seed alone."""
    drawn = seeded_order(table["id"], seed) < np.uint64(share * 2**64)
    held = drawn & pc.not_equal(table["kind"], "synthetic").to_numpy(zero_copy_only=False)
    verdicts = pa.table(
        {"id": table["id"], "keep": ~held, "reason": pa.array(np.where(held, REASON, ""), pa.string())},
        schema=VERDICTS,
    )
    kept = int((~held).sum())
    return verdicts, {"rows_in": len(held), "rows_out": kept, "kept": kept, "dropped": {REASON: len(held) - kept}}
