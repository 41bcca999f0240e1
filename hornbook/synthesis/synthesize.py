"""Write the lessons of one section: ask for what is not there yet, then put all that was accepted into one file."""

import asyncio
import json
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from typing import Any

from hornbook.core.documents import atomic_write
from hornbook.core.errors import HornbookError
from hornbook.core.progress import Progress
from hornbook.core.step import source_hash, step_name
from hornbook.services import sandbox
from hornbook.services.asking import Asker
from hornbook.services.llm import open_teacher
from hornbook.synthesis.config import SynthesisConfig
from hornbook.synthesis.conversing import converse
from hornbook.synthesis.diversity import coverage, diversity
from hornbook.synthesis.journal import Journal
from hornbook.synthesis.planning import Plan
from hornbook.synthesis.prompts import load_prompt
from hornbook.synthesis.seeds import Seed
from hornbook.synthesis.topics import leaves
from hornbook.synthesis.writers import WRITERS
from hornbook.synthesis.writers.exercise import TESTS_MARK

LESSONS, QUALITY, JOURNAL = "lessons.jsonl", "quality.json", "journal.jsonl"
OpenTeacher = Callable[[], AbstractAsyncContextManager[Asker]]


@dataclass(frozen=True)
class Written:
    """What there is of a section: `lessons` is the file, `quality` the content of quality.json."""

    lessons: Path
    planned: int
    done: int
    accepted: int
    reasons: dict[str, int]
    unanswered: dict[str, int]
    quality: dict[str, Any]


def synthesis_step(inputs: dict[str, Path], out: Path, config: SynthesisConfig) -> dict[str, Any]:
    """Write all lessons of a section; its journal is in `synthesis/<name>` of the run and outlives a kill.

    Writes lessons.jsonl and quality.json. Raises HornbookError when items are left without an answer (the budget,
    a batch that is not back), and when none is accepted.
    """
    name = step_name(out).removeprefix("synthesis.")
    plan = Plan(name, config, inputs.get("documents"))
    written = synthesize(plan, out.parent.parent / "synthesis" / name)
    require_whole(name, written)
    for file in (LESSONS, QUALITY):
        atomic_write(out / file, (written.lessons.parent / file).read_bytes())
    counters = {"rows_in": written.planned, "rows_out": written.accepted, "dropped": written.reasons}
    return counters | {"quality": written.quality}


def require_whole(name: str, written: Written) -> None:
    """Raises HornbookError unless every item is done and some were accepted."""
    if written.done < written.planned:
        why = ", ".join(f"{count:,} {reason}" for reason, count in written.unanswered.items()) or "stopped early"
        left = written.planned - written.done
        raise HornbookError(
            f"synthesis.{name}: {left:,} of {written.planned:,} items have no answer ({why}).",
            "Raise the budget, import the batch, or run the same command again; what was answered is kept.",
        )
    if not written.accepted:
        why = ", ".join(f"{reason} {count:,}" for reason, count in sorted(written.reasons.items(), key=_by_count)[:3])
        raise HornbookError(
            f"synthesis.{name}: none of {written.planned:,} items was accepted ({why}).",
            f"Read the answers in {written.lessons.parent / JOURNAL}, and use a stronger teacher.",
        )


def synthesize(plan: Plan, store: Path, open_with: OpenTeacher | None = None, minutes: float | None = None) -> Written:
    """Write what the journal in `store` lacks, then lessons.jsonl and quality.json there.

    `open_with` opens another teacher than the section's own. After so many minutes no new item is begun.
    """
    sandbox.require()
    fingerprints = Fingerprints(plan)
    label, total = f"synthesis: {plan.name}", len(plan)
    with Journal(store / JOURNAL) as journal:
        reasons = Counter(entry["reason"] for entry in journal.entries(fingerprints.of_all()))
        done = reasons.total()
        unanswered: Counter[str] = Counter()
        spent: dict[str, Any] = {}
        if done < total:
            print(f"  {sandbox.describe()}", file=sys.stderr, flush=True)
            with Progress(label, total) as bar:
                bar.advance(done)

                def finished(record: dict[str, Any]) -> None:
                    journal.add({"fingerprint": fingerprints.by_id[record["id"]], **record})
                    reasons[record["reason"]] += 1
                    bar.advance(1, _tally(reasons))

                async def run() -> None:
                    opened = open_with or (lambda: open_teacher(plan.config.teacher))
                    deadline = None if minutes is None else time.monotonic() + 60 * minutes
                    async with opened() as teacher:
                        todo = _not_done(plan, journal, fingerprints)
                        unanswered.update(await converse(todo, teacher, plan.config, plan.options, finished, deadline))
                        budget = teacher.budget
                        spent.update(requests=budget.paid_requests, tokens=sum(vars(budget.paid_usage).values()))
                        spent.update(money=round(budget.paid_money, 4), seconds=round(time.monotonic() - started, 1))

                started = time.monotonic()
                asyncio.run(run())
        return _publish(plan, store, journal, fingerprints, unanswered, spent)


class Fingerprints:
    """The fingerprint of every item of a plan: all that bears on what becomes of it."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.by_id: dict[str, str] = {}
        config = plan.config.model_dump(mode="json", include={"teacher", "temperature", "top_p", "code"})
        self._shared = json.dumps([config, source_hash(synthesis_step)], sort_keys=True)
        self._of_writer = {name: self._writer(name) for name in plan.writers}

    def of_all(self) -> dict[str, str]:
        """Fingerprints by id, in the order of the plan."""
        for seed in self.plan:
            self.of(seed)
        return self.by_id

    def of(self, seed: Seed) -> str:
        """The fingerprint of one item."""
        if (known := self.by_id.get(seed.id)) is None:
            about = json.dumps([seed.record(), seed.passage.text if seed.passage else ""], sort_keys=True)
            known = blake2b((self._of_writer[seed.writer] + about).encode(), digest_size=16).hexdigest()
            self.by_id[seed.id] = known
        return known

    def _writer(self, name: str) -> str:
        options = self.plan.options(name)
        hashes = [load_prompt(prompt).hash for prompt in WRITERS[name].prompts(options)]
        return json.dumps([self._shared, hashes, options.revise, options.votes])


def _not_done(plan: Plan, journal: Journal, fingerprints: Fingerprints) -> Iterator[Seed]:
    """The seeds that are left, one of each writer in turn, so that a short run shows something of all."""
    queues = [iter(plan.of(writer)) for writer in plan.writers]
    while queues:
        for queue in list(queues):
            seed = next((seed for seed in queue if not journal.knows(seed.id, fingerprints.of(seed))), None)
            if seed is None:
                queues.remove(queue)
            else:
                yield seed


def _publish(
    plan: Plan,
    store: Path,
    journal: Journal,
    fingerprints: Fingerprints,
    unanswered: Counter[str],
    spent: dict[str, Any],
) -> Written:
    topics: list[tuple[str, str]] = []
    by_writer: dict[str, Counter[str]] = {}
    temporary = store / f".{LESSONS}.tmp"
    with open(temporary, "w", encoding="utf-8") as file:
        for entry in journal.entries(fingerprints.of_all()):
            by_writer.setdefault(entry["writer"], Counter())[entry["reason"]] += 1
            if not entry["reason"]:
                item = as_lesson(entry)
                file.write(json.dumps(item, ensure_ascii=False) + "\n")
                topics.append((item.get("topic", ""), item.get("subtopic", "")))
    temporary.replace(store / LESSONS)
    reasons = sum(by_writer.values(), Counter())
    done, accepted = reasons.total(), reasons.pop("", 0)
    quality: dict[str, Any] = {
        "planned": len(plan),
        "done": done,
        "accepted": accepted,
        "rejected": dict(sorted(reasons.items(), key=_by_count)),
        "writers": {name: dict(sorted(counts.items(), key=_by_count)) for name, counts in by_writer.items()},
        "unanswered": dict(unanswered),
        "spent": spent,
        "diversity": diversity(_texts(store / LESSONS)),
        "coverage": coverage(leaves(plan.tree), topics),
    }
    for counts in quality["writers"].values():
        counts["accepted"] = counts.pop("", 0)
    atomic_write(store / QUALITY, json.dumps(quality, indent=1, ensure_ascii=False))
    return Written(store / LESSONS, len(plan), done, accepted, quality["rejected"], dict(unanswered), quality)


def _texts(lessons: Path) -> Iterator[str]:
    with open(lessons, encoding="utf-8") as file:
        for line in file:
            yield json.loads(line)["text"]


def as_lesson(entry: dict[str, Any]) -> dict[str, Any]:
    """An accepted item of the journal in the form of the textbook that ships, with its provenance."""
    text = entry["text"] if entry["writer"] != "exercise" else entry["text"] + TESTS_MARK + entry["tests"] + "\n"
    seed = {name: value for name, value in entry["seed"].items() if name != "tests"}
    lesson = {**seed, "text": text}
    if entry["tests"] and entry["writer"] != "exercise":
        lesson["program"] = entry["tests"]
    kept = {name: entry[name] for name in ("source", "evidence", "requests") if name in entry}
    return lesson | kept


def _tally(reasons: Counter[str]) -> str:
    most = sorted(((reason, count) for reason, count in reasons.items() if reason), key=_by_count)[:3]
    return ", ".join([f"{reasons['']} accepted", *(f"{reason} {count}" for reason, count in most)])


def _by_count(item: tuple[str, int]) -> tuple[int, str]:
    return -item[1], item[0]
