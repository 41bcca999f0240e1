"""Every writer: a good answer becomes an item with evidence, a bad one is rejected with its reason."""

import json

import pytest

from hornbook.corpus.builtin import COLLECTIONS
from hornbook.services.chat import Answer, Request
from hornbook.synthesis.config import SynthesisConfig
from hornbook.synthesis.prompts import load_prompt
from hornbook.synthesis.seeds import Passage, Seed, shipped_plan
from hornbook.synthesis.writers import WRITERS
from hornbook.synthesis.writing import Draft, Rejected, prompt_fields, write
from tests.synthesis.canned import EXERCISE, LESSON, REASONING, reply

CODE = '''def count_words(text: str) -> dict[str, int]:
    """How often each word occurs."""
    counts: dict[str, int] = {}
    for word in text.lower().split():
        counts[word] = counts.get(word, 0) + 1
    return counts
'''
PASSAGE = Passage("ab" * 16, CODE, "stdlib", "PSF")


def config(**options) -> SynthesisConfig:
    return SynthesisConfig(writers={name: {"items": 1, **options} for name in WRITERS})


def seed(writer: str) -> Seed:
    reads = "passage" in WRITERS[writer].needs
    return Seed(
        "id",
        writer,
        *(("", "") if reads else ("lists", "flattening")),
        2,
        "a child of ten",
        "Begin with a case.",
        ("kite", "raft"),
        "flatten_kite" if writer == "exercise" else "",
        3,
        PASSAGE if reads else None,
    )


def answer(text: str, **fields) -> Answer:
    parsed = json.loads(text) if text.startswith("{") else None
    return Answer(Request(()), "k" * 64, text, parsed, **{"finish": "stop", **fields})


def item(writer: str, respond=reply, **options) -> tuple[list[Draft], list[str]]:
    """The drafts of a writer whose teacher is `respond`, and the prompts that it was asked with."""
    settings = config(**options)
    conversation = write(WRITERS[writer], seed(writer), settings, settings.writers[writer])
    asked, names = next(conversation), []
    while True:
        names += [request.prompt for request in asked]
        try:
            asked = conversation.send([answer(respond(one.request.messages[0]["content"])) for one in asked])
        except StopIteration as end:
            return end.value, names


@pytest.mark.parametrize("writer", WRITERS)
def test_the_answer_of_a_good_teacher_is_taken_with_evidence(writer):
    drafts, prompts = item(writer)
    verdict = WRITERS[writer].check(drafts[0], seed(writer), config())
    assert verdict.reason == "" and verdict.evidence, verdict
    assert prompts == (["instruction", "fulfil"] if writer == "instruction" else [writer])
    assert "Sure" not in drafts[0].text


@pytest.mark.parametrize("writer", WRITERS)
@pytest.mark.parametrize(
    "text", ["", "I'm sorry, I cannot help with that.", "def def def", "yes " * 300, "```python\n"]
)
def test_rubbish_is_rejected_by_every_writer(writer, text):
    with pytest.raises(Rejected):
        WRITERS[writer].parse(answer(text), seed(writer), config())


@pytest.mark.parametrize("writer", ["section", "exercise"])
def test_a_draft_is_criticised_and_rewritten_and_both_are_candidates(writer):
    drafts, prompts = item(writer, revise=True)
    assert prompts == [writer, "critique", "improve"] and len(drafts) == 2
    again, prompts = item(writer, lambda said: "No faults." if "strict editor" in said else reply(said), revise=True)
    assert prompts == [writer, "critique"] and len(again) == 1
    spoilt, _ = item(writer, lambda said: "no" if "An editor" in said else reply(said), revise=True)
    assert [draft.text for draft in spoilt] == [draft.text for draft in again]


def test_votes_see_the_signature_and_not_the_tests():
    seen = []

    def respond(said: str) -> str:
        seen.append(said)
        return reply(said)

    [draft], prompts = item("exercise", respond, votes=2)
    assert prompts == ["exercise", "solve", "solve"] and len(draft.facts["rivals"]) == 2
    assert "def flatten_kite" in seen[1] and "return sum" not in seen[1] and "assert" not in seen[1]
    assert WRITERS["exercise"].check(draft, seed("exercise"), config()).evidence["votes"] == "3 of 3"


PROMPT_FIELDS = prompt_fields(Seed("id", "exercise"), SynthesisConfig(writers={"exercise": 1}))
BODY = "return sum(value for value in values if value % 2 == 0)"
UNDOCUMENTED = f"def f(values):\n    {BODY}\n"
UNFOUND = json.dumps(
    {"pairs": [{"question": "Why?", "answer": "It is so, I say.", "quote": "nowhere to be found"}] * 2}
)
EXERCISE_TEXT = EXERCISE.format(name="f", word="kite")


@pytest.mark.parametrize(
    ("writer", "text", "reason"),
    [
        ("exercise", f"{UNDOCUMENTED}\nassert f([]) == 0\nassert f([2]) == 2", "no docstring"),
        ("exercise", EXERCISE_TEXT.split("```python\nassert")[0].replace(">>> f([1, 2, 4])\n    6", ""), "no test"),
        ("exercise", EXERCISE_TEXT.replace(BODY, "pass"), "no solution"),
        ("exercise", "```python\nprint('hello')\n```", "no function"),
        ("exercise", load_prompt("exercise").template.render(PROMPT_FIELDS), "copies the example"),
        ("exercise", EXERCISE_TEXT.replace("Return the", "What the function returns, in a sentence or two."), "copies"),
        ("reasoning", load_prompt("reasoning").template.render(PROMPT_FIELDS), "copies the example|no steps"),
        ("section", LESSON.replace("```python", "```text"), "no code"),
        ("section", LESSON.replace("def left(taken):", "def left(taken:"), "does not parse"),
        ("section", "# Short\n\n```python\nassert True\n```", "too short"),
        ("dialogue", LESSON, "no dialogue"),
        ("problem-set", LESSON, "no problem set"),
        ("reasoning", REASONING.replace("Answer: 7", ""), "no answer"),
        ("reasoning", REASONING.replace("Step", "Then"), "no steps"),
        ("rewrite", "# Words\n\n" + f"```python\n{CODE}```\n\n" * 3, r"copies|repeats"),
        ("rewrite", LESSON, "not about its passage"),
        ("questions", UNFOUND, "quotes"),
        ("instruction", f"Write this:\n```python\n{CODE}```\n" + "please " * 12, "holds the code"),
        ("instruction", "Count words.", "too short"),
    ],
)  # fmt: skip
def test_an_answer_that_lacks_something_is_rejected_for_it(writer, text, reason):
    with pytest.raises(Rejected, match=reason):
        WRITERS[writer].parse(answer(text), seed(writer), config())


def test_an_answer_that_was_cut_off_is_no_lesson():
    with pytest.raises(Rejected, match="cut off"):
        WRITERS["section"].parse(answer(LESSON, finish="length"), seed("section"), config())


@pytest.mark.parametrize(
    ("writer", "old", "new", "reason"),
    [
        ("exercise", "== 10", "== 11", "a test fails"),
        ("section", "assert left(1) == 3", "assert left(1) == 2", "a test fails"),
        ("reasoning", "Answer: 7", "Answer: 8", "answer is not what the code prints"),
        ("reasoning", "print(3 * 4 - 5)", "print(3 * 4 - 5", "does not parse"),
    ],
)
def test_what_does_not_hold_is_not_believed(writer, old, new, reason):
    text = {"exercise": EXERCISE_TEXT, "section": LESSON, "reasoning": REASONING}[writer].replace(old, new)
    try:
        draft = WRITERS[writer].parse(answer(text), seed(writer), config())
        found = WRITERS[writer].check(draft, seed(writer), config()).reason
    except Rejected as error:
        found = error.reason
    assert reason in found


def test_a_request_that_brings_about_other_code_is_not_kept():
    [draft], _ = item("instruction", lambda said: "```python\nx = 1\n```" if "following names" in said else reply(said))
    assert WRITERS["instruction"].check(draft, seed("instruction"), config()).reason.startswith("the request brings")


def test_without_code_lessons_are_prose_and_reasoning_is_voted_on():
    prose = SynthesisConfig(writers={"section": 1, "reasoning": {"items": 1, "votes": 3}}, topics="general", code=False)
    text = LESSON.replace("```python", "").replace("```", "")
    draft = WRITERS["section"].parse(answer(text), seed("section"), prose)
    assert WRITERS["section"].check(draft, seed("section"), prose).reason == ""
    conversation = write(WRITERS["reasoning"], seed("reasoning"), prose, prose.writers["reasoning"])
    next(conversation)
    asked = conversation.send([answer(REASONING)])
    assert len(asked) == 3 and len({one.request.repeat for one in asked}) == 3
    with pytest.raises(StopIteration) as end:
        conversation.send([answer(f"Step 1: so.\n\nAnswer: {value}") for value in ("7", "8", "9")])
    verdict = WRITERS["reasoning"].check(end.value.value[0], seed("reasoning"), prose)
    assert verdict.reason == "other answers disagree"


def test_lessons_of_the_shipped_textbook_pass_the_writers_that_would_repeat_it():
    plan = {item.id: item for item in shipped_plan("python-textbook")}
    settings = SynthesisConfig(plan="python-textbook")
    taken = refused = 0
    for id, text, about in list(COLLECTIONS["python-textbook"].read())[::40]:
        written = f"```python\n{text}```\n\n```python\n{about['tests']}```" if about["kind"] == "exercise" else text
        writer = WRITERS[plan[id].writer]
        draft = writer.parse(answer(written), plan[id], settings)
        reason = writer.check(draft, plan[id], settings).reason
        taken, refused = taken + (reason == ""), refused + (reason != "")
    assert taken >= 24 and refused == 0
