"""The values of a sweep against the best one. The verdict compares arms with one base arm; which value is best is
known only afterwards, so these pairs are taken from the same bits with the same bootstrap."""

import zlib
from collections.abc import Mapping
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from hornbook.ablation.difference import paired_difference
from hornbook.report.results import REPEAT, Steps
from hornbook.report.sentences import best_swept


def rivals(steps: Steps, judged: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Paired differences of all other swept values from the best one, on the set of the verdict at the reference
    budget; rows as in `differences`. Empty without a sweep, or where the bits are gone."""
    if not judged.get("sweep"):
        return []
    best, name = best_swept(judged), judged["verdict_set"]
    bits = {arm: _bits(steps, arm, name, judged["reference_budget"]) for arm in judged["sweep"]["values"]}
    base = bits.pop(best)
    found = []
    for arm, table in bits.items():
        if base is None or table is None or not table[1].equals(base[1]):
            continue
        rng = np.random.default_rng(zlib.crc32(f"{name} {arm}".encode()))
        difference = paired_difference(table[0], base[0], base[2], judged["bootstrap"], rng)
        found.append({"set": name, "arm": arm, "base": best, **difference.as_dict()})
    return found


def _bits(steps: Steps, arm: str, name: str, budget: int) -> tuple[np.ndarray, pa.Table, np.ndarray] | None:
    """Bits [seeds, texts] of an arm on a set, the seeds and texts they belong to, and the bytes of the texts."""
    tables = [
        pq.read_table(step.folder / "bits.parquet")
        for step in steps.values()
        if REPEAT.sub("", step.name) == f"evaluation.{arm}" and (step.folder / "bits.parquet").exists()
    ]
    if not tables:
        return None
    table = pa.concat_tables(tables)
    table = table.filter(pc.and_(pc.equal(table["set"], name), pc.equal(table["budget"], budget)))
    table = table.sort_by([("seed", "ascending"), ("id", "ascending")])
    seeds = len(pc.unique(table["seed"]))
    if not seeds:
        return None
    bits_SN, bytes_SN = (table[column].to_numpy().reshape(seeds, -1) for column in ("bits", "bytes"))
    return bits_SN, table.select(["seed", "id"]).combine_chunks(), bytes_SN[0].astype(np.float64)
