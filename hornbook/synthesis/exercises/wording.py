"""From a task to text: names, the sentences of the docstring, type hints, and the code of the solutions."""

import random
import re
import textwrap
from dataclasses import dataclass
from string import Template
from typing import Any

from hornbook.synthesis.exercises.task import Task, middle
from hornbook.synthesis.exercises.values import ABOUT, HINTS, literal
from hornbook.synthesis.exercises.vocabulary import Subject

_WIDTH = 92  # of docstrings
_LOCALS = {
    "out": ("result", "results", "output", "collected", "answer"),
    "count": ("count", "counter", "hits", "number_found"),
    "total": ("total", "subtotal", "total_so_far", "acc"),
    "i": ("i", "index", "position", "k"),
    "ch": ("char", "c", "ch", "character"),
    "d": ("digit", "d"),
    "best": ("best", "best_so_far", "leading"),
    "row": ("row", "line", "inner"),
    "key": ("key", "name", "label"),
    "yes": ("matching", "wanted_ones", "inside"),
    "rest": ("rest", "remaining", "other_ones"),
    "check": ("is_match", "fits", "is_wanted"),
    "found": ("found", "present"),
    "chosen": ("chosen", "selected", "kept"),
}
_ALIASES = {"grid": "grid|rows|matrix|table", "table": "table|data|records", "pairs": "pairs|entries|records"}
_TYPING = {"list[": "List[", "dict[": "Dict[", "tuple[": "Tuple["}


@dataclass(frozen=True)
class Wording:
    """A task with all names and phrases chosen."""

    name: str
    parameters: tuple[tuple[str, str, str], ...]  # name, kind, hint
    returns: str
    sentence: str
    solutions: tuple[str, ...]  # bodies, not indented
    test: str  # an expression in `x` and the parameters, or ""
    variable: str  # the x of `test`
    one: str  # what a value is called
    many: str


def choose(rng: random.Random, task: Task, subject: Subject) -> Wording:
    """Draw names and phrases for a task about a subject."""
    family, fixed = task.family, _fixed_names(task)
    names = dict(_parameter_names(rng, task, subject, fixed))
    taken = fixed | set(names.values())
    variables = [subject.variable, subject.variable, subject.variable[0], "item", "x", "value", "element", "entry"]
    names["x"] = rng.choice([name for name in variables if name not in taken] or ["x_value"])
    taken.add(names["x"])
    for local, choices in _LOCALS.items():
        free = [name for name in choices if name not in taken]
        names.setdefault(local, rng.choice(free or [f"{local}_"]))
        taken.add(names[local])
    names["best_key"] = names["best"] + "_key"
    names["c"] = str(rng.choice(task.constants or (0,)))
    names["mid"] = str(rng.choice(middle(subject)))
    names["type"] = subject.kind
    names["to"] = task.mapping.returns if task.mapping else subject.kind
    names["arguments"] = "".join(f", {names[_key(p)]}" for p in task.parameters[len(family.parameters) :])
    names["one"], names["many"], names["one_name"] = subject.one, subject.many, subject.variable
    names |= _operation_words(rng, task, subject)

    function = _fill(rng.choice(family.names.split()), names | {"xs": subject.list_name})
    names["f"] = function
    parameters = tuple(
        (names[_key(p)], p.split(": ")[1], _fill(HINTS[p.split(": ")[1]], names)) for p in task.parameters
    )
    sentence = _fill(rng.choice(family.wordings), names)
    remark = _fill(rng.choice(family.remarks), names) if family.remarks else ""
    if remark and rng.random() < 0.4 and not ("order" in remark and "order" in sentence):
        sentence += " " + remark
    solutions = tuple(_fill(solution, names) for solution in family.solutions)
    test = _fill("$test", names) if task.predicate else ""
    returns = _fill(family.returns, names)
    return Wording(
        function, parameters, returns, _polish(sentence), solutions, test, names["x"], subject.one, subject.many
    )


def _fixed_names(task: Task) -> set[str]:
    """Words of the code templates, which no drawn name may repeat."""
    parts = [part.code for part in (task.predicate, task.mapping) if part is not None]
    code = " ".join([*task.family.solutions, *(text for texts in parts for text in texts)])
    return set(re.findall(r"(?<![$\w{])[a-z_]+", code))


def _parameter_names(rng: random.Random, task: Task, subject: Subject, fixed: set[str]) -> list[tuple[str, str]]:
    taken: set[str] = set()
    chosen = []
    for parameter in task.parameters:
        key = _key(parameter)
        if key == "xs":
            general = ["values", "numbers"] if subject.kind == "int" else ["items", "strings"]
            choices = [subject.list_name] * 4 + [f"{subject.variable}_list", *general]
        else:
            choices = _ALIASES.get(key, parameter.split(": ")[0].lstrip("$")).split("|")
        free = [name for name in choices if name not in taken and name not in fixed]
        name = rng.choice(free or [f"given_{key}"])
        taken.add(name)
        chosen.append((key, name))
    return chosen


def _key(parameter: str) -> str:
    """The placeholder of a parameter "name|other name: kind"."""
    return parameter.split(": ")[0].split("|")[0].lstrip("$")


def _operation_words(rng: random.Random, task: Task, subject: Subject) -> dict[str, str]:
    """Placeholders that the predicate and the mapping fill."""
    words: dict[str, str] = {}
    if predicate := task.predicate:
        test = rng.choice(predicate.code)
        compound = re.search(r" (and|or|if|not) ", f" {test}") and " in " not in test
        words |= {"test": test, "no": predicate.negated, "test_inner": f"({test})" if compound else test}
        words |= {"are": predicate.are, "is": predicate.is_}
        words["group"] = f"$many that {predicate.are}"
        if predicate.adjective and rng.random() < 0.6:
            words["group"] = f"{predicate.adjective} $many"
        parts = [subject.list_name, predicate.tag] if predicate.after else [predicate.tag, subject.list_name]
        words["tagged"] = "_".join(parts)
    if mapping := task.mapping:
        words |= {"map": rng.choice(mapping.code), "done": mapping.tag, "by": mapping.by}
        words["phrase"] = mapping.phrase.replace("$it", rng.choice(("each $one", "every $one")))
        words["phrase_it"] = mapping.phrase.replace("$it", "that $one")
        short = re.split(r" when| to| \(| of `| in ", mapping.by.replace("-", "_"))[0]
        words["key_name"] = "_".join(short.replace("lower_case vowels", "vowels").split()).strip("_")
    return words


def _fill(text: str, names: dict[str, str]) -> str:
    """Fill the placeholders, also those inside of what fills them."""
    for _ in range(4):
        text = Template(text).safe_substitute(names)
    if "$" in text:
        raise ValueError(f"a placeholder without a value: {text}")
    return text


def _polish(sentence: str) -> str:
    sentence = re.sub(r",(?=[.,:;])", "", sentence)
    sentence = re.sub(r"\ba (?=[aeiou](?!ne\b|ni|se))", "an ", sentence)
    return sentence[0].upper() + sentence[1:]


def prompt(rng: random.Random, wording: Wording, examples: list[tuple[tuple[Any, ...], Any]]) -> str:
    """Imports, signature and docstring, with examples as arguments and what comes out."""
    text = wording.sentence
    told = "\n".join(_doctest(wording, arguments, result) for arguments, result in examples)
    if examples and wording.returns != "None" and rng.random() < 0.15:
        shown = (f"`{call(wording, arguments)}` returns `{literal(result)}`" for arguments, result in examples)
        text, told = f"{text} For example, {' and '.join(shown)}.", ""
    lines = textwrap.wrap(text, _WIDTH)
    if rng.random() < 0.12 and wording.parameters:
        lines += ["", "Args:"]
        for name, kind, _ in wording.parameters:
            lines.append(f"    {name}: {_about(wording, name, kind)}")
    body = "\n".join(lines) + ("\n\n" + told if told else "")
    on_first_line = rng.random() < 0.7
    single = on_first_line and "\n" not in body
    docstring = '"""' + ("" if on_first_line else "\n") + body + ("" if single else "\n") + '"""'
    signature = ", ".join(f"{name}: {hint}" for name, _, hint in wording.parameters)
    return f"def {wording.name}({signature}) -> {wording.returns}:\n" + textwrap.indent(docstring, "    ") + "\n"


def _about(wording: Wording, name: str, kind: str) -> str:
    default = f"The {name.replace('_', ' ')}, a {'string' if HINTS[kind] == 'str' else 'whole number'}."
    return _polish(Template(ABOUT.get(kind, default)).substitute(one=wording.one, many=wording.many))


def call(wording: Wording, arguments: tuple[Any, ...]) -> str:
    """A call of the function as code."""
    return f"{wording.name}({', '.join(map(literal, arguments))})"


def _doctest(wording: Wording, arguments: tuple[Any, ...], result: Any) -> str:
    if wording.returns != "None":
        return (
            f">>> {call(wording, arguments)}\n{result!r}" if result is not None else f">>> {call(wording, arguments)}"
        )
    first, rest = wording.parameters[0][0], "".join(f", {literal(argument)}" for argument in arguments[1:])
    return f">>> {first} = {literal(arguments[0])}\n>>> {wording.name}({first}{rest})\n>>> {first}\n{result!r}"


def test(wording: Wording, arguments: tuple[Any, ...], result: Any) -> str:
    """One or several lines that check a result."""
    if wording.returns != "None":
        comparison = f"is {result}" if result is None or isinstance(result, bool) else f"== {literal(result)}"
        return f"assert {call(wording, arguments)} {comparison}\n"
    rest = "".join(f", {literal(argument)}" for argument in arguments[1:])
    return f"given = {literal(arguments[0])}\n{wording.name}(given{rest})\nassert given == {literal(result)}\n"


def with_typing(head: str, body: str) -> tuple[str, str]:
    """Prompt and body with `List[int]` in place of `list[int]`, and with the import that this needs."""
    for built_in, generic in _TYPING.items():
        head, body = (re.sub(rf"(?<![\w.]){re.escape(built_in)}", generic, code) for code in (head, body))
    head = re.sub(r"-> (\w+) \| None:", r"-> Optional[\1]:", head)
    used = [name for name in ("Dict", "List", "Optional", "Tuple") if f"{name}[" in head + body]
    return (f"from typing import {', '.join(used)}\n\n\n" if used else "") + head, body
