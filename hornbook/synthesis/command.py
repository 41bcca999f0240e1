"""What the verbs `hornbook synth ...` do, apart from making the steps that a section needs before it."""

import json
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from hornbook.core.errors import HornbookError
from hornbook.services.batch_files import import_answers
from hornbook.services.llm import default_cache, open_batch
from hornbook.services.request_cache import RequestCache
from hornbook.synthesis.config import SynthesisConfig
from hornbook.synthesis.planning import Plan
from hornbook.synthesis.prompts import load_prompt
from hornbook.synthesis.synthesize import Written, synthesize
from hornbook.synthesis.writers import WRITERS
from hornbook.synthesis.writing import prompt_fields, write

CHARS_PER_TOKEN = 4


def print_plan(plan: Plan) -> None:
    """The seeds of a section as JSON lines, in the form of the plan that ships."""
    for seed in plan:
        print(json.dumps(seed.record(), ensure_ascii=False))


def print_dry_run(plan: Plan) -> None:
    """One prompt of each writer, then how much would be asked and what it may cost; nothing is asked."""
    config, rows = plan.config, []
    for name in plan.writers:
        options = plan.options(name)
        seeds = list(plan.of(name))
        first = next(write(WRITERS[name], seeds[0], config, options))[0]
        text = first.request.messages[0]["content"]
        print(f"--- {name}: prompt {first.hash}, item {seeds[0].id}\n{text}\n")
        sample = seeds[:: max(1, len(seeds) // 50)]
        prompt = load_prompt(name)
        lengths = [len(prompt.request(0, 1, **prompt_fields(s, config)).messages[0]["content"]) for s in sample]
        read = sum(lengths) / len(lengths) / CHARS_PER_TOKEN
        wrote = prompt.max_tokens
        rows.append(_costs(name, len(seeds), read, wrote, options.revise, options.votes))
    requests = sum(row[2] for row in rows)
    tokens_read, tokens_written = sum(row[3] for row in rows), sum(row[4] for row in rows)
    prices = config.teacher.prices
    money = (tokens_read * prices.prompt + tokens_written * prices.completion) / 1e6
    print(f"{'writer':<16} {'items':>9} {'requests':>9} {'tokens read':>14} {'written, at most':>17}")
    for row in [*rows, ("together", sum(row[1] for row in rows), requests, tokens_read, tokens_written)]:
        print(f"{row[0]:<16} {row[1]:>9,} {row[2]:>9,} {row[3]:>14,.0f} {row[4]:>17,.0f}")
    print(f"At most {money:,.2f} at the prices of the recipe." if money else "The recipe names no prices.")


def export_batch(plan: Plan, store: Path, folder: Path) -> Written:
    """Write the requests that have no answer yet into batch files; items whose answers are there are finished."""
    return synthesize(plan, store, lambda: open_batch(plan.config.teacher, folder))


def import_batch(files: Iterable[Path]) -> dict[str, Any]:
    """Take the answers of batch files into the request cache; how many lines of each sort there were."""
    with RequestCache(default_cache()) as cache:
        return vars(import_answers(files, cache))


def print_written(name: str, written: Written) -> None:
    """How many items there are, and why others were not accepted, by writer."""
    print(f"{name}: {written.accepted:,} accepted of {written.done:,} written, {written.planned:,} planned")
    for writer, counts in written.quality["writers"].items():
        rest = Counter({reason: count for reason, count in counts.items() if reason != "accepted"})
        why = ", ".join(f"{reason} {count:,}" for reason, count in rest.most_common(6)) or "-"
        print(f"  {writer:<16} {counts['accepted']:>6,} of {sum(counts.values()):<6,} rejected: {why}")
    for reason, count in written.unanswered.items():
        print(f"  without an answer yet: {count:,} ({reason})")
    if measures := written.quality["diversity"]:
        coverage, opening = written.quality["coverage"], measures["commonest_opening"]
        print(
            f"  diversity: distinct 3-grams {measures['distinct_3']:.2f}, runs shared {measures['shared_runs']:.1%}, "
            f"commonest opening {opening['share']:.0%} ({opening['words']!r}), "
            f"subtopics {coverage['with_items']} of {coverage['subtopics']}"
        )
    print(f"  {written.lessons}")


def section(sections: dict[str, SynthesisConfig], name: str | None) -> list[str]:
    """The names of the sections that are meant. Raises HornbookError for a recipe or a name without one."""
    if not sections:
        raise HornbookError("The recipe has no section `synthesis`.", "See recipes/synthetic-python.yaml.")
    if name is not None and name not in sections:
        raise HornbookError(f"The recipe has no synthesis.{name}.", f"It has {', '.join(sections)}.")
    return [name] if name else list(sections)


def _costs(
    name: str, items: int, read: float, wrote: float, revise: bool, votes: int
) -> tuple[str, int, int, float, float]:
    """Items, requests, tokens read and written of a writer, follow-up questions included."""
    follow = {"exercise": ("solve", votes), "reasoning": ("answer", votes), "instruction": ("fulfil", 1)}
    requests, tokens_read, tokens_written = 1.0, read, wrote
    if revise:
        critique, improve = load_prompt("critique").max_tokens, load_prompt("improve").max_tokens
        requests += 2
        tokens_read += wrote + (read + wrote + critique)
        tokens_written += critique + improve
    prompt, times = follow.get(name, ("", 0))
    if times:
        requests += times * (1 + revise)
        tokens_read += times * (1 + revise) * wrote / 2
        tokens_written += times * (1 + revise) * load_prompt(prompt).max_tokens
    return name, items, round(items * requests), items * tokens_read, items * tokens_written
