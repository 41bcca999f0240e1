"""Exercises: the same for the same seed, right when run, told apart by their tests, and held out by combination."""

import ast
import gzip
import json
import random
from collections import Counter
from pathlib import Path

import pytest

import hornbook
from hornbook.services.sandbox import Limits, run_many
from hornbook.synthesis.exercises.task import all_tasks
from hornbook.synthesis.exercises.write import (
    Exercise,
    evaluation_exercises,
    is_held_out,
    training_exercises,
    write_exercise,
)

PACKAGE = Path(hornbook.__file__).parent
LIMITS = Limits(seconds=10.0, cpu_seconds=5)


@pytest.fixture(scope="module")
def training() -> list[dict]:
    with gzip.open(PACKAGE / "corpus" / "exercises.jsonl.gz", "rt", encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


@pytest.fixture(scope="module")
def evaluation() -> list[dict]:
    path = PACKAGE / "evaluation" / "exercises" / "beginner.jsonl"
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


@pytest.fixture(scope="module")
def written() -> list[Exercise]:
    return evaluation_exercises(210)


def passes(program: str) -> bool:
    try:
        exec(program, {})
    except Exception:
        return False
    return True


def test_the_same_seed_gives_the_same_exercises():
    assert training_exercises(30, seed=3) == training_exercises(30, seed=3)
    assert training_exercises(60, seed=3)[:30] == training_exercises(30, seed=3)
    assert training_exercises(30, seed=3) != training_exercises(30, seed=4)
    assert evaluation_exercises(30, seed=3) == evaluation_exercises(30, seed=3)


def test_the_shipped_files_are_what_the_writer_writes(training, evaluation, written):
    shipped = {row["id"]: (row["text"], row["tests"]) for row in training}
    first = [exercise for exercise in training_exercises(300) if exercise.id in shipped]
    assert len(first) > 200  # the others were taken for copies of an evaluation item
    assert all(shipped[exercise.id] == (exercise.text, exercise.tests) for exercise in first)
    known = {(exercise.prompt, exercise.solution, exercise.tests) for exercise in written}
    assert all((row["prompt"], row["text"], row["tests"]) in known for row in evaluation)


def test_schema(training, evaluation):
    assert len(training) == 6000 and len(evaluation) == 164
    for row in training:
        assert set(row) == {"id", "kind", "topic", "subtopic", "level", "text", "tests"}
        assert row["kind"] == "exercise" and row["level"] in (1, 2, 3)
    assert [row["id"] for row in evaluation] == [f"exercises/{number:03d}" for number in range(1, 165)]
    for row in evaluation:
        assert set(row) == {"id", "prompt", "text", "tests"}
        assert '"""' in row["prompt"] and row["text"].startswith("    ") and row["text"].endswith("\n")
        assert 3 <= row["tests"].count("assert ") <= 6
        assert len(row["prompt"] + row["text"]) < 1000


def test_nothing_is_there_twice(training, evaluation):
    texts = [row["text"] for row in training] + [row["prompt"] + row["text"] for row in evaluation]
    assert len(set(texts)) == len(texts)
    assert len({row["id"] for row in training}) == len(training)


def test_held_out_combinations_are_absent_from_training(training, evaluation, written):
    trained = {f"{row['topic']}: {row['subtopic']}" for row in training}
    assert not any(is_held_out(combination) for combination in trained)
    by_prompt = {exercise.prompt: exercise.combination for exercise in written}
    tested = Counter(by_prompt[row["prompt"]] for row in evaluation)
    assert all(is_held_out(combination) for combination in tested)
    assert max(tested.values()) <= 2
    assert len(tested) >= 100 and len(trained) >= 1000
    held_out = [task for task in all_tasks() if is_held_out(task.combination)]
    assert 0.08 < len(held_out) / len(all_tasks()) < 0.16


def test_solutions_pass_their_tests_in_the_sandbox(training, evaluation):
    sample = random.Random(0).sample(training, 40)
    programs = [row["text"] + row["tests"] for row in sample]
    programs += [row["prompt"] + row["text"] + row["tests"] for row in evaluation]
    assert all(outcome.passed for outcome in run_many(programs, LIMITS))


def test_every_shipped_program_passes_its_tests(training):
    assert [row["id"] for row in training if not passes(row["text"] + row["tests"])] == []


def test_empty_and_constant_bodies_fail(evaluation):
    for row in evaluation:
        assert not passes(row["prompt"] + "    pass\n" + row["tests"]), row["id"]
        function = next(
            node for node in ast.parse(row["prompt"] + row["text"]).body if isinstance(node, ast.FunctionDef)
        )
        names = [argument.arg for argument in function.args.args]
        answers = [line.split(" == ")[-1] for line in row["tests"].splitlines() if line.startswith("assert ")]
        answers = [answer.split(" is ")[-1] for answer in answers]
        for body in [*names, *answers]:
            assert not passes(row["prompt"] + f"    return {body}\n" + row["tests"]), (row["id"], body)


def test_no_test_is_an_example_of_the_docstring(evaluation):
    for row in evaluation:
        calls = [line.removeprefix("assert ").split(" == ")[0] for line in row["tests"].splitlines()]
        assert not any(call in row["prompt"] for call in calls if len(call) > 12), row["id"]


@pytest.mark.parametrize("seed", range(2))
def test_every_combination_can_be_written(seed):
    rng = random.Random(seed)
    for task in rng.sample(all_tasks(), 300):
        exercise = write_exercise(rng, task, tests=4)  # raises where the solutions of a task differ
        assert passes(exercise.text + exercise.tests)
        assert "$" not in exercise.text
