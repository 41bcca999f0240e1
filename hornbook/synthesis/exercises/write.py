"""Beginner exercises, composed: a family of tasks, its operations, a wording, names, and a way to solve it.

In the manner of the exercises that phi-1 was finetuned on (Gunasekar et al. 2023, section 2.2: a docstring that has
to be completed), but written by a grammar and not by a language model: every answer is run. A seeded eighth of the
combinations of family and operations is kept for evaluation and never occurs among the training exercises.
"""

import copy
import hashlib
import random
import textwrap
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

from hornbook.synthesis.exercises.task import Task, all_tasks
from hornbook.synthesis.exercises.values import Pool, draw_collection, draw_scalar, split
from hornbook.synthesis.exercises.vocabulary import Subject
from hornbook.synthesis.exercises.wording import Wording, choose, prompt, test, with_typing

HELD_OUT_SHARE = 0.12
_HELD_OUT_SEED = "exercises"
_MOST_PER_COMBINATION = 2  # in the evaluation set
_TRIES = 40
_CANDIDATES = 26  # calls that examples and tests are chosen from
_RAISED = "raised "  # and the name of the exception
_WIDEST = 110  # characters of a line of code
_LONGEST = 90  # characters of a result
_COLLECTIONS = {
    "list", "list2", "filled", "table", "table2", "pairs", "lookup", "lookup2", "grid", "lists", "mixed", "sentence",
}  # fmt: skip
Call = tuple[tuple[Any, ...], Any]  # arguments and result


@dataclass(frozen=True)
class Exercise:
    """A function to complete. `prompt + solution` is a program, and so is that with `tests` after it."""

    id: str
    combination: str  # family and operations
    family: str
    operations: str
    level: int  # 1 to 3
    prompt: str  # imports, signature and docstring
    solution: str  # the indented body
    tests: str  # asserts

    @property
    def text(self) -> str:
        """The whole function."""
        return self.prompt + self.solution


def is_held_out(combination: str) -> bool:
    """Whether a combination belongs to the evaluation set."""
    digest = hashlib.blake2b(f"{_HELD_OUT_SEED}:{combination}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") < HELD_OUT_SHARE * 2**64


def training_exercises(count: int, seed: int = 0) -> list[Exercise]:
    """`count` different exercises of combinations that are not held out; large families get more, but not all."""
    rng = random.Random(f"training:{seed}")
    families = _by_family(held_out=False)
    names = sorted(families)
    weights = [len(families[name]) ** 0.5 for name in names]
    found: dict[str, Exercise] = {}
    while len(found) < count:
        task = rng.choice(families[rng.choices(names, weights)[0]])
        exercise = write_exercise(rng, task, tests=3)
        found.setdefault(exercise.text, replace(exercise, id=f"exercise-{len(found) + 1:05d}"))
    return list(found.values())


def evaluation_exercises(count: int, seed: int = 0) -> list[Exercise]:
    """`count` different exercises of held-out combinations, from as many families as there are, each in its turn."""
    rng = random.Random(f"evaluation:{seed}")
    order = _in_turn(rng, _by_family(held_out=True))
    found: dict[str, Exercise] = {}
    while len(found) < count:
        task = next(order, None)
        if task is None:
            raise ValueError(f"the held-out combinations give fewer than {count} exercises")
        exercise = write_exercise(rng, task, tests=6)
        found.setdefault(exercise.text, replace(exercise, id=f"exercises/{len(found) + 1:03d}"))
    return list(found.values())


def _by_family(held_out: bool) -> dict[str, list[Task]]:
    families: dict[str, list[Task]] = {}
    for task in all_tasks():
        if is_held_out(task.combination) == held_out:
            families.setdefault(task.family.name, []).append(task)
    return families


def _in_turn(rng: random.Random, families: dict[str, list[Task]]) -> Iterator[Task]:
    """One task of each family, then another one of each, until all had their number of turns."""
    queues = dict(sorted(families.items()))
    for name, tasks in queues.items():
        queues[name] = [task for _ in range(_MOST_PER_COMBINATION) for task in rng.sample(tasks, len(tasks))]
    turns: Counter[str] = Counter()
    while any(queues.values()):
        for queue in queues.values():
            if queue and turns[(task := queue.pop(0)).combination] < _MOST_PER_COMBINATION:
                turns[task.combination] += 1
                yield task


def write_exercise(rng: random.Random, task: Task, tests: int) -> Exercise:
    """One exercise of a task, run when it is written. Raises ValueError when its solutions do not agree."""
    for _ in range(_TRIES):
        subject = rng.choice(task.subjects)
        wording = choose(rng, task, subject)
        calls = _calls(rng, wording, subject)
        if (chosen := _choose_calls(rng, calls, tests)) is None:
            continue
        examples, checks = chosen
        head = prompt(rng, wording, examples)
        body = textwrap.indent(rng.choice(wording.solutions), "    ") + "\n"
        if rng.random() < 0.4:
            head, body = with_typing(head, body)
        if max(map(len, (head + body).splitlines())) > _WIDEST or "\\" in head:
            continue
        lines = "".join(test(wording, arguments, result) for arguments, result in checks)
        family = task.family
        exercise = Exercise("", task.combination, family.name, task.operations, family.level, head, body, lines)
        exec(exercise.text + exercise.tests, {})
        return exercise
    raise ValueError(f"no telling arguments for {task.combination}")


def _calls(rng: random.Random, wording: Wording, subject: Subject) -> list[Call]:
    """Calls with their results, on which all solutions agree; edge cases come first."""
    functions = [_function(wording, body) for body in wording.solutions]
    predicate = None
    if wording.test:
        names = ", ".join([wording.variable, *(name for name, _, _ in wording.parameters)])
        predicate = eval(f"lambda {names}: {wording.test}")
    calls = []
    for number in range(_CANDIDATES):
        size = number if number < 2 else rng.randint(2, 5)
        arguments = _arguments(rng, wording, subject, predicate, size)
        results = [_run(function, arguments, wording.returns == "None") for function in functions]
        if any(result != results[0] or type(result) is not type(results[0]) for result in results):
            raise ValueError(f"solutions of {wording.name} differ on {arguments}: {results}\n{wording.solutions}")
        if not str(results[0]).startswith(_RAISED):
            calls.append((arguments, results[0]))
    return calls


def _function(wording: Wording, body: str) -> Any:
    names = ", ".join(name for name, _, _ in wording.parameters)
    scope: dict[str, Any] = {}
    exec(f"def {wording.name}({names}):\n" + textwrap.indent(body, "    "), scope)
    return scope[wording.name]


def _run(function: Any, arguments: tuple[Any, ...], in_place: bool) -> Any:
    """The result, or "raised ..."; for a function that changes its first argument, what becomes of that."""
    given = copy.deepcopy(arguments)
    try:
        result = function(*given)
    except (ValueError, IndexError, ZeroDivisionError) as error:
        return _RAISED + type(error).__name__
    if in_place:
        return given[0]
    if given != arguments:
        raise ValueError(f"{function.__name__} changes its arguments")
    return result


def _arguments(
    rng: random.Random, wording: Wording, subject: Subject, predicate: Any, size: int
) -> tuple[Any, ...]:  # fmt: skip
    before: dict[str, Any] = {}
    values: dict[str, Any] = {}
    for name, kind, _ in wording.parameters:
        if kind not in _COLLECTIONS:
            before[kind] = values[name] = draw_scalar(rng, kind, subject, before)
    unknown = {name: None for name, kind, _ in wording.parameters if kind in _COLLECTIONS}
    satisfies = None if predicate is None else lambda value: predicate(value, **(unknown | values))
    yes, no = split(subject, satisfies) if unknown else ([], [])
    pool = Pool(subject, yes, no, rng.choice(("mixed", "mixed", "mixed", "all", "none")))
    for name, kind, _ in wording.parameters:
        if kind in _COLLECTIONS:
            before[kind] = values[name] = draw_collection(rng, kind, pool, before, size)
    return tuple(values[name] for name, _, _ in wording.parameters)


def _choose_calls(rng: random.Random, calls: list[Call], tests: int) -> tuple[list[Call], list[Call]] | None:
    """Examples for the docstring and calls for the tests, none in both; None when they would not tell much.

    The tests have different results, one at least is not None and not an argument handed back, and no constant
    passes them.
    """
    short = {repr(call[0]): call for call in calls if len(repr(call[1])) <= _LONGEST}
    edges = [call for call in list(short.values())[:2] if rng.random() < 0.7]
    others = list(short.values())[2:]
    by_result: dict[str, list[Call]] = {}
    for call in others:
        by_result.setdefault(repr(call[1]), []).append(call)
    varied = [call for turn in range(3) for same in by_result.values() for call in same[turn : turn + 1]]
    wanted = rng.choices((0, 1, 2), (0.14, 0.5, 0.36))[0]
    typical = [call for call in varied if call[1] not in (None, [], {}, "", 0, -1) and call[1] not in call[0]] or varied
    examples = typical[:wanted]
    if wanted == 2 and isinstance(varied[0][1] if varied else None, bool):
        examples = varied[:2]
    rest = [call for call in varied if call not in examples]
    checks = (rest[: tests - len(edges)] if len(edges) < 2 else rest[: tests - 1]) + edges
    checks = checks[:tests]
    results = [result for _, result in checks]
    if len(checks) < 3 or all(result == results[0] for result in results) or all(r is None for r in results):
        return None
    handed_back = range(len(checks[0][0]))
    if any(all(arguments[place] == result for arguments, result in checks) for place in handed_back):
        return None
    return examples, checks
