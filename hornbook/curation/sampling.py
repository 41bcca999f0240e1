"""The sample that a teacher labels: spread over sources, lengths and a first crude score.

A plain sample of most corpora holds hardly anything good, and a classifier learns little from that. So passages are
drawn by strata, each by the square root of its size: what is rare is seen more often than its share.
"""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from hornbook.core.documents import find_rows, seeded_order, shards, write_table
from hornbook.core.errors import HornbookError
from hornbook.core.progress import Progress
from hornbook.curation.annotation import MIN_LABELS
from hornbook.curation.config_labelling import SampleConfig
from hornbook.curation.verdicts import kept

SAMPLE = pa.schema([(name, pa.string()) for name in ("id", "text", "source", "origin", "kind", "license")])
# Where the ranks are cut: lengths into thirds, crude scores finer where it gets rare.
_CUTS = {"length": (1 / 3, 2 / 3), "crude": (0.5, 0.8, 0.95)}
_MOST_SOURCES = 30  # the smaller ones count as one
_COLUMNS = ["id", "text", "source", "origin", "meta"]
# Words that sentences need and code does not: their share tells explanation from tables, menus and bare code.
_EXPLAINING = (
    r"(?i)\b(?:the|an?|of|to|this|that|these|are|be|it|its|we|you|your|which|because|when|then|so|but|can|each"
    r"|example)\b"
)
_WORD = r"\pL+"


def sample_step(inputs: dict[str, Path], out: Path, config: SampleConfig) -> dict[str, Any]:
    """Draw from the passages that both verdicts `rules` and `exact` keep; write sample.parquet in a random order.

    `source` is what the record or the first folder of its path calls it. Raises HornbookError when fewer passages
    are there than labels are needed.
    """
    paths = shards(inputs["documents"])
    parts = []
    with Progress("sample", len(paths)) as bar:
        for path in paths:
            parts.append(_described(path, inputs))
            bar.advance()
    table = pa.concat_tables(parts)
    if len(table) < MIN_LABELS:
        raise HornbookError(
            f"Only {len(table)} passages are there to be labelled; a classifier needs {MIN_LABELS}.",
            "Give a larger corpus, or labels that exist with --labels-file.",
        )
    order = seeded_order(table["id"], config.seed)
    stratum = _strata(table, order)
    rows = draw(stratum, order, config.passages)
    chosen = table.take(pa.array(rows)).select(["id", "source"])
    texts = find_rows(inputs["documents"], "id", chosen["id"].to_pylist(), ["id", "text", "origin", "kind", "license"])
    texts = texts.take(pc.index_in(chosen["id"], value_set=texts["id"].combine_chunks()))
    columns = {name: (chosen if name in chosen.column_names else texts)[name] for name in SAMPLE.names}
    write_table(pa.table(columns).cast(SAMPLE), out / "sample.parquet")
    return {"rows_in": len(table), "rows_out": len(rows), "strata": int(stratum.max()) + 1}


def draw(stratum: np.ndarray, order: np.ndarray, wanted: int) -> np.ndarray:
    """Rows of the sample, in the order of `order`; of each stratum the first by it, by the root of its size.

    A larger sample of the same passages holds nearly all of a smaller one.
    """
    size = np.bincount(stratum)
    left, quota = min(wanted, len(stratum)), np.zeros(len(size))
    while left > 0.5:  # what small strata cannot give is shared among the others
        room = size - quota
        share = np.where(room > 0, np.sqrt(size), 0)
        given = np.minimum(room, left * share / share.sum())
        quota += given
        left -= given.sum()
    whole = np.floor(quota).astype(int)
    missing = min(wanted, len(stratum)) - whole.sum()
    whole[np.argsort(whole - quota, kind="stable")[:missing]] += 1
    by_stratum = np.lexsort((order, stratum))
    place = np.arange(len(stratum)) - np.repeat(np.cumsum(size) - size, size)
    rows = by_stratum[place < whole[stratum[by_stratum]]]
    return rows[np.argsort(order[rows], kind="stable")]


def _described(path: Path, inputs: dict[str, Path]) -> pa.Table:
    """Id, source, length and crude score of the passages of a shard that are still there."""
    table = pq.read_table(path, columns=_COLUMNS)
    verdicts = (pq.read_table(inputs[name] / path.name) for name in ("rules", "exact"))
    table = table.filter(pa.array(kept(table["id"], *verdicts)))
    words = pc.count_substring_regex(table["text"], _WORD).to_numpy()
    explaining = pc.count_substring_regex(table["text"], _EXPLAINING).to_numpy() / np.maximum(words, 1)
    places = zip(*(table[name].to_pylist() for name in ("source", "origin", "meta")), strict=True)
    return pa.table(
        {
            "id": table["id"],
            "source": pa.array([_source(*place) for place in places], pa.string()),
            "length": pc.utf8_length(table["text"]).cast(pa.int64()),
            "crude": pa.array(explaining, pa.float64()),
        }
    )


def _source(source: str, origin: str, meta: str) -> str:
    said = json.loads(meta or "{}").get("source")
    folder = origin.split("/")[0] if "/" in origin and "://" not in origin else ""
    return str(said) if said else f"{source}/{folder}".rstrip("/")


def _strata(table: pa.Table, order: np.ndarray) -> np.ndarray:
    """A number for every combination of source, part of the lengths and part of the crude scores."""
    source = np.unique(table["source"].to_pylist(), return_inverse=True)[1]
    size = np.bincount(source)
    rank = np.empty(len(size), np.int64)
    rank[np.argsort(-size, kind="stable")] = np.arange(len(size))
    cells = np.minimum(rank, _MOST_SOURCES - 1)[source]
    for name, cuts in _CUTS.items():
        place = np.empty(len(table))
        place[np.lexsort((order, table[name].to_numpy()))] = (np.arange(len(table)) + 0.5) / len(table)
        cells = cells * (len(cuts) + 1) + np.searchsorted(cuts, place)
    return np.unique(cells, return_inverse=True)[1]
