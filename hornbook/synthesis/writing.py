"""What a writer is: the seeds it needs, its prompt, how an answer is read, and how the result is checked.

Writing is a conversation: it yields requests and is sent their answers, and knows neither the teacher nor the clock.
So the same code runs against an endpoint, batch files and a cache.
"""

from collections.abc import Callable, Generator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from hornbook.services.chat import Answer, Request
from hornbook.synthesis.checks import Verdict
from hornbook.synthesis.config import SynthesisConfig, WriterConfig
from hornbook.synthesis.prompts import load_prompt
from hornbook.synthesis.seeds import Seed
from hornbook.synthesis.topics import vocabulary


class Rejected(Exception):
    """An answer cannot be used: a short phrase to count by, and what was seen."""

    def __init__(self, reason: str, detail: str = "") -> None:
        self.reason, self.detail = reason, detail
        super().__init__(reason)


@dataclass(frozen=True)
class Draft:
    """An item as its writer read it from the answer: `text` is what a model will learn from.

    `tests` are asserts kept beside the text, `parts` the code of it in order, `facts` what the check needs to know.
    """

    text: str
    tests: str = ""
    parts: tuple[str, ...] = ()
    facts: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Asked:
    """A request, with the prompt that it was made from."""

    request: Request
    prompt: str
    hash: str


# Requests that may be answered at the same time go out; their answers come back in the same order. What comes in the
# end are drafts, the preferred one first.
Conversation = Generator[list[Asked], list[Answer], list[Draft]]
Parse = Callable[[Answer, Seed, SynthesisConfig], Draft]
Check = Callable[[Draft, Seed, SynthesisConfig], Verdict]
Follow = Callable[[Draft, Seed, SynthesisConfig], Generator[list[Asked], list[Answer], Draft]]


@dataclass(frozen=True)
class Writer:
    """One way to write: see `hornbook.synthesis.writers` for all of them.

    `needs` are fields of `Seed`. `follow` asks for more once a draft is read: other solutions, or a test of the draft.
    """

    name: str
    needs: frozenset[str]
    parse: Parse
    check: Check
    follow: Follow | None = None

    def prompts(self, options: WriterConfig) -> list[str]:
        """Names of the prompt files that it may use with these options."""
        extra = {"exercise": ["solve"], "reasoning": ["answer"], "instruction": ["fulfil"]}.get(self.name, [])
        asked = extra if self.name == "instruction" or options.votes else []
        return [self.name, *asked, *(["critique", "improve"] if options.revise else [])]

    def formats(self, options: WriterConfig) -> tuple[str, ...]:
        """The forms that its items may have."""
        return options.formats or load_prompt(self.name).formats


def write(writer: Writer, seed: Seed, config: SynthesisConfig, options: WriterConfig) -> Conversation:
    """Ask for an item, have it revised if the options say so, and follow up as the writer wants.

    Raises Rejected when no answer can be used.
    """
    first = ask(writer.name, config, **prompt_fields(seed, config))
    [answer] = yield [first]
    if answer.failure:
        raise Rejected(f"teacher: {answer.failure}", answer.detail)
    draft = writer.parse(answer, seed, config)
    drafts = [draft]
    if options.revise:
        [critique] = yield [ask("critique", config, draft=draft.text)]
        request = first.request.messages[0]["content"]
        if critique.text.strip() and not critique.text.strip().lower().startswith("no faults"):
            better = ask("improve", config, request=request, draft=draft.text, critique=critique.text.strip())
            [answer] = yield [better]
            with suppress(Rejected):  # the first draft may still do
                drafts.insert(0, writer.parse(answer, seed, config))
    if writer.follow is None:
        return drafts
    followed = []
    for draft in drafts:
        followed.append((yield from writer.follow(draft, seed, config)))
    return followed


def ask(prompt: str, config: SynthesisConfig, repeat: int = 0, **fields: Any) -> Asked:
    """A request made from a prompt file."""
    loaded = load_prompt(prompt)
    return Asked(loaded.request(config.temperature, config.top_p, repeat, **fields), prompt, loaded.hash)


def prompt_fields(seed: Seed, config: SynthesisConfig) -> dict[str, Any]:
    """What a prompt may speak of."""
    return {
        "topic": seed.topic,
        "subtopic": seed.subtopic,
        "audience": seed.audience,
        "level_text": vocabulary()["levels"].get(seed.level, ""),
        "format": seed.format,
        "words": list(seed.words),
        "function": seed.function,
        "tests": seed.tests,
        "passage": seed.passage.text.strip() if seed.passage else "",
        "code": config.code,
    }
