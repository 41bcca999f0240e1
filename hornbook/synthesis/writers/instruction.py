"""Instruction reversal: from code to the request that would produce it, kept when it does (phi-4 report, section 2)."""

import io
import keyword
import tokenize
from collections.abc import Generator

from hornbook.services.chat import Answer
from hornbook.synthesis.answers import blocks, is_refusal, python_code, without_preamble
from hornbook.synthesis.checks import Verdict, overlap
from hornbook.synthesis.config import SynthesisConfig
from hornbook.synthesis.seeds import Seed
from hornbook.synthesis.writing import Asked, Draft, Rejected, Writer, ask

LEAST_FIDELITY = 0.4  # names that the code and what the request brought about have in common, of all their names
SHORTEST, LONGEST = 12, 250  # words of a request


def parse(answer: Answer, seed: Seed, config: SynthesisConfig) -> Draft:
    """The request, and the code it asks for."""
    assert seed.passage is not None
    request = without_preamble(answer.text).strip()
    code = seed.passage.text.strip()
    if is_refusal(request):
        raise Rejected("the teacher refuses", request[:200])
    if answer.finish == "length":
        raise Rejected("cut off", request[-200:])
    if not SHORTEST <= len(request.split()) <= LONGEST:
        raise Rejected("too short" if len(request.split()) < SHORTEST else "too long", request[:200])
    if blocks(request) or overlap(request, code, 6) > 0.3:
        raise Rejected("the request holds the code", request[:200])
    return Draft(f"{request}\n\n```python\n{code}\n```\n", facts={"request": request, "code": code})


def follow(draft: Draft, seed: Seed, config: SynthesisConfig) -> Generator[list[Asked], list[Answer], Draft]:
    """Have the request fulfilled by somebody who has not seen the code."""
    [answer] = yield [ask("fulfil", config, request=draft.facts["request"])]
    return Draft(draft.text, facts={**draft.facts, "fulfilled": python_code(answer.text)})


def check(draft: Draft, seed: Seed, config: SynthesisConfig) -> Verdict:
    """What the request brought about shares its names with the code."""
    one, other = _names(draft.facts["code"]), _names(draft.facts["fulfilled"])
    fidelity = len(one & other) / len(one | other) if one | other else 0.0
    if fidelity < LEAST_FIDELITY:
        return Verdict("the request brings about other code", f"{fidelity:.2f} of the names in common")
    return Verdict("", evidence={"fidelity": round(fidelity, 2)})


def _names(code: str) -> set[str]:
    """Identifiers, without keywords."""
    names = set()
    try:
        for token in tokenize.generate_tokens(io.StringIO(code).readline):
            if token.type == tokenize.NAME and not keyword.iskeyword(token.string):
                names.add(token.string)
    except (tokenize.TokenError, SyntaxError, IndentationError):
        pass  # a passage may begin or end inside a statement: what was read counts
    return names


INSTRUCTION = Writer("instruction", frozenset({"passage", "format"}), parse, check, follow)
