"""Arguments to try a solution on: drawn by kind, so that some values satisfy what a task asks for and some do not."""

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from hornbook.synthesis.exercises.vocabulary import Subject, Value

HINTS = {
    "list": "list[$type]",
    "list2": "list[$type]",
    "filled": "list[$type]",
    "item": "$type",
    "low": "int",
    "high": "int",
    "small": "int",
    "divisor": "int",
    "length": "int",
    "index": "int",
    "n": "int",
    "number": "int",
    "natural": "int",
    "first": "str",
    "last": "str",
    "letter": "str",
    "word": "str",
    "mixed_word": "str",
    "key": "str",
    "natural2": "int",
    "natural3": "int",
    "lookup2": "dict[str, str]",
    "text": "str",
    "sentence": "str",
    "digits": "str",
    "flag": "bool",
    "table": "dict[str, int]",
    "table2": "dict[str, int]",
    "lookup": "dict[str, str]",
    "grid": "list[list[int]]",
    "lists": "list[list[int]]",
    "pairs": "list[tuple[str, int]]",
    "mixed": "list[str]",
}
ABOUT = {
    "list": "The $many to look at.",
    "list2": "A second list of $many.",
    "table2": "Another dictionary from names to $many.",
    "lookup": "A dictionary from words to words.",
    "lookup2": "A dictionary from words to words.",
    "lists": "Lists of $many.",
    "mixed": "Strings, some of which are numbers.",
    "digits": "A string of digits.",
    "flag": "True or False.",
    "n": "The largest number to look at.",
    "filled": "The $many to look at, at least one.",
    "item": "A $one to compare with.",
    "table": "A dictionary from names to $many.",
    "grid": "The rows of the grid.",
    "pairs": "Names, each with its $one.",
    "text": "The text to look at.",
    "sentence": "The text to look at.",
    "letter": "A single character.",
    "first": "A single character.",
    "last": "A single character.",
    "word": "The word to use.",
    "length": "A number of characters.",
    "divisor": "A whole number greater than 1.",
    "natural": "A whole number, not negative.",
}
_KEYS = {
    "fruit": ("apple", "pear", "plum", "kiwi", "fig", "mango", "lemon"),
    "person": ("Ada", "Ben", "Cleo", "Dan", "Eva", "Finn", "Grace"),
    "item": ("pen", "cup", "lamp", "desk", "book", "chair", "bag"),
    "city": ("Oslo", "Rome", "Lima", "Cairo", "Bern", "Quito"),
}
_WORDS = (
    "apple", "tree", "level", "ocean", "banana", "kayak", "lamp", "stone", "queen", "summer", "egg", "radar", "code",
    "python", "moon", "river", "area", "butter", "sun", "yellow", "noon", "coffee", "Otter", "window", "tooth",
)  # fmt: skip
_TEXTS = (
    "the cat sat on the mat", "Hello World", "a quick test", "rain and snow in May", "We have 3 dogs", "one",
    "Good morning to all", "room 101 is open", "every egg is an egg", "Python is fun", "up and down and up",
    "my phone number is 555 1234", "to be or not to be", "blue sky over a green sea", "Look at that", "level 42",
    "An old oak stands near our house", "so it goes", "NASA sent two rovers to Mars", "x", "buy milk and eggs",
    "HELLO", "12 + 30 = 42", "3 red hats", "4711", "OK 7", "20 20", "?!", "-> go", "A1 B2", "  two spaces", "9 lives",
)  # fmt: skip


_LOGINS = (
    "ada",
    "bo",
    "x1",
    "eva22",
    "7up",
    "maximilian",
    "kim",
    "2fast",
    "tom_3",
    "a",
    "long_username",
    "_me",
    "zoe9",
)


@dataclass(frozen=True)
class Pool:
    """Values of a subject, split by whether they satisfy the predicate of the task; `mode` says how to mix them."""

    subject: Subject
    yes: Sequence[Value]
    no: Sequence[Value]
    mode: str  # mixed, all or none

    def draw(self, rng: random.Random) -> Value:
        """One value of the subject."""
        side = rng.random() < 0.5 if self.mode == "mixed" else self.mode == "all"
        return rng.choice((self.yes if side else self.no) or self.subject.values)


def split(subject: Subject, satisfies: Callable[[Value], bool] | None) -> tuple[list[Value], list[Value]]:
    """The subject's values that satisfy a predicate, and the others."""
    yes = [value for value in subject.values if satisfies is None or satisfies(value)]
    return yes, [value for value in subject.values if satisfies is not None and not satisfies(value)]


def draw_scalar(rng: random.Random, kind: str, subject: Subject, before: dict[str, Any]) -> Any:
    """An argument that is no collection; `before` holds those that were drawn so far, by kind."""
    values = subject.values
    ordered = sorted(value for value in values if isinstance(value, int))
    characters = sorted({character for value in values for character in str(value) if character.islower()})
    match kind:
        case "item":
            return rng.choice(ordered[len(ordered) // 5 : -len(ordered) // 5] if ordered else values)
        case "low":
            return rng.choice(ordered[len(ordered) // 10 : len(ordered) // 2])
        case "high":
            return rng.choice([value for value in ordered[len(ordered) // 2 :] if value >= before.get("low", value)])
        case "first":
            return str(rng.choice(values))[0]
        case "last":
            return str(rng.choice(values))[-1]
        case "letter":
            inside = "".join(str(before.get(kind, "")) for kind in ("word", "text"))
            choices = [character for character in inside if character.isalpha()] if inside else characters
            return rng.choice(choices if choices and rng.random() < 0.8 else "aeiolnrst")
    draws: dict[str, Callable[[], Any]] = {
        "small": lambda: rng.randint(1, 6),
        "divisor": lambda: rng.randint(2, 7),
        "length": lambda: rng.randint(2, 6),
        "index": lambda: rng.randint(0, 4),
        "n": lambda: rng.randint(0, 20),
        "number": lambda: rng.randint(-30, 60),
        "natural": lambda: rng.choice((rng.randint(0, 9), rng.randint(10, 999), rng.randint(1000, 99999))),
        "natural2": lambda: rng.choice((rng.randint(0, 9), rng.randint(5, 60))),
        "natural3": lambda: rng.choice((rng.randint(0, 20), rng.randint(20, 400))),
        "mixed_word": lambda: rng.choice(_LOGINS),
        "key": lambda: rng.choice(_KEYS[before.setdefault("keys", rng.choice(sorted(_KEYS)))]),
        "word": lambda: rng.choice(_WORDS),
        "text": lambda: rng.choice(_TEXTS),
        "digits": lambda: "".join(rng.choice("0123456789") for _ in range(rng.randint(1, 6))),
        "flag": lambda: rng.random() < 0.5,
    }
    return draws[kind]()


def draw_collection(rng: random.Random, kind: str, pool: Pool, before: dict[str, Any], size: int) -> Any:
    """A list, dictionary or grid of about `size` values."""
    keys = rng.sample(_KEYS[before.setdefault("keys", rng.choice(sorted(_KEYS)))], min(size, 6))
    match kind:
        case "list" | "filled":
            values: list[Value] = []
            for _ in range(max(size, 1) if kind == "filled" else size):
                drawn = [pool.draw(rng) for _ in range(3)]
                values.append(next((value for value in drawn if value not in values), drawn[0]))
            if len(values) > 2 and rng.random() < 0.4:  # equal values make ties
                values[-1] = rng.choice((values[0], values[-2]))
            if values and "item" in before and pool.mode == "mixed" and rng.random() < 0.5:
                values[rng.randrange(len(values))] = before["item"]  # the borderline case
            return values
        case "list2":
            first = before.get("list", ())
            return [rng.choice((pool.draw(rng), first[i])) for i in range(len(first))]
        case "table" | "table2":
            return {key: pool.draw(rng) for key in keys}
        case "pairs":
            return [(key, pool.draw(rng)) for key in keys]
        case "lookup":
            return {key: rng.choice(_WORDS) for key in keys}
        case "lookup2":
            return {str(pool.draw(rng)): rng.choice(_WORDS) for _ in range(size)}
        case "sentence":
            return " ".join(str(pool.draw(rng)) for _ in range(size))
        case "grid":
            width = rng.randint(1, 3)
            return [[pool.draw(rng) for _ in range(width)] for _ in range(min(size, 3))]
        case "lists":
            return [[pool.draw(rng) for _ in range(rng.randint(0, 3))] for _ in range(min(size, 3))]
        case "mixed":
            return [rng.choice((str(rng.randint(0, 99)), rng.choice(_WORDS))) for _ in range(size)]
    raise ValueError(f"no kind of argument: {kind}")


def literal(value: Any) -> str:
    """A value as people write it in code: strings in double quotes where that needs no backslash."""
    if isinstance(value, str):
        escaped = value.replace("\n", "\\n")
        return f'"{escaped}"' if '"' not in value and "\\" not in value else repr(value)
    if isinstance(value, list):
        return "[" + ", ".join(map(literal, value)) + "]"
    if isinstance(value, tuple):
        return "(" + ", ".join(map(literal, value)) + ("," if len(value) == 1 else "") + ")"
    if isinstance(value, set) and value:
        return "{" + ", ".join(literal(item) for item in sorted(value)) + "}"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{literal(key)}: {literal(item)}" for key, item in value.items()) + "}"
    return repr(value)
