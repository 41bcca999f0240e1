"""Lessons in Markdown with snippets that run: sections, examples, mistakes, dialogues, problem sets, rewrites."""

import re
from collections.abc import Callable

from hornbook.services.chat import Answer
from hornbook.synthesis.answers import (
    is_refusal,
    parses,
    python_blocks,
    repeats_itself,
    without_preamble,
)
from hornbook.synthesis.checks import Verdict, check_snippets, overlap
from hornbook.synthesis.config import SynthesisConfig
from hornbook.synthesis.programs import session
from hornbook.synthesis.seeds import Seed
from hornbook.synthesis.writing import Draft, Rejected, Writer

SHORTEST = 60  # words of a lesson
_TURN = re.compile(r"^\W*(teacher|student)\W*:", re.I | re.M)
_PROBLEM = re.compile(
    r"^\s*(?:\W*(?:problem|exercise|question|task|puzzle|case|example)\W*|[#*]+\s*)\d+\b", re.I | re.M
)
_SOLUTION = re.compile(r"^\W*(?:worked )?(?:solution|answer)\b", re.I | re.M)
_IDENTIFIER = re.compile(r"[A-Za-z_]\w{3,}")

Shape = Callable[[str, Seed], None]


def lesson(shape: Shape | None = None) -> Callable[[Answer, Seed, SynthesisConfig], Draft]:
    """A parser of lessons; `shape` raises Rejected when the text lacks what its kind must have."""

    def parse(answer: Answer, seed: Seed, config: SynthesisConfig) -> Draft:
        text = without_preamble(answer.text)
        if is_refusal(text):
            raise Rejected("the teacher refuses", text[:200])
        if answer.finish == "length":
            raise Rejected("cut off", text[-200:])
        if len(text.split()) < SHORTEST:
            raise Rejected("too short", text)
        if repeats_itself(text):
            raise Rejected("repeats itself", text[-200:])
        if shape:
            shape(text, seed)
        if not config.code:
            return Draft(text)
        parts = tuple(python_blocks(text))
        if not parts:
            raise Rejected("no code", text[:200])
        for part in parts:
            if not parses(session(part)):
                raise Rejected("code does not parse", part[:200])
        return Draft(text, parts=parts)

    return parse


def check(draft: Draft, seed: Seed, config: SynthesisConfig) -> Verdict:
    """The snippets run, and at least one assert or example holds; prose alone was looked at when it was read."""
    return check_snippets(draft.parts) if config.code else Verdict("", evidence={"words": len(draft.text.split())})


def _dialogue(text: str, seed: Seed) -> None:
    turns = [turn.lower() for turn in _TURN.findall(text)]
    if len(turns) < 4 or set(turns) != {"teacher", "student"}:
        raise Rejected("no dialogue", f"{len(turns)} turns")


def _problem_set(text: str, seed: Seed) -> None:
    """Two problems at least, solved in words or in code."""
    problems, solutions = len(_PROBLEM.findall(text)), len(_SOLUTION.findall(text)) + len(python_blocks(text))
    if problems < 2 or solutions < 2:
        raise Rejected("no problem set", f"{problems} problems, {solutions} solutions")


def _rewrite(text: str, seed: Seed) -> None:
    """In own words, and about the same thing."""
    assert seed.passage is not None
    if overlap(text, seed.passage.text) > 0.5:
        raise Rejected("copies its passage")
    known = {word.lower() for word in _IDENTIFIER.findall(seed.passage.text)}
    shared = known & {word.lower() for word in _IDENTIFIER.findall(text)}
    if len(shared) < min(5, len(known)):
        raise Rejected("not about its passage", f"{len(shared)} words in common")


_ABOUT_A_TOPIC = frozenset({"topic", "audience", "level", "format", "words"})
LESSONS = (
    Writer("section", _ABOUT_A_TOPIC, lesson(), check),
    Writer("worked-example", _ABOUT_A_TOPIC, lesson(), check),
    Writer("common-mistakes", _ABOUT_A_TOPIC, lesson(), check),
    Writer("dialogue", _ABOUT_A_TOPIC, lesson(_dialogue), check),
    Writer("problem-set", _ABOUT_A_TOPIC, lesson(_problem_set), check),
    Writer("rewrite", frozenset({"passage", "audience", "level", "format"}), lesson(_rewrite), check),
)
