"""Exact duplicates: one of all passages with equal text stays, and it is the right one."""

import pytest

from hornbook.core.documents import read_table, shards
from hornbook.curation import exact_duplicates
from hornbook.curation.config_duplicates import ExactDuplicatesConfig
from hornbook.curation.exact_duplicates import exact_duplicates_step
from tests.curation.passages import passage, write_passages, write_verdicts


def run(folder, rows, dropped=(), count=2, seed=0):
    documents = write_passages(folder / "documents", rows, count)
    rules = write_verdicts(folder / "rules", rows, dropped, count)
    out = folder / "out"
    out.mkdir()
    counters = exact_duplicates_step({"documents": documents, "rules": rules}, out, ExactDuplicatesConfig(seed=seed))
    assert [path.name for path in shards(out)] == [path.name for path in shards(documents)]
    assert read_table(out)["id"].to_pylist() == read_table(documents)["id"].to_pylist()
    return {row["id"]: row["reason"] for row in read_table(out).to_pylist()}, counters


ROWS = [passage(n, f"text {n % 20}\n") for n in range(50)]


def test_one_of_each_text_stays_and_line_ends_do_not_count(tmp_path):
    rows = [
        passage(0, "a = 'é'\nb\n"),
        passage(1, "a = 'é'\r\nb\r\n"),
        passage(2, "a = 'e\u0301'\nb\n"),
        passage(3, "c\n"),
    ]
    reasons, counters = run(tmp_path, rows)
    assert sorted(reasons.values()) == ["", "", "exact duplicate", "exact duplicate"]
    assert reasons[rows[3]["id"]] == ""
    assert counters["rows_in"] == 4 and counters["kept"] == 2 and counters["dropped"] == {"exact duplicate": 2}
    assert counters["bytes_in"] == sum(len(row["text"].encode()) for row in rows)


def test_a_copy_that_passes_the_rules_stays(tmp_path):
    rows = [passage(n, "same\n") for n in range(8)]
    survivor = rows[5]["id"]
    reasons, _ = run(tmp_path, rows, dropped={row["id"] for row in rows} - {survivor})
    assert [i for i, reason in reasons.items() if not reason] == [survivor]


@pytest.mark.parametrize("count", [1, 3, 7])
def test_the_choice_does_not_depend_on_shards_or_partitions(tmp_path, monkeypatch, count):
    expected, _ = run(tmp_path / "two", ROWS)
    monkeypatch.setattr(exact_duplicates, "_ROWS_AT_ONCE", 9)  # several hash partitions
    reasons, _ = run(tmp_path / "other", list(reversed(ROWS)), count=count)
    assert reasons == expected
    assert sum(not reason for reason in reasons.values()) == 20


def test_the_seed_decides_between_equal_copies(tmp_path):
    choices = {str(sorted(run(tmp_path / str(seed), ROWS, seed=seed)[0].items())) for seed in range(3)}
    assert len(choices) == 3
