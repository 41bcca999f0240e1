"""Near duplicates: passages that share most of their runs of words, found by MinHash (Broder 1997).

Each passage is reduced to 14 hashes, one per band of 8 MinHash values; two passages are linked when they agree in
a whole band (Leskovec et al., *Mining of Massive Datasets*, 3.4), and linked passages form a cluster. Only these
hashes and the ids travel, one band at a time, so memory does not grow with the texts. Which member of a cluster
stays is decided apart from finding the clusters, because it depends on scores.
"""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from hornbook.core.documents import atomic_write, count_rows, read_table, seeded_order, shards, write_table
from hornbook.core.engine import add_counters, exchange, load_daft, map_shards
from hornbook.core.progress import Progress
from hornbook.curation.config_duplicates import NearDuplicatesConfig
from hornbook.curation.verdicts import kept, make_verdicts, tally

REASON = "near duplicate"
_ROWS_AT_ONCE = 4_000_000  # ids and hashes of one band in memory: some 300 MB
_LINKS = pa.schema([("a", pa.string()), ("b", pa.string())])


def near_clusters_step(inputs: dict[str, Path], out: Path, config: NearDuplicatesConfig) -> dict[str, Any]:
    """Clusters of two or more near duplicates among the passages that `rules` and `exact` keep.

    Writes one table of `id` and `cluster` (the smallest id in it). Case and white space do not count. Passages
    with fewer words than a shingle have none, so they are never near duplicates.
    """
    result, signatures = out / "clusters.parquet", out / "signatures"
    if not (out / "clusters.json").exists():
        beside = {"rules": inputs["rules"], "exact": inputs["exact"]}
        parts = map_shards(
            Signatures(config), inputs["documents"], signatures, "near duplicates", beside, ["id", "text"]
        )
        clusters = _clusters(signatures, config.bands)
        write_table(clusters, result)
        members, groups = clusters.num_rows, len(clusters["cluster"].unique())
        atomic_write(out / "clusters.json", json.dumps(add_counters(parts) | {"rows_out": members, "clusters": groups}))
    shutil.rmtree(signatures, ignore_errors=True)
    return json.loads((out / "clusters.json").read_text())


def near_duplicates_step(inputs: dict[str, Path], out: Path, config: NearDuplicatesConfig) -> dict[str, Any]:
    """Verdicts of the members of `clusters`: the one with the highest `edu` in `scores` stays.

    Ties, and all when there are no scores, go by the seeded order of the ids. Passages outside clusters are not
    listed: they stay.
    """
    clusters = read_table(inputs["clusters"]).sort_by([("cluster", "ascending"), ("id", "ascending")])
    edu = np.zeros(clusters.num_rows)
    if "scores" in inputs:
        edu[:] = -1
        for path in shards(inputs["scores"]):
            scores = pq.read_table(path, columns=["id", "edu"])
            row = pc.index_in(clusters["id"], value_set=scores["id"])
            found = row.is_valid().to_numpy(zero_copy_only=False)
            edu[found] = scores["edu"].take(row.drop_null()).to_numpy()
    group = clusters["cluster"].dictionary_encode().combine_chunks()
    number = group.indices.to_numpy() if len(group) else np.zeros(0, np.int64)
    ranking = np.lexsort((seeded_order(clusters["id"], config.seed), -edu, number))
    stays = np.zeros(clusters.num_rows, bool)
    stays[ranking[np.flatnonzero(np.diff(number[ranking], prepend=-1))]] = True
    reasons = ["" if stay else REASON for stay in stays]
    write_table(make_verdicts(clusters["id"], reasons), out / "verdicts-0000.parquet")
    return tally(reasons)


class Signatures:
    """The band hashes of one shard: `id` and `band_00`, `band_01` ... (uint64)."""

    def __init__(self, config: NearDuplicatesConfig) -> None:
        self.config = config

    def __call__(self, table: pa.Table, /, **side: pa.Table) -> tuple[pa.Table, dict[str, Any]]:
        table = table.filter(pa.array(kept(table["id"], *side.values())))
        texts = [" ".join(text.lower().split()) for text in table["text"].to_pylist()]
        long = np.array([text.count(" ") + 1 >= self.config.words for text in texts], bool)
        bands = band_hashes([text for text, is_long in zip(texts, long, strict=True) if is_long], self.config)
        columns = {f"band_{band:02}": pa.array(bands[:, band]) for band in range(self.config.bands)}
        ids = table["id"].filter(pa.array(long))
        return pa.table({"id": ids, **columns}), {"rows_in": len(texts), "too short": int((~long).sum())}


def band_hashes(texts: list[str], config: NearDuplicatesConfig) -> np.ndarray:
    """[texts, bands] uint64 of texts whose words are separated by single spaces."""
    series = load_daft().Series.from_arrow(pa.array(texts, pa.large_string()))
    size = config.bands * config.rows
    # Seed 0 would make Daft's permutations degenerate, hence the 1.
    values = series.minhash(size, config.words, seed=1 + config.seed, hash_function="xxhash").to_arrow()
    values_TBR = values.flatten().to_numpy().reshape(len(texts), config.bands, config.rows).astype(np.uint64)
    hashes = np.zeros(values_TBR.shape[:2], np.uint64)
    with np.errstate(over="ignore"):
        for row in range(config.rows):
            hashes = (hashes ^ values_TBR[:, :, row]) * np.uint64(0x9E3779B97F4A7C15)
            hashes ^= hashes >> np.uint64(29)
    return hashes


def _clusters(signatures: Path, bands: int) -> pa.Table:
    """`id` and `cluster` of all that are linked in any band, sorted by cluster and id."""
    partitions = 1 + count_rows(signatures) // _ROWS_AT_ONCE
    links = _LINKS.empty_table()
    with Progress("near duplicates: clusters", bands * partitions) as bar:
        for band in range(bands):
            for table in exchange(signatures, f"band_{band:02}", ["id"], partitions):
                links = _merge(pa.concat_tables([links, _links(table)]))
                bar.advance()
    members = pa.table({"id": links["a"], "cluster": links["b"]})
    return members.sort_by([("cluster", "ascending"), ("id", "ascending")])


def _links(table: pa.Table) -> pa.Table:
    """Pairs of ids that follow each other with the same hash; the table is sorted by hash."""
    if table.num_rows < 2:
        return _LINKS.empty_table()
    values = table.column(0).to_numpy()
    same = pa.array(values[1:] == values[:-1])
    ids = table["id"].cast(pa.string())
    return pa.table([ids[:-1].filter(same), ids[1:].filter(same)], schema=_LINKS)


def _merge(links: pa.Table) -> pa.Table:
    """Connected components as links from every member to the smallest id of its component."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    ids = pc.unique(pa.chunked_array([*links["a"].chunks, *links["b"].chunks], pa.string()))
    ids = ids.take(pc.sort_indices(ids))  # so that the smallest index is the smallest id
    if not len(ids):
        return links
    a, b = (pc.index_in(links[name], value_set=ids).to_numpy() for name in ("a", "b"))
    graph = coo_array((np.ones(len(a), np.int8), (a, b)), shape=(len(ids), len(ids)))
    _, component = connected_components(graph, directed=False)
    _, first = np.unique(component, return_index=True)
    return pa.table([ids, ids.take(pa.array(first[component]))], schema=_LINKS)
