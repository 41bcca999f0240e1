"""Executed exercises: a model writes the body of a function, and the function's tests are run in the sandbox.

The beginner exercises ship with the package: combinations of tasks that the training exercises never show, see
exercises/README.md. A solution ends where the text leaves the function (Chen et al. 2021, section 2.1).
"""

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from tokenizers import Tokenizer

from hornbook.core.documents import write_table
from hornbook.core.progress import Progress
from hornbook.evaluation.config import ExecutionConfig
from hornbook.evaluation.models import models_by_budget
from hornbook.evaluation.sets import EXERCISES
from hornbook.model import huggingface
from hornbook.model.decoder import Decoder
from hornbook.model.prepare import prepared
from hornbook.model.sampling import SamplingOptions
from hornbook.model.text import encode_prompt, generate_texts, load_tokenizer
from hornbook.services.sandbox import run_many

EXECUTED = pa.schema(
    [
        ("arm", pa.string()),
        ("budget", pa.int64()),
        ("seed", pa.int64()),
        ("parameters", pa.int64()),
        ("id", pa.string()),
        ("samples", pa.int64()),
        ("passed", pa.int64()),  # samples whose program ran to its end
        ("solution", pa.string()),  # the first of them
        ("reason", pa.string()),  # why that one failed: see sandbox.Outcome; "" where it passed
    ]
)
_LEFT = re.compile(r"\n(?=\S)")  # the first line without indentation is outside of the function


@dataclass(frozen=True)
class Exercise:
    """A signature with its docstring, the reference solution, and asserts that tell right from wrong."""

    id: str
    prompt: str
    text: str
    tests: str


def executed_step(inputs: dict[str, Path], out: Path, config: ExecutionConfig) -> dict[str, Any]:
    """Let the models in `inputs["model"]` solve the exercises, run the solutions, write executed.parquet.

    Counters: `pass_rate` by budget. Raises HornbookError when there is no model.
    """
    models = models_by_budget(inputs["model"], config.budget)
    exercises = read_exercises()[: config.exercises]
    tables, rates = [], {}
    with Progress(f"exercises {config.arm}", len(models) * len(exercises)) as bar:
        for budget, folder in models.items():
            model, tokenizer = huggingface.load(folder), load_tokenizer(folder)
            with prepared(model):
                solutions = _solutions(model, tokenizer, exercises, config, bar)
            table = _judge(exercises, solutions, config)
            about = {"arm": config.arm, "budget": budget, "seed": config.seed}
            same = about | {"parameters": model.num_parameters(), "samples": config.samples}
            for name, value in same.items():
                table = table.append_column(name, pa.repeat(pa.scalar(value), len(table)))
            tables.append(table.select(EXECUTED.names).cast(EXECUTED))
            rates[str(budget)] = float(np.mean(table["passed"].to_numpy()) / config.samples)
    write_table(pa.concat_tables(tables), out / "executed.parquet")
    return {"rows_out": sum(map(len, tables)), "exercises": len(exercises), "pass_rate": rates}


def read_exercises(path: Path = EXERCISES) -> list[Exercise]:
    """The exercises of a JSONL file with id, prompt, text and tests."""
    rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    return [Exercise(row["id"], row["prompt"], row["text"], row["tests"]) for row in rows]


def program(exercise: Exercise, solution: str) -> str:
    """What is run to judge a solution."""
    return f"{exercise.prompt}{solution}\n\n{exercise.tests}\n"


def end_of_body(text: str) -> int | None:
    """Where a text leaves the function; None while it does not."""
    left = _LEFT.search(text)
    return left.start() + 1 if left else None


def _solutions(
    model: Decoder, tokenizer: Tokenizer, exercises: list[Exercise], config: ExecutionConfig, bar: Progress
) -> list[list[str]]:
    """Samples of the body of every exercise, with the same seeds in every arm; "" where a prompt fills the context."""
    # Indentation is mostly one token with the line end before it, so the model is left to write that end itself.
    prompts = [encode_prompt(model.config, tokenizer, exercise.prompt.rstrip("\n")) for exercise in exercises]
    fitting = [number for number, ids in enumerate(prompts) if len(ids) < model.config.max_position_embeddings]
    rows = [(number, sample) for number in fitting for sample in range(config.samples)]
    found = [[""] * config.samples for _ in exercises]
    begun: set[int] = set()
    for row, piece in generate_texts(
        model,
        tokenizer,
        [prompts[number] for number, _ in rows],
        SamplingOptions(config.temperature, top_p=config.top_p),
        max_new_tokens=config.max_new_tokens,
        seeds=[sample for _, sample in rows],
        stop_ids={model.config.eos_token_id},
        end_of=end_of_body,
    ):
        number, sample = rows[row]
        found[number][sample] += piece
        if number not in begun:
            begun.add(number)
            bar.advance()
    bar.advance(len(exercises) - len(begun))
    return [[text.lstrip("\n") for text in texts] for texts in found]


def _judge(exercises: list[Exercise], solutions: list[list[str]], config: ExecutionConfig) -> pa.Table:
    """Run all solutions; columns id, passed, solution, reason."""
    programs = [program(exercise, text) for exercise, texts in zip(exercises, solutions, strict=True) for text in texts]
    outcomes = list(run_many(programs))
    passed = np.array([outcome.passed for outcome in outcomes]).reshape(-1, config.samples)
    return pa.table(
        {
            "id": [exercise.id for exercise in exercises],
            "passed": passed.sum(axis=1),
            "solution": [texts[0] for texts in solutions],
            "reason": [outcome.reason for outcome in outcomes[:: config.samples]],
        }
    )
