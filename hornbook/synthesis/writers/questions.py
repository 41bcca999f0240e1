"""Questions and answers from a passage; a quote that is really in it stands behind each answer."""

from typing import Any

from hornbook.services.chat import Answer
from hornbook.synthesis.checks import Verdict
from hornbook.synthesis.config import SynthesisConfig
from hornbook.synthesis.seeds import Seed
from hornbook.synthesis.writing import Draft, Rejected, Writer

LEAST_PAIRS, SHORTEST_QUOTE, SHORTEST_ANSWER = 2, 12, 4  # pairs; characters; words


def parse(answer: Answer, seed: Seed, config: SynthesisConfig) -> Draft:
    """The pairs whose quote is in the passage; the others are dropped."""
    assert seed.passage is not None
    pairs = answer.parsed["pairs"] if isinstance(answer.parsed, dict) else []
    passage = _plain(seed.passage.text)
    good = [pair for pair in pairs if _sound(pair, passage)]
    if len(good) < LEAST_PAIRS:
        raise Rejected("quotes are not in the passage", f"{len(good)} of {len(pairs)} pairs are sound")
    text = seed.passage.text.strip()
    fence = "```python\n" if seed.passage.kind == "code" else ""
    shown = f"{fence}{text}\n```" if fence else text
    asked = [f"**Question.** {pair['question'].strip()}\n\n**Answer.** {pair['answer'].strip()}" for pair in good]
    quotes = [pair["quote"].strip() for pair in good]
    return Draft("\n\n".join([shown, *asked]) + "\n", facts={"quotes": quotes, "dropped": len(pairs) - len(good)})


def check(draft: Draft, seed: Seed, config: SynthesisConfig) -> Verdict:
    """No question is asked twice."""
    questions = [line for line in draft.text.splitlines() if line.startswith("**Question.**")]
    if len(set(questions)) < len(questions):
        return Verdict("a question is asked twice")
    return Verdict("", evidence={"quotes": len(draft.facts["quotes"]), "dropped": draft.facts["dropped"]})


def _sound(pair: Any, passage: str) -> bool:
    question, answer, quote = (pair[name].strip() for name in ("question", "answer", "quote"))
    enough = question.endswith("?") and len(answer.split()) >= SHORTEST_ANSWER and len(_plain(quote)) >= SHORTEST_QUOTE
    return enough and _plain(quote) in passage and _plain(answer) != _plain(question)


def _plain(text: str) -> str:
    return " ".join(text.lower().split())


QUESTIONS = Writer("questions", frozenset({"passage", "audience", "level"}), parse, check)
