"""Executed exercises: what a model writes is run, and only what passes its tests counts."""

import json
import shutil

import pyarrow.parquet as pq
import pytest

from hornbook.evaluation.config import ExecutionConfig
from hornbook.evaluation.executed import end_of_body, executed_step, program, read_exercises
from hornbook.services.sandbox import run_many


def test_the_reference_solutions_pass_and_what_returns_nothing_does_not():
    exercises = read_exercises()
    passed = [outcome.passed for outcome in run_many(program(e, e.text) for e in exercises[::8])]
    failed = [outcome.passed for outcome in run_many(program(e, "    return None\n") for e in exercises[::8])]
    assert all(passed) and not any(failed)


@pytest.mark.parametrize(
    ("written", "kept"),
    [
        ("    return 1\n", "    return 1\n"),
        ("    return 1\n\n\ndef other():\n    pass\n", "    return 1\n\n\n"),
        ("    if x:\n\n        return 1\nprint(2)", "    if x:\n\n        return 1\n"),
        ("    return 1", "    return 1"),
    ],
)
def test_a_solution_ends_where_the_text_leaves_the_function(written, kept):
    assert written[: end_of_body(written)] == kept


def test_a_model_is_judged_at_every_budget(model_folder, tmp_path):
    for budget, context in (("200", 48), ("1000", 400)):  # prompts do not fit into the first
        folder = tmp_path / "models" / budget
        shutil.copytree(model_folder, folder)
        described = json.loads((folder / "config.json").read_text())
        (folder / "config.json").write_text(json.dumps({**described, "max_position_embeddings": context}))
    config = ExecutionConfig(enabled=True, exercises=3, max_new_tokens=12, samples=2, temperature=1, arm="a", seed=4)
    (tmp_path / "out").mkdir()
    counters = executed_step({"model": tmp_path / "models"}, tmp_path / "out", config)
    assert counters["pass_rate"] == {"200": 0.0, "1000": 0.0} and counters["exercises"] == 3
    rows = pq.read_table(tmp_path / "out" / "executed.parquet").to_pylist()
    assert [(row["budget"], row["id"]) for row in rows] == [
        (budget, exercise.id) for budget in (200, 1000) for exercise in read_exercises()[:3]
    ]
    assert {(row["arm"], row["seed"], row["samples"], row["passed"]) for row in rows} == {("a", 4, 2, 0)}
    assert all(row["reason"] for row in rows) and rows[0]["parameters"] > 1000
    assert [bool(row["solution"]) for row in rows] == [False] * 3 + [True] * 3
    one = executed_step({"model": tmp_path / "models"}, tmp_path / "out", config.model_copy(update={"budget": 200}))
    assert list(one["pass_rate"]) == ["200"]
    again = tmp_path / "again"
    again.mkdir()
    executed_step({"model": tmp_path / "models"}, again, config)
    assert pq.read_table(again / "executed.parquet").to_pylist() == rows


def test_several_samples_of_the_likeliest_solution_are_refused():
    with pytest.raises(ValueError, match="temperature above 0"):
        ExecutionConfig(samples=2)
