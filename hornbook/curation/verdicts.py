"""Reading and writing verdicts: small tables that say of every id whether it stays, and if not, why."""

from collections import Counter
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from hornbook.core.documents import VERDICTS


def make_verdicts(ids: pa.Array | pa.ChunkedArray | list[str], reasons: list[str]) -> pa.Table:
    """A VERDICTS table from ids and their reasons to go; "" means that the document stays."""
    return pa.table([ids, pa.array([not reason for reason in reasons], pa.bool_()), reasons], schema=VERDICTS)


def kept(ids: pa.Array | pa.ChunkedArray, *verdicts: pa.Table) -> np.ndarray:
    """Mask over `ids`: True where each of the tables has a verdict and it is to keep."""
    mask = np.ones(len(ids), bool)
    for table in verdicts:
        mask &= pc.is_in(ids, value_set=table["id"].filter(table["keep"])).to_numpy(zero_copy_only=False)
    return mask


def not_dropped(ids: pa.Array | pa.ChunkedArray, *verdicts: pa.Table) -> np.ndarray:
    """Mask over `ids`: True where none of the tables says to drop. For tables that list only some documents."""
    mask = np.ones(len(ids), bool)
    for table in verdicts:
        dropped = table["id"].filter(pc.invert(table["keep"]))
        mask &= ~pc.is_in(ids, value_set=dropped).to_numpy(zero_copy_only=False)
    return mask


def text_bytes(texts: pa.Array | pa.ChunkedArray) -> np.ndarray:
    """UTF-8 bytes of each text, int64."""
    return pc.binary_length(texts).to_numpy(zero_copy_only=False).astype(np.int64)


def tally(reasons: list[str]) -> dict[str, Any]:
    """Counters of a verdict: rows_in, kept, and the number dropped for each reason."""
    dropped = Counter(reason for reason in reasons if reason)
    kept_rows = len(reasons) - sum(dropped.values())
    return {"rows_in": len(reasons), "rows_out": kept_rows, "kept": kept_rows, "dropped": dict(sorted(dropped.items()))}
