"""Problems solved step by step, to one short answer that a program or a majority confirms (phi-4 report, section 2)."""

import re
from collections.abc import Generator

from hornbook.services.chat import Answer
from hornbook.synthesis.answers import parses, python_blocks, repeats_itself, without_preamble
from hornbook.synthesis.checks import Verdict, check_printed, same_answer
from hornbook.synthesis.config import SynthesisConfig
from hornbook.synthesis.seeds import Seed
from hornbook.synthesis.writing import Asked, Draft, Rejected, Writer, ask

_PARTS = re.compile(r"problem\W*:?\W*(?P<problem>.+?)(?P<steps>^\W*step\W*1\b.+)", re.I | re.S | re.M)
_ANSWER = re.compile(r"^[\W_]*(?:final )?answer[\W_]*:?[ \t*_]*(.+?)[ \t*_]*$", re.I | re.M)


def parse(answer: Answer, seed: Seed, config: SynthesisConfig) -> Draft:
    """Problem, steps and answer are the text; the program is kept as its test."""
    text = without_preamble(answer.text)
    programs = python_blocks(text)
    prose = re.split(r"^[ \t]*(?:```|~~~)", text, maxsplit=1, flags=re.M)[0] if programs else text
    parts = _PARTS.search(prose)
    if parts is None or len(re.findall(r"^\W*step\b", prose, re.I | re.M)) < 2:
        raise Rejected("no steps", text[:200])
    found = final_answer(prose)
    if not found:
        raise Rejected("no answer", text[-200:])
    if found.lower() == "the short answer alone":
        raise Rejected("copies the example of the prompt", text[:200])
    if repeats_itself(prose):
        raise Rejected("repeats itself", text[-200:])
    if config.code and not programs:
        raise Rejected("no code", text[-200:])
    program = "\n".join(programs) if config.code else ""
    if program and not parses(program):
        raise Rejected("code does not parse", program[:200])
    lesson = f"Problem: {parts['problem'].strip()}\n\n{parts['steps'].strip()}\n"
    return Draft(lesson, program, facts={"answer": found, "problem": parts["problem"].strip()})


def final_answer(text: str) -> str:
    """What stands behind the last `Answer:`."""
    return (_ANSWER.findall(text) or [""])[-1].strip().rstrip(".")


def follow(draft: Draft, seed: Seed, config: SynthesisConfig) -> Generator[list[Asked], list[Answer], Draft]:
    """Ask others for their answer to the problem."""
    options = config.writers.get("reasoning")
    if options is None or not options.votes:
        return draft
    problem = draft.facts["problem"]
    answers = yield [ask("answer", config, repeat, problem=problem) for repeat in range(options.votes)]
    votes = tuple(final_answer(answer.text) for answer in answers)
    return Draft(draft.text, draft.tests, facts={**draft.facts, "votes": votes})


def check(draft: Draft, seed: Seed, config: SynthesisConfig) -> Verdict:
    """The program prints the answer, and most votes agree with it. Without either it is taken, and says so."""
    answer, votes = draft.facts["answer"], draft.facts.get("votes", ())
    evidence: dict[str, object] = {"answer": answer}
    if votes:
        agree = 1 + sum(same_answer(vote, answer) for vote in votes)
        evidence["votes"] = f"{agree} of {1 + len(votes)}"
        if 2 * agree <= 1 + len(votes):
            return Verdict("other answers disagree", f"{answer!r}: {evidence['votes']}")
    if not draft.tests:
        return Verdict("", evidence=evidence if votes else {**evidence, "unverified": True})
    printed = check_printed(draft.tests, answer)
    return Verdict(printed.reason, printed.detail, evidence | printed.evidence)


REASONING = Writer("reasoning", frozenset({"topic", "audience", "level", "format", "words"}), parse, check, follow)
