"""A task: all templates from which the exercises of one combination are written; and the table of them all."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache, cached_property
from string import Template

from hornbook.synthesis.exercises.containers import CONTAINER_FAMILIES
from hornbook.synthesis.exercises.families import LIST_FAMILIES, Family
from hornbook.synthesis.exercises.mappings import FILTER_MAP, MAPPING_FAMILIES
from hornbook.synthesis.exercises.single_basics import BASIC_TASKS
from hornbook.synthesis.exercises.single_numbers import NUMBER_TASKS
from hornbook.synthesis.exercises.single_texts import TEXT_TASKS
from hornbook.synthesis.exercises.vocabulary import (
    MAPPINGS,
    PREDICATES,
    SUBJECTS,
    UP_TO_N,
    Mapping,
    Predicate,
    Subject,
    Value,
)

_FILTER_MAP_STEP = 4  # of all pairs of predicate and mapping, one in four
# Ordinary tasks, but well-known benchmarks ask the same: whoever measures on those wants a model that never saw them.
_LEFT_OUT = frozenset(
    (
        "all: less than a parameter", "count characters: vowel", "filter: containing a parameter", "filter: positive",
        "filter: starting with a parameter", "list order: insert between", "list order: palindromic list",
        "map: add a constant", "recursion on numbers: triangle", "remove characters: vowel", "running value: largest",
        "remove: without a parameter", "sets: common", "two lists: distance",
    )
)  # fmt: skip


@dataclass(frozen=True)
class Task:
    """A family with its operations."""

    family: Family
    operations: str
    kind: str  # of the subject, int or str
    predicate: Predicate | None = None
    mapping: Mapping | None = None

    @property
    def combination(self) -> str:
        """What is held out as a whole: family and operations, whatever the wording, the names and the solution."""
        return f"{self.family.name}: {self.operations}"

    @property
    def parameters(self) -> tuple[str, ...]:
        """Those of the family and of its operations, as "name|other name: kind"."""
        extra = [part.parameters for part in (self.predicate, self.mapping) if part is not None]
        return self.family.parameters + tuple(parameter for parameters in extra for parameter in parameters)

    @property
    def constants(self) -> tuple[Value, ...]:
        """Choices for the constant `$c`, if there is one."""
        parts = [part.constants for part in (self.predicate, self.mapping) if part is not None]
        return next((constants for constants in parts if constants), ())

    @property
    def natural(self) -> bool:
        """Whether only numbers >= 0 make sense."""
        return any(part.natural for part in (self.predicate, self.mapping) if part is not None)

    @cached_property
    def subjects(self) -> list[Subject]:
        """Subjects of the right kind, with values that satisfy the predicate and others that do not.

        A task about plain words or numbers, such as "the numbers up to n", takes only those.
        """
        kinds = {parameter.split(": ")[1] for parameter in self.parameters}
        plain = "sentence" in kinds or any("list" in p.split(": ")[1] and p[0] != "$" for p in self.parameters)
        fitting = []
        for subject in (UP_TO_N,) if "n" in kinds else SUBJECTS:
            if subject.kind != self.kind or (plain and subject.one not in ("word", "number")):
                continue
            if self.natural and subject.kind == "int" and min(int(value) for value in subject.values) < 0:
                continue
            if self.predicate is None or self.predicate.parameters or _divides(self.predicate, subject):
                fitting.append(subject)
        return fitting


@cache
def all_tasks() -> tuple[Task, ...]:
    """Every combination of a family with its operations, in a fixed order."""
    tasks = [*_with_predicates(), *_with_mappings(), *_with_both()]
    for family, operations, kind in [*NUMBER_TASKS, *TEXT_TASKS, *BASIC_TASKS]:
        tasks.append(Task(family, operations, kind))
    return tuple(task for task in tasks if task.combination not in _LEFT_OUT and task.subjects)


def _divides(predicate: Predicate, subject: Subject) -> bool:
    """Whether there are values on both sides, whatever the constant."""
    for constant in predicate.constants or (0,):
        code = Template(predicate.code[0]).substitute(x="x", c=constant, mid=middle(subject)[0], ch="ch")
        count = sum(bool(value) for value in eval(f"[{code} for x in values]", {"values": subject.values}))
        if not 2 <= count <= len(subject.values) - 2:
            return False
    return True


def middle(subject: Subject) -> list[Value]:
    """Positive values around the middle of a subject's range, round ones if there are some."""
    ordered = sorted(value for value in subject.values if isinstance(value, int))
    central = [value for value in ordered[len(ordered) // 3 : -len(ordered) // 3] if value > 0]
    return [*(value for value in central if value % 5 == 0)] or [*central] or [0]


def _with_predicates() -> Iterator[Task]:
    for family in LIST_FAMILIES + CONTAINER_FAMILIES:
        for predicate in PREDICATES:
            if predicate.kind in family.kinds:
                yield Task(family, predicate.key, predicate.kind, predicate)


def _with_mappings() -> Iterator[Task]:
    for family in MAPPING_FAMILIES:
        for mapping in MAPPINGS:
            if f"{mapping.kind}>{mapping.returns}" in family.kinds and (mapping.by or not family.by):
                yield Task(family, mapping.key, mapping.kind, None, mapping)


def _with_both() -> Iterator[Task]:
    for i, predicate in enumerate(PREDICATES):
        for k, mapping in enumerate(MAPPINGS):
            clash = (predicate.constants and mapping.constants) or (predicate.parameters and mapping.parameters)
            if predicate.kind == mapping.kind and not clash and (i + k) % _FILTER_MAP_STEP == 0:
                yield Task(FILTER_MAP, f"{predicate.key}, {mapping.key}", predicate.kind, predicate, mapping)
