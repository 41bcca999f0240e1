"""Selection: an arm gets what its recipe says, in seeded order, and every other survivor gets a reason."""

import json

import numpy as np
import pyarrow as pa
import pytest
from pydantic import ValidationError

from hornbook.core.documents import DOCUMENTS, VERDICTS, read_table, seeded_order, shards, write_table
from hornbook.core.errors import HornbookError
from hornbook.curation import selection
from hornbook.curation.config_selection import ArmConfig
from hornbook.curation.selection import select_step
from hornbook.curation.verdicts import make_verdicts
from tests.curation.passages import passage, write_passages, write_verdicts

SIZE = 10  # bytes of every text: five letters of two bytes
ROWS = [
    passage(n, f"{n:04}ééé", kind="synthetic" if n >= 80 else "text" if n % 4 == 0 else "code", parent=f"file{n // 10}")
    for n in range(100)
]
IDS = [row["id"] for row in ROWS]
EDU = {row["id"]: n % 50 / 10 for n, row in enumerate(ROWS)}
LEVEL = {row["id"]: 1 + n % 3 for n, row in enumerate(ROWS)}


def prepare(folder, rows=ROWS, count=3, dropped=None, edu=EDU):
    """Inputs of the step; `dropped` maps the name of an input to the numbers of the rows that it drops."""
    dropped = {name: {IDS[n] for n in numbers} for name, numbers in (dropped or {}).items()}
    inputs = {"documents": write_passages(folder / "documents", rows, count)}
    for name in ("rules", "exact", "leaks"):
        inputs[name] = write_verdicts(folder / name, rows, dropped.get(name, ()), count)
    for name in ("near", "scores"):
        inputs[name] = folder / name
        (folder / name).mkdir()
    members = sorted(dropped.get("near", ()))
    write_table(make_verdicts(members, ["near duplicate"] * len(members)), folder / "near" / "v.parquet")
    for shard in range(count):
        ids = [row["id"] for row in rows[shard::count]]
        scores = {"edu": [edu[i] for i in ids], "self": [edu[i] / 2 for i in ids], "level": [LEVEL[i] for i in ids]}
        scores["code"] = [0.5] * len(ids)
        columns = {name: pa.array(values, pa.float32()) for name, values in scores.items()}
        write_table(pa.table({"id": ids, **columns}), folder / "scores" / f"p-{shard:04}.parquet")
    return inputs


def run(folder, inputs, **settings):
    """Numbers of the selected rows in their order, and the reasons of the others by number."""
    folder.mkdir(parents=True, exist_ok=True)
    counters = select_step(inputs, folder, ArmConfig(name="arm", **settings))
    table = read_table(folder)
    verdicts = read_table(folder / "verdicts")
    assert table.schema == DOCUMENTS and verdicts.schema == VERDICTS
    assert [p.name for p in shards(folder / "verdicts")] == [p.name for p in shards(inputs["documents"])]
    order = seeded_order(table["id"], settings.get("seed", 0))
    assert (np.diff(order.astype(object)) > 0).all()
    selected = [IDS.index(i) for i in table["id"].to_pylist()]
    reasons = {IDS.index(row["id"]): row["reason"] for row in verdicts.to_pylist()}
    assert sorted(selected) == sorted(n for n, reason in reasons.items() if not reason)
    assert counters["rows_in"] == len(reasons) == counters["kept"] + sum(counters["dropped"].values())
    assert counters["rows_out"] == counters["kept"] == len(selected)
    assert counters["bytes_out"] == sum(counters["source_bytes"].values()) == len(selected) * SIZE
    return selected, {n: reason for n, reason in reasons.items() if reason}, counters


def test_raw_is_a_seeded_sample_of_found_passages_that_no_given_verdict_drops(tmp_path):
    inputs = prepare(tmp_path, dropped={"exact": [0, 1, 2], "rules": range(5, 95)})
    held_out = make_verdicts(["file1", "file2"], ["held out for evaluation", ""])
    (tmp_path / "held").mkdir()
    write_table(held_out, tmp_path / "held" / "v.parquet")
    raw = {"documents": inputs["documents"], "exact": inputs["exact"], "held_out_files": tmp_path / "held"}
    selected, reasons, _ = run(tmp_path / "a", raw, max_bytes=25 * SIZE + 3)
    assert len(selected) == 25
    assert not set(selected) & {0, 1, 2, *range(10, 20), *range(80, 100)}
    assert set(reasons.values()) == {"not drawn", "a lesson, which this arm does not take"}
    more, _, _ = run(tmp_path / "b", raw, max_bytes=40 * SIZE)
    assert more[:25] == selected  # a larger sample begins with the smaller one
    other, _, _ = run(tmp_path / "c", raw, max_bytes=25 * SIZE, seed=1)
    assert other != selected


def test_the_sample_does_not_depend_on_shards_or_buckets(tmp_path, monkeypatch):
    expected, reasons, _ = run(tmp_path / "a", prepare(tmp_path / "one", count=1), filter="rules", max_bytes=300)
    monkeypatch.setattr(selection, "_SHARD_BYTES", 7 * SIZE)
    inputs = prepare(tmp_path / "five", rows=ROWS[::-1], count=5)
    assert run(tmp_path / "b", inputs, filter="rules", max_bytes=300)[:2] == (expected, reasons)
    assert len(shards(tmp_path / "b")) == 5
    assert not (tmp_path / "b" / "pieces").exists()


def test_rules_leaks_and_near_duplicates_are_kept_out(tmp_path):
    inputs = prepare(tmp_path, dropped={"rules": [1], "exact": [2], "near": [3], "leaks": [4, 85]})
    selected, reasons, _ = run(tmp_path / "out", inputs, filter="rules")
    assert sorted(selected) == [n for n in range(80) if n not in (1, 2, 3, 4)]
    assert set(reasons) == {n for n in range(80, 100) if n != 85}


def test_thresholds_hold_for_code_and_text_and_lessons_have_their_own(tmp_path):
    inputs = prepare(tmp_path)
    settings = {"filter": "classifier", "min_edu": 3.05, "min_self": 2.0, "lessons": True, "min_lesson_edu": 4.5}
    selected, reasons, counters = run(tmp_path / "a", inputs, **settings)
    found = [n for n in range(80) if EDU[IDS[n]] >= 4]
    assert sorted(selected) == found + [n for n in range(80, 100) if EDU[IDS[n]] >= 4.5]
    assert counters["lessons"] == 5
    assert set(reasons.values()) == {"edu below 3.05", "self below 2", "edu of a lesson below 4.5"}
    assert {n for n, reason in reasons.items() if reason == "edu of a lesson below 4.5"} == set(range(80, 95))
    selected, _, _ = run(tmp_path / "b", inputs, filter="classifier", min_edu=4, max_bytes=3 * SIZE, lessons=True)
    assert sum(n >= 80 for n in selected) == 20 and sum(n < 80 for n in selected) == 3  # lessons come on top


def test_top_share_takes_the_best_bytes(tmp_path):
    selected, reasons, _ = run(tmp_path / "out", prepare(tmp_path), filter="classifier", top_share=0.1)
    best = sorted(range(80), key=lambda n: -EDU[IDS[n]])[:8]
    assert {EDU[IDS[n]] for n in selected} == {EDU[IDS[n]] for n in best} and len(selected) == 8
    assert "edu not in the top 10 % of the bytes" in reasons.values()


def test_rank_by_weighs_several_scores(tmp_path):
    settings = {"filter": "classifier", "top_share": 0.1, "rank_by": {"edu": 1, "level": -2}}
    selected, reasons, _ = run(tmp_path / "out", prepare(tmp_path), **settings)
    rank = {n: EDU[IDS[n]] - 2 * LEVEL[IDS[n]] for n in range(80)}
    assert sorted(rank[n] for n in selected) == sorted(rank.values())[-8:]
    assert "rank by edu, level not in the top 10 % of the bytes" in reasons.values()


def test_an_arm_may_take_lessons_of_some_kinds_and_nothing_found(tmp_path):
    kinds = {n: "exercise" if n % 2 else "dialogue" for n in range(80, 100)}
    rows = [{**row, "meta": json.dumps({"kind": kinds[n]}) if n in kinds else "{}"} for n, row in enumerate(ROWS)]
    inputs = prepare(tmp_path, rows=rows)
    selected, reasons, counters = run(tmp_path / "a", inputs, filter="none", lessons=("exercise",))
    assert sorted(selected) == list(range(81, 100, 2)) and counters["lessons"] == 10
    assert set(reasons.values()) == {
        "a lesson of a kind or source that this arm does not take",
        "no lesson, and this arm takes nothing else",
    }
    both, _, _ = run(tmp_path / "b", inputs, filter="rules", lessons=("dialogue",))
    assert sorted(both) == [*range(80), *range(80, 100, 2)]
    with pytest.raises(HornbookError, match=r"there are: dialogue, exercise"):
        run(tmp_path / "c", inputs, filter="none", lessons=("poem",))


def test_an_arm_that_selects_nothing_says_what_to_do(tmp_path):
    inputs = prepare(tmp_path)
    with pytest.raises(HornbookError, match=r"min_edu 4\.95.*best of 80 passages has edu 4\.90.*Lower min_edu"):
        run(tmp_path / "a", inputs, filter="classifier", min_edu=4.95)
    everything = prepare(tmp_path / "e", dropped={"rules": range(100)})
    with pytest.raises(HornbookError, match="no passage survived"):
        run(tmp_path / "b", everything, filter="rules")
    no_lessons = prepare(tmp_path / "n", dropped={"rules": range(80, 100)})
    with pytest.raises(HornbookError, match=r"takes lessons.*Add a source of lessons"):
        run(tmp_path / "c", no_lessons, filter="rules", lessons=True)


@pytest.mark.parametrize(
    "settings",
    [
        {"filter": "classifier"},
        {"filter": "classifier", "min_edu": 2, "top_share": 0.1},
        {"filter": "rules", "min_edu": 2},
        {"filter": "raw", "lessons": True},
        {"filter": "none"},
        {"filter": "rules", "min_lesson_edu": 2},
        {"filter": "classifier", "min_edu": 2, "rank_by": {"self": 1}},
        {"filter": "classifier", "top_share": 0.1, "rank_by": {"beauty": 1}},
        {"filter": "classifier", "min_edu": 6},
        {"max_bytes": 0},
        {"name": "a/b"},
    ],
)
def test_contradictions_are_refused(settings):
    with pytest.raises(ValidationError):
        ArmConfig(**{"name": "arm", **settings})
