"""Verdicts on drafts: code is run before it is believed, prose is looked at.

A check returns what was found: the reason why a draft is not taken ("" when it is) and the evidence.
"""

import ast
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from hornbook.services.sandbox import Limits, Outcome, run_together
from hornbook.synthesis.programs import against_trivial, session, with_checks

LIMITS = Limits(seconds=5.0, cpu_seconds=5)
LEAST_CHECKS = 2  # asserts or doctests of an exercise that must hold
_WORD = re.compile(r"\w+")


@dataclass(frozen=True)
class Verdict:
    """Whether a draft is taken: `reason` is "" if so, a short phrase to count by, and `detail` says more."""

    reason: str
    detail: str = ""
    evidence: dict[str, Any] = field(default_factory=dict)


def check_exercise(code: str, tests: str, rivals: Sequence[str] = ()) -> Verdict:
    """The solution passes its tests, no trivial one does, and most of the `rivals` (other solutions) do, too."""
    names = tested_names(code, tests)
    programs = [with_checks([code], tests), against_trivial(code, tests, names)]
    outcome, trivial, *others = run_together([*programs, *(with_checks([rival], tests) for rival in rivals)], LIMITS)
    if not outcome.passed:
        return _failed(outcome)
    if outcome.checks < LEAST_CHECKS:
        return Verdict("nothing was tested", f"{outcome.checks} checks ran")
    if not trivial.passed:
        return Verdict("tests let a trivial solution through", _last_line(trivial))
    agree = 1 + sum(other.passed for other in others)
    evidence: dict[str, Any] = {"checks": outcome.checks}
    if rivals:
        evidence["votes"] = f"{agree} of {1 + len(others)}"
    if 2 * agree <= 1 + len(others):
        return Verdict("other solutions fail the tests", evidence["votes"])
    return Verdict("", evidence=evidence)


def check_snippets(parts: Sequence[str], least_checks: int = 1) -> Verdict:
    """The snippets of a lesson run one after the other to the end, and at least so many asserts or examples hold."""
    program = with_checks([session(part) for part in parts])
    [outcome] = run_together([program], LIMITS)
    if not outcome.passed:
        return _failed(outcome)
    if outcome.checks < least_checks:
        return Verdict("code shows nothing", f"{outcome.checks} asserts or examples held")
    return Verdict("", evidence={"checks": outcome.checks})


def check_printed(code: str, answer: str) -> Verdict:
    """What the code prints last is the answer, up to spelling."""
    [outcome] = run_together([code], LIMITS)
    if not outcome.passed:
        return _failed(outcome)
    printed = outcome.output.strip().splitlines()[-1:] or [""]
    if not same_answer(printed[0], answer):
        return Verdict("answer is not what the code prints", f"{answer[:80]!r}, printed {printed[0][:80]!r}")
    return Verdict("", evidence={"printed": printed[0][:80]})


def same_answer(one: str, other: str) -> bool:
    """Equal numbers, whatever their units and spelling, or equal words."""
    numbers = [re.findall(r"-?\d+(?:\.\d+)?", text.replace(",", "")) for text in (one, other)]
    if len(numbers[0]) == 1 and len(numbers[1]) == 1:
        return abs(float(numbers[0][0]) - float(numbers[1][0])) <= 1e-6 * max(1.0, abs(float(numbers[0][0])))
    return bool(_words(one)) and _words(one) == _words(other)


def tested_names(code: str, tests: str) -> list[str]:
    """Functions and classes of `code` that the tests, or its doctests, speak of."""
    said = set(_WORD.findall(tests)) | set(re.findall(r"\w+", " ".join(re.findall(r">>>.*", code))))
    tree = ast.parse(code)
    return [node.name for node in tree.body if isinstance(node, ast.FunctionDef | ast.ClassDef) and node.name in said]


def overlap(text: str, other: str, words: int = 8) -> float:
    """The share of the runs of so many words of `text` that `other` has, too."""
    runs, known = (_runs(part, words) for part in (text, other))
    return len(runs & known) / len(runs) if runs else 0.0


def _runs(text: str, words: int) -> set[tuple[str, ...]]:
    tokens = _words(text)
    return {tuple(tokens[i : i + words]) for i in range(len(tokens) - words + 1)}


def _words(text: str) -> list[str]:
    return _WORD.findall(text.lower())


def _failed(outcome: Outcome) -> Verdict:
    """Asserts, doctests and errors of the code apart, because they have different remedies."""
    detail = _last_line(outcome)
    if outcome.reason == "AssertionError":
        reason = "an example is wrong" if "the example " in detail else "a test fails"
    elif outcome.reason in ("time", "memory", "disk", "processes", "exit", "signal"):
        reason = f"code was stopped: {outcome.reason}"
    else:
        reason = f"code raises {outcome.reason}"
    return Verdict(reason, detail)


def _last_line(outcome: Outcome) -> str:
    return (outcome.output.strip().splitlines()[-1:] or [""])[0][:300]
