"""Write the two sets of exercises that ship with Hornbook: the training set and the held-out, executed evaluation set.

    python benchmarks/write_exercises.py

Both files come out the same, byte for byte, whenever the writer is the same. Exercises of either set that the
decontamination step would call a copy of a HumanEval item are dropped, and so are training exercises that it would
call a copy of an evaluation exercise or of a text of the neutral sets.
"""

import gzip
import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import hornbook
from hornbook.curation.config_duplicates import DecontaminationConfig
from hornbook.curation.decontamination import Index, Item, read_items
from hornbook.evaluation.sets import NEUTRAL, human_eval
from hornbook.synthesis.exercises.write import Exercise, evaluation_exercises, training_exercises

PACKAGE = Path(hornbook.__file__).parent
TRAINING = PACKAGE / "corpus" / "exercises.jsonl.gz"
EVALUATION = PACKAGE / "evaluation" / "exercises" / "beginner.jsonl"
TRAINING_COUNT, EVALUATION_COUNT = 6000, 164  # as many evaluation items as HumanEval has
LEAST_NODES = 10  # stricter than for found code: these functions are short, and a short one may be a copy, too
DRAWN_FOR_TRAINING, DRAWN_FOR_EVALUATION = 8200, 210  # before some are dropped


def evaluation_set(flagged: Counter[str]) -> list[Exercise]:
    """The evaluation exercises, numbered from 1, without those that are close to HumanEval."""
    drawn = evaluation_exercises(DRAWN_FOR_EVALUATION)
    kept = without_copies(drawn, human_eval_items(), flagged)[:EVALUATION_COUNT]
    return [replace(exercise, id=f"exercises/{number:03d}") for number, exercise in enumerate(kept, 1)]


def training_set(evaluation: Sequence[Exercise], flagged: Counter[str]) -> list[Exercise]:
    """The training exercises, without copies of any evaluation item."""
    ours = [Item("exercises", exercise.id, exercise.prompt, exercise.solution) for exercise in evaluation]
    drawn = training_exercises(DRAWN_FOR_TRAINING)
    return without_copies(drawn, [*human_eval_items(), *ours, *read_items(NEUTRAL)], flagged)[:TRAINING_COUNT]


def without_copies(drawn: Sequence[Exercise], items: Sequence[Item], flagged: Counter[str]) -> list[Exercise]:
    """The exercises that give no item away; the others are counted by the set of the item."""
    leaks = Index(items, DecontaminationConfig(min_nodes=LEAST_NODES)).leaks([exercise.text for exercise in drawn])
    flagged.update(items[number].set for number in leaks if number >= 0)
    return [exercise for exercise, number in zip(drawn, leaks, strict=True) if number < 0]


def human_eval_items() -> list[Item]:
    """HumanEval in the form that the decontamination index reads."""
    return [Item("humaneval", item.id, item.prompt, item.text) for item in human_eval()]


def training_line(exercise: Exercise) -> str:
    """A row of the training file: the fields of the textbook, with the asserts in one of their own."""
    row = {"id": exercise.id, "kind": "exercise", "topic": exercise.family, "subtopic": exercise.operations}
    row |= {"level": exercise.level, "text": exercise.text, "tests": exercise.tests}  # type: ignore[dict-item]
    return json.dumps(row, ensure_ascii=False) + "\n"


def evaluation_line(exercise: Exercise) -> str:
    """A row of the evaluation file."""
    row = {"id": exercise.id, "prompt": exercise.prompt, "text": exercise.solution, "tests": exercise.tests}
    return json.dumps(row, ensure_ascii=False) + "\n"


def main() -> None:
    flagged_evaluation, flagged_training = Counter[str](), Counter[str]()
    evaluation = evaluation_set(flagged_evaluation)
    training = training_set(evaluation, flagged_training)
    if len(evaluation) < EVALUATION_COUNT or len(training) < TRAINING_COUNT:
        raise SystemExit(f"Too few are left: {len(evaluation)} and {len(training)}. Draw more.")
    EVALUATION.parent.mkdir(exist_ok=True)
    EVALUATION.write_text("".join(map(evaluation_line, evaluation)), encoding="utf-8")
    alike = sorted(training, key=lambda exercise: (exercise.combination, exercise.id))  # packs into two thirds
    text = "".join(map(training_line, alike)).encode()
    TRAINING.write_bytes(gzip.compress(text, 9, mtime=0))
    print(f"evaluation: {len(evaluation)} exercises, dropped {dict(flagged_evaluation)} of {DRAWN_FOR_EVALUATION}")
    size = sum(len(exercise.text.encode()) for exercise in training)
    print(f"training: {len(training)} exercises, dropped {dict(flagged_training)} of {DRAWN_FOR_TRAINING}")
    print(f"{size:,} bytes of text in {len({exercise.combination for exercise in training})} combinations")
    print(f"{TRAINING.stat().st_size:,} bytes packed, {EVALUATION.stat().st_size:,} bytes of evaluation set")


if __name__ == "__main__":
    main()
