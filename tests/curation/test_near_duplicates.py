"""Near duplicates: passages that share most of their words are found, others are left alone."""

import random
import sysconfig
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from hornbook.core.documents import read_table, write_table
from hornbook.curation import near_duplicates
from hornbook.curation.config_duplicates import NearDuplicatesConfig
from hornbook.curation.near_duplicates import band_hashes, near_clusters_step, near_duplicates_step
from tests.curation.passages import passage, write_passages, write_verdicts

STDLIB = Path(sysconfig.get_paths()["stdlib"])
CONFIG = NearDuplicatesConfig()


@pytest.fixture(autouse=True)
def one_process(monkeypatch):
    monkeypatch.setenv("HORNBOOK_WORKERS", "1")


def real_passages():
    """Different pieces of real code, of some 2,000 characters."""
    pieces = []
    for name in ("argparse", "ast", "bisect", "calendar", "copy", "csv", "datetime", "decimal", "heapq", "inspect"):
        text = (STDLIB / f"{name}.py").read_text()
        pieces += [text[start : start + 2000] for start in range(0, min(len(text), 20_000) - 2000, 2000)]
    return pieces


def changed(text, words, seed):
    """The text with that many of its words replaced."""
    parts = text.split(" ")
    for place in random.Random(seed).sample([n for n, part in enumerate(parts) if part], words):
        parts[place] = "changed"
    return " ".join(parts)


def run(folder, rows, dropped=(), count=2):
    """Members of each cluster, as a sorted list of sorted lists of ids."""
    inputs = {
        "documents": write_passages(folder / "documents", rows, count),
        "rules": write_verdicts(folder / "rules", rows, dropped, count),
        "exact": write_verdicts(folder / "exact", rows, (), count),
    }
    out = folder / "clusters"
    out.mkdir()
    counters = near_clusters_step(inputs, out, CONFIG)
    clusters = {}
    for row in read_table(out).to_pylist():
        clusters.setdefault(row["cluster"], []).append(row["id"])
    assert all(name == min(members) and len(members) > 1 for name, members in clusters.items())
    assert counters["clusters"] == len(clusters)
    return sorted(sorted(members) for members in clusters.values())


def decide(folder, clusters, scores=None):
    """Ids that stay, of clusters given as lists of ids."""
    (folder / "in").mkdir(parents=True)
    members = [member for cluster in clusters for member in cluster]
    table = pa.table({"id": members, "cluster": [min(c) for c in clusters for _ in c]})
    write_table(table.cast(pa.schema([("id", pa.string()), ("cluster", pa.string())])), folder / "in" / "c.parquet")
    inputs = {"clusters": folder / "in"}
    if scores is not None:
        (folder / "scores").mkdir()
        edu = pa.array(list(scores.values()), pa.float32())
        write_table(pa.table({"id": list(scores), "edu": edu}), folder / "scores" / "s.parquet")
        inputs["scores"] = folder / "scores"
    (folder / "out").mkdir()
    near_duplicates_step(inputs, folder / "out", CONFIG)
    rows = read_table(folder / "out").to_pylist()
    assert {row["id"] for row in rows} == set(members)
    assert {row["reason"] for row in rows if not row["keep"]} <= {"near duplicate"}
    return {row["id"] for row in rows if row["keep"]}


def test_changed_copies_are_found_and_other_code_is_not(tmp_path):
    texts = real_passages()
    copies = [changed(text, 1, seed) for seed, text in enumerate(texts[:20])]
    copies += [text.replace("    ", "\t").upper() for text in texts[20:25]]  # layout and case do not count
    rows = [passage(n, text) for n, text in enumerate(texts + copies)]
    pairs = sorted(sorted([rows[n]["id"], rows[len(texts) + n]["id"]]) for n in range(len(copies)))
    assert run(tmp_path, rows) == pairs


def test_similar_pairs_are_found_as_often_as_the_theory_says():
    """P = 1 - (1 - J^8)^14 for a pair of Jaccard similarity J."""
    found, expected = [], []
    for seed, text in enumerate(real_passages()):
        for words in (2, 5, 9, 14):
            pair = [" ".join(t.lower().split()) for t in (text, changed(text, words, seed))]
            shingles = [{tuple(w[n : n + 5]) for n in range(len(w) - 4)} for w in (t.split() for t in pair)]
            jaccard = len(shingles[0] & shingles[1]) / len(shingles[0] | shingles[1])
            expected.append(1 - (1 - jaccard**8) ** 14)
            bands = band_hashes(pair, CONFIG)
            found.append(bool((bands[0] == bands[1]).any()))
    assert abs(np.mean(found) - np.mean(expected)) < 0.05
    sure = np.array(expected) > 0.99
    assert sure.sum() > 20 and np.array(found)[sure].mean() > 0.97


def test_short_and_dropped_passages_are_never_near_duplicates(tmp_path):
    text = real_passages()[0]
    rows = [passage(0, "x = 1"), passage(1, "x = 1 "), passage(2, ""), passage(3, text), passage(4, text + " more")]
    assert run(tmp_path / "a", rows) == [sorted([rows[3]["id"], rows[4]["id"]])]
    assert run(tmp_path / "b", rows, dropped={rows[4]["id"]}) == []


@pytest.mark.parametrize("count", [1, 5])
def test_clusters_do_not_depend_on_shards_or_partitions(tmp_path, monkeypatch, count):
    texts = real_passages()[:12]
    texts += [changed(text, 3, seed) for seed in range(3) for text in texts[:6]]
    rows = [passage(n, text) for n, text in enumerate(texts)]
    expected = run(tmp_path / "two", rows)
    assert [len(members) for members in expected] == [4] * 6
    monkeypatch.setattr(near_duplicates, "_ROWS_AT_ONCE", 7)
    monkeypatch.setenv("HORNBOOK_WORKERS", "2")
    assert run(tmp_path / "other", rows[::-1], count=count) == expected


def test_the_best_scored_member_stays_and_without_scores_the_seeded_order_decides(tmp_path):
    ids = [passage(n, "")["id"] for n in range(9)]
    clusters = [ids[:4], ids[4:]]
    scores = dict(zip(ids, [1, 3, 2, 2, 0.5, 1.5, 4, 4, 1], strict=True))
    stays = decide(tmp_path / "scored", clusters, scores)
    assert ids[1] in stays and len(stays) == 2 and stays & {ids[6], ids[7]}
    plain = decide(tmp_path / "plain", clusters)
    assert plain == decide(tmp_path / "turned", [c[::-1] for c in clusters[::-1]])
    assert len(plain) == 2


def test_no_cluster_at_all_is_fine(tmp_path):
    assert run(tmp_path, [passage(n, text) for n, text in enumerate(real_passages()[:3])]) == []
    assert decide(tmp_path / "d", []) == set()
