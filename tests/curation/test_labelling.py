"""Labelling and its sample: noisy, faulty and expensive teachers on loopback."""

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from hornbook.core.documents import read_table, write_table
from hornbook.core.errors import HornbookError
from hornbook.curation.annotation import read_labels
from hornbook.curation.config_labelling import LabellingConfig, LearningConfig, SampleConfig
from hornbook.curation.features import extract
from hornbook.curation.labelling import label_step, rubric_file
from hornbook.curation.learning_curve import learning_curve
from hornbook.curation.sampling import SAMPLE, draw, sample_step
from hornbook.services.llm_config import BudgetConfig, TeacherConfig
from tests.grader import by_chance, by_rule, sometimes_badly
from tests.services.chat_server import chat_server

PASSAGES = 130


@pytest.fixture
def inputs(tmp_path, monkeypatch) -> dict[str, Path]:
    """The passages of labels that ship, as a sample."""
    monkeypatch.setenv("HORNBOOK_CACHE", str(tmp_path / "cache"))
    texts = read_labels().texts[:PASSAGES]
    rows = [
        {"id": f"{n:032x}", "text": text, "source": "a", "origin": f"{n}.py", "kind": "code", "license": ""}
        for n, text in enumerate(texts)
    ]
    (tmp_path / "sample").mkdir()
    (tmp_path / "out").mkdir()
    write_table(pa.Table.from_pylist(rows, schema=SAMPLE), tmp_path / "sample" / "sample.parquet")
    return {"sample": tmp_path / "sample", "rubric": rubric_file("code")}


def config(url: str, **budget: int) -> LabellingConfig:
    return LabellingConfig(teacher=TeacherConfig(url=url, model="playback", budget=BudgetConfig(**budget)))


def test_a_teacher_that_guesses_hardly_agrees_with_itself(inputs, tmp_path):
    with chat_server(by_chance) as server:
        told = label_step(inputs, tmp_path / "out", config(server.url))
    assert told["agreement"]["pairs"] == 30
    assert abs(told["agreement"]["edu"]["kappa"]["value"]) < 0.5
    assert told["agreement"]["edu"]["equal"] < 0.6


def test_a_label_is_the_mean_of_what_was_said(inputs, tmp_path):
    with chat_server(by_chance) as server:
        label_step(inputs, tmp_path / "out", config(server.url))
    labels = [json.loads(line) for line in (tmp_path / "out" / "labels.jsonl").read_text().splitlines()]
    for label in labels:
        assert label["edu"] == np.mean([answer["edu"] for answer in label["answers"]])
    assert len(read_labels(tmp_path / "out").texts) == PASSAGES


def test_bad_answers_are_counted_and_left_out(inputs, tmp_path):
    with chat_server(sometimes_badly) as server:
        told = label_step(inputs, tmp_path / "out", config(server.url))
    assert set(told["failed"]) == {"schema"} and told["failed"]["schema"] > 5
    assert 100 <= told["rows_out"] < PASSAGES == told["rows_in"]
    assert told["agreement"]["edu"]["kappa"]["value"] == 1


def test_too_few_usable_labels_name_cause_and_remedy(inputs, tmp_path):
    async def nonsense(exchange):
        return exchange.answer("I cannot grade that.")

    with (
        chat_server(nonsense) as server,
        pytest.raises(HornbookError, match=r"Only 0 labels are usable.*schema 160.*Take a teacher"),
    ):
        label_step(inputs, tmp_path / "out", config(server.url))


def test_a_budget_that_ends_is_no_result_and_what_was_paid_stays_paid(inputs, tmp_path):
    with chat_server(by_rule) as server:
        with pytest.raises(HornbookError, match=r"have no answer yet \(budget \d+\).*larger --budget"):
            label_step(inputs, tmp_path / "out", config(server.url, requests=50))
        assert not list((tmp_path / "out").iterdir())
        label_step(inputs, tmp_path / "out", config(server.url))
        assert sum(server.paid.values()) == PASSAGES + 30


def test_the_sample_takes_more_than_their_share_of_small_strata():
    rng = np.random.default_rng(0)
    stratum = np.repeat([0, 1, 2], [9_000, 900, 10])
    order = rng.permutation(len(stratum)).astype(np.uint64)
    rows = draw(stratum, order, 500)
    assert len(rows) == len(set(rows.tolist())) == 500 and (np.diff(order[rows].astype(int)) > 0).all()
    taken = np.bincount(stratum[rows])
    assert taken[2] == 10 and 100 < taken[1] < taken[0] < 400
    assert set(rows.tolist()) <= set(draw(stratum, order, 600).tolist())
    assert len(draw(stratum, order, 20_000)) == len(stratum)


def corpus(folder: Path, rows: list[dict[str, str]]) -> dict[str, Path]:
    """Documents with these columns, all of which the verdicts keep."""
    ids = [f"{n:032x}" for n in range(len(rows))]
    blank = {"source": "pages", "origin": "", "meta": "{}", "kind": "text", "license": ""}
    kept = pa.table({"id": ids, "keep": [True] * len(ids), "reason": [""] * len(ids)})
    documents = pa.Table.from_pylist([{"id": id, **blank, **row} for id, row in zip(ids, rows, strict=True)])
    for name, table in (("documents", documents), ("rules", kept), ("exact", kept)):
        (folder / name).mkdir()
        write_table(table, folder / name / "a.parquet")
    return {name: folder / name for name in ("documents", "rules", "exact")}


def test_a_corpus_without_enough_passages_is_an_error(inputs, tmp_path):
    with pytest.raises(HornbookError, match="Only 1 passages"):
        sample_step(corpus(tmp_path, [{"text": "One passage."}]), tmp_path / "out", SampleConfig())


def test_the_sample_holds_every_source_and_what_explains(inputs, tmp_path):
    rows = [{"text": f"click {n} menu login cart " * 9, "origin": f"shop/{n}.md"} for n in range(1500)]
    rows += [{"text": f"Page {n} is the list of {n} items.", "origin": f"{n}"} for n in range(400)]
    rows += [{"text": "This is an example: the sum of two " * 5 + f"and {n}", "origin": "x"} for n in range(60)]
    rows += [{"text": f"small {n}", "meta": '{"source": "forum"}'} for n in range(20)]
    counters = sample_step(corpus(tmp_path, rows), tmp_path / "out", SampleConfig(passages=300))
    sample = read_table(tmp_path / "out").to_pylist()
    assert len(sample) == counters["rows_out"] == 300
    assert {row["source"] for row in sample} == {"pages", "pages/shop", "forum"}
    assert sum(row["source"] == "forum" for row in sample) > 10  # 1 % of the corpus
    assert sum("example" in row["text"] for row in sample) > 20  # 3 % of the corpus, 9 passages of a plain sample


def test_more_labels_help_where_few_were_given_and_the_forecast_has_an_interval():
    labels = read_labels()
    result = learning_curve(labels, extract(labels.texts), LearningConfig(bootstrap=100, draws=1, folds=3))
    values = [point["spearman"]["value"] for point in result["curve"]]
    assert values == sorted(values) and 0.7 < values[-1] < 0.9
    twice, four_times = result["forecast"]
    assert 0 < twice["gain"]["value"] < four_times["gain"]["value"] < 0.2
    assert twice["gain"]["low"] < twice["gain"]["value"] < twice["gain"]["high"]
    assert result["precision"]["value"] > 2 * result["useful_share"] and result["recall"]["low"] > 0.3
