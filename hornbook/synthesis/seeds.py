"""Seeds: what an item is to be about, for whom, how hard, in which form and with which words.

Diversity is steered, not hoped for: random constraints in the prompt (Eldan and Li 2023, arXiv:2305.07759; Gunasekar
et al. 2023, section 2.2). Every writer walks round all topics before it comes back to one, and draws the rest by a
random permutation of the product of all choices, so that nothing is drawn twice and nothing need be remembered.
"""

import gzip
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from math import comb, prod
from pathlib import Path
from typing import Any

from hornbook.core.errors import HornbookError
from hornbook.synthesis.config import SynthesisConfig
from hornbook.synthesis.permutation import permuted
from hornbook.synthesis.topics import vocabulary

TESTS = (3, 4, 5)  # asserts that an exercise is to have


@dataclass(frozen=True)
class Passage:
    """A passage that an item is made from."""

    id: str
    text: str
    source: str = ""
    license: str = ""
    kind: str = "code"


@dataclass(frozen=True)
class Seed:
    """One item of the plan; what a writer does not need is "" or 0."""

    id: str
    writer: str
    topic: str = ""
    subtopic: str = ""
    level: int = 0
    audience: str = ""
    format: str = ""
    words: tuple[str, ...] = ()
    function: str = ""
    tests: int = 0
    passage: Passage | None = None

    @property
    def kind(self) -> str:
        """What kind of lesson it becomes: the writer, in words."""
        return self.writer.replace("-", " ")

    def record(self) -> dict[str, Any]:
        """The seed as it is kept beside the item."""
        fields = {
            "topic": self.topic,
            "subtopic": self.subtopic,
            "level": self.level,
            "audience": self.audience or None,
            "format": self.format,
            "words": list(self.words),
            "function": self.function,
            "tests": self.tests,
            "passage": self.passage.id if self.passage else "",
        }
        kept = {name: value for name, value in fields.items() if value not in ("", 0, [])}
        return {"id": self.id, "kind": self.kind, **kept}


def draw(
    name: str,
    writer: str,
    needs: frozenset[str],
    formats: tuple[str, ...],
    config: SynthesisConfig,
    leaves: list[tuple[str, str]],
    passages: list[Passage],
) -> Iterator[Seed]:
    """The seeds of one writer, in the order of the plan, until its number of items or all choices are used up.

    `needs` are names of the fields of `Seed` that the prompt speaks of. A seed of the plan `config.beyond` is passed
    over. Raises HornbookError when there are fewer choices than items.
    """
    about: list[Any] = passages if "passage" in needs else leaves
    choices = _choices(needs, formats, config)
    rest = prod(choices.sizes)
    wanted = config.writers[writer].items  # type: ignore[index]
    if not about:
        raise HornbookError(f"The writer {writer} has no passage to read.", "Give the corpus other sources, too.")
    beyond = {_combination(seed) for seed in shipped_plan(config.beyond)} if config.beyond else set()
    key = f"{config.seed}\0{writer}"
    number = done = 0
    while done < wanted:
        turn, place = divmod(number, len(about))
        if turn >= rest:
            raise HornbookError(
                f"{writer}: there are only {number:,} different seeds for {wanted:,} items.",
                "Ask for fewer, or give more topics, audiences, formats or words.",
            )
        what = permuted(place, len(about), f"{key}\0{turn}")
        fields = choices.take(permuted(turn, rest, f"{key}\0about {what}"))
        if "passage" in needs:
            fields["passage"] = about[what]
        else:
            fields["topic"], fields["subtopic"] = about[what]
        seed = Seed(f"{name}-{writer}-{number:06}", writer, **fields)
        number += 1
        if _combination(seed) not in beyond:
            done += 1
            yield seed


def shipped_plan(name: str) -> Iterator[Seed]:
    """The plan of a textbook that ships, seed by seed."""
    with gzip.open(Path(__file__).parent / "plans" / f"{name}.jsonl.gz", "rt", encoding="utf-8") as lines:
        for line in lines:
            item = json.loads(line)
            yield Seed(
                item["id"],
                item["kind"].replace(" ", "-"),
                item["topic"],
                item["subtopic"],
                item["level"],
                item.get("audience") or "",
                words=tuple(item["words"]),
                tests=item.get("tests", 0),
            )


def _combination(seed: Seed) -> tuple[object, ...]:
    return seed.writer, seed.topic, seed.subtopic, seed.level, seed.audience, frozenset(seed.words)


@dataclass(frozen=True)
class _Choices:
    """The product of all that is drawn beside the topic: a number stands for one choice of each."""

    names: tuple[str, ...]
    values: tuple[tuple[Any, ...], ...]
    words: tuple[str, ...]
    words_each: int

    @property
    def sizes(self) -> list[int]:
        return [len(values) for values in self.values] + [comb(len(self.words), self.words_each)]

    def take(self, number: int) -> dict[str, Any]:
        taken: dict[str, Any] = {}
        for name, values in zip(self.names, self.values, strict=True):
            number, index = divmod(number, len(values))
            taken[name] = values[index]
        taken["words"] = tuple(self.words[i] for i in _subset(number, len(self.words), self.words_each))
        if verb := taken.pop("verb", ""):
            taken["function"] = "_".join([verb, *taken["words"][:1]])
        return taken


def _choices(needs: frozenset[str], formats: tuple[str, ...], config: SynthesisConfig) -> _Choices:
    known = vocabulary()
    subject = "general" if config.topics == "general" else "python"
    all_values: Iterable[tuple[str, tuple[Any, ...]]] = (
        ("audience", config.audiences or tuple(known["audiences"][subject])),
        ("level", config.levels),
        ("format", formats),
        ("verb", tuple(known["verbs"])),
        ("tests", TESTS),
    )
    asked = needs | {"verb"} if "function" in needs else needs
    picked = [(name, values) for name, values in all_values if name in asked and values]
    words = tuple(dict.fromkeys(config.words or known["words"])) if "words" in needs else ()
    each = config.words_each if words else 0
    return _Choices(tuple(n for n, _ in picked), tuple(v for _, v in picked), words, each)


def _subset(number: int, size: int, count: int) -> Iterator[int]:
    """The subset of `count` numbers below `size` with this rank, ascending (combinatorial number system)."""
    for place in range(size):
        if not count:
            return
        with_it = comb(size - place - 1, count - 1)
        if number < with_it:
            yield place
            count -= 1
        else:
            number -= with_it
