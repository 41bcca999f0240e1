"""Labelling: a teacher reads every passage of a sample and judges it by a rubric, some of them twice.

What was answered lies in the request cache, by its content. So this step may be killed, forgotten and repeated, and
pays for nothing twice; it is only ever finished when every passage has its answer or a reason that will not change.
"""

import asyncio
import hashlib
import json
from collections import Counter
from collections.abc import Iterator
from contextlib import aclosing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from hornbook.core.documents import atomic_write
from hornbook.core.errors import HornbookError
from hornbook.curation.annotation import LABELS, MIN_LABELS, RANGES
from hornbook.curation.config_labelling import LabellingConfig
from hornbook.curation.self_agreement import self_agreement
from hornbook.services.chat import Answer, Request
from hornbook.services.llm import open_teacher
from hornbook.synthesis.prompts import Prompt, load_prompt

PROMPTS = Path(__file__).parent / "prompts"
RUBRICS = Path(__file__).parent / "rubrics"
AGREEMENT = "agreement.json"
_MOST_GIVEN_UP = 0.05  # of the questions; more, and the teacher was away rather than at a loss


def rubric_file(name: str) -> Path:
    """The file of a rubric: `code`, `prose`, or a path."""
    known = sorted(path.stem for path in RUBRICS.glob("*.md"))
    path = RUBRICS / f"{name}.md" if name in known else Path(name).expanduser()
    try:
        empty = not path.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise HornbookError(
            f"Cannot read the rubric {name}: {error}.", f"Give a text file, or one of {', '.join(known)}."
        ) from error
    if empty:
        raise HornbookError(f"The rubric {name} is empty.", "Say in it what edu, self and level mean.")
    return path


def grading_prompt() -> Prompt:
    """The prompt that puts rubric and passage together."""
    return load_prompt("grade", PROMPTS)


def label_step(inputs: dict[str, Path], out: Path, config: LabellingConfig) -> dict[str, Any]:
    """Have the passages of `sample` labelled by `rubric`; write labels.jsonl and agreement.json.

    Raises HornbookError when the budget ends or the teacher falls silent before all is asked, and when too few
    labels are usable: it says how many failed for which reason.
    """
    rubric = inputs["rubric"].read_text(encoding="utf-8").strip()
    sample = pq.read_table(inputs["sample"] / "sample.parquet").to_pylist()
    answers, counters = asyncio.run(_ask(sample, rubric, config))
    failed = Counter(str(answer.failure) for answer in answers.values() if answer.failure)
    counters["failed"] = dict(sorted(failed.items()))
    by_passage = [[answers[tag] for tag in _tags(row, sample, config)] for row in range(len(sample))]
    usable = [[answer.parsed for answer in asked if not answer.failure] for asked in by_passage]
    _complain(failed, sum(map(bool, usable)), len(answers))

    about = {"rubric": _hash(rubric), "prompt": grading_prompt().hash, "asked": config.teacher.model or "embedded"}
    labels = [
        _label(passage, asked, about)
        for passage, asked, values in zip(sample, by_passage, usable, strict=True)
        if values
    ]
    atomic_write(out / LABELS, "".join(json.dumps(label, ensure_ascii=False) + "\n" for label in labels))
    agreement = self_agreement([(values[0], values[1]) for values in usable if len(values) > 1], RANGES)
    atomic_write(out / AGREEMENT, json.dumps(agreement, indent=1))
    return {"rows_in": len(sample), "rows_out": len(labels), **counters, "agreement": agreement}


async def _ask(
    sample: list[dict[str, Any]], rubric: str, config: LabellingConfig
) -> tuple[dict[str, Answer], dict[str, Any]]:
    """The answers by tag, and what they cost."""
    prompt = grading_prompt()

    def requests() -> Iterator[Request]:
        for row, passage in enumerate(sample):
            for repeat, tag in enumerate(_tags(row, sample, config)):
                fields = {"rubric": rubric, "passage": passage["text"]}
                yield replace(prompt.request(config.temperature, config.top_p, repeat, **fields), tag=tag)

    total = sum(len(_tags(row, sample, config)) for row in range(len(sample)))
    answers: dict[str, Answer] = {}
    async with (
        open_teacher(config.teacher) as teacher,
        aclosing(teacher.answers(requests(), total=total, label="labels")) as coming,
    ):
        async for answer in coming:
            answers[answer.request.tag] = answer
    budget = teacher.budget
    return answers, {
        "asked": total,
        "repaired": teacher.counts.repaired,
        "tokens": budget.tokens,
        "paid_requests": budget.paid_requests,  # in this run; the others were paid in an earlier one
        "models": dict(teacher.counts.models),
    }


def _tags(row: int, sample: list[dict[str, Any]], config: LabellingConfig) -> list[str]:
    """The sample is in random order, so that its beginning is as good a part of it as any to be asked twice."""
    twice = row < max(round(config.twice * len(sample)), config.at_least_twice)
    return [f"{row}:{repeat}" for repeat in range(1 + twice)]


def _label(passage: dict[str, Any], asked: list[Answer], about: dict[str, str]) -> dict[str, Any]:
    """One line: the passage, the mean of the usable answers, and where they came from."""
    good = [answer for answer in asked if not answer.failure]
    values = {target: sum(answer.parsed[target] for answer in good) / len(good) for target in RANGES}
    return {
        **{name: passage[name] for name in ("id", "text", "source", "kind", "license")},
        "path": passage["origin"],
        **values,
        "because": good[0].parsed["because"],
        "answers": [{target: answer.parsed[target] for target in RANGES} for answer in good],
        **about,
        "teacher": good[0].model,
        "date": max(answer.answered for answer in good),
        "requests": [answer.request_id for answer in good],
    }


def _complain(failed: Counter[str], usable: int, asked: int) -> None:
    given_up = failed["gave up"] > _MOST_GIVEN_UP * asked
    later = {reason: failed[reason] for reason in ("budget", *["gave up"] * given_up) if failed[reason]}
    if later:
        remedies = {"budget": "a larger --budget or fewer --labels", "gave up": "a teacher that answers"}
        remedy = " and ".join(remedies[reason] for reason in later)
        raise HornbookError(
            f"{sum(later.values())} of {asked} questions have no answer yet ({_listed(later)}).",
            f"Run the same command with {remedy}; what was answered is kept and not paid again.",
        )
    if usable < MIN_LABELS:
        raise HornbookError(
            f"Only {usable} labels are usable; a classifier needs {MIN_LABELS}. Failed answers: {_listed(failed)}.",
            "Take a teacher that keeps to a JSON schema, or raise --labels.",
        )


def _listed(counts: dict[str, int]) -> str:
    return ", ".join(f"{reason} {count}" for reason, count in sorted(counts.items())) or "none"


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]
