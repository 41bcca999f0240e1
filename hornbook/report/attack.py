"""Where a comparison can be attacked: its weak points, found by rule; only those that apply are listed."""

from collections.abc import Iterator, Mapping
from typing import Any

from hornbook.report.conditions import trainings
from hornbook.report.html import number, times
from hornbook.report.plots import short_number
from hornbook.report.results import Steps, per_source, set_title, versions

Row = Mapping[str, Any]
Point = tuple[str, str]  # what is weak, and why it matters
ALPHA = 0.05
FEW_TEXTS = 100
MANY_EPOCHS = 4
DRAFTED = ("programs", "explained")  # sets that a language model drafted, see hornbook/evaluation/neutral/README.md


def weak_points(steps: Steps, judged: Row) -> list[Point]:
    """All that apply, the gravest first."""
    checks = (
        _one_seed,
        _losses,
        _bounds,
        _undecided,
        _many_tests,
        _law,
        _more_tokens,
        _repeated,
        _few_texts,
        _same_hand,
        _scale,
    )
    points = [point for check in checks for point in check(steps, judged)]
    return [*points, *_unequal(steps, judged)]


def holm(p: Mapping[str, float]) -> dict[str, float]:
    """p-values corrected for being several (Holm 1979): below 0.05, a test stays decided among all of them."""
    adjusted, largest = {}, 0.0
    for rank, name in enumerate(sorted(p, key=lambda name: p[name])):
        largest = max(largest, min(1.0, (len(p) - rank) * p[name]))
        adjusted[name] = largest
    return adjusted


def _one_seed(steps: Steps, judged: Row) -> Iterator[Point]:
    if len(judged["seeds"]) == 1:
        yield (
            "One seed",
            "Every arm was drawn and trained once. The intervals know the luck of the texts, not that of training: "
            "with another seed arms that lie close may change places.",
        )


def _losses(steps: Steps, judged: Row) -> Iterator[Point]:
    """Sets on which the best arm is worse than the reference, or than another arm."""
    best, reference = judged["best_arm"], judged["reference_arm"]
    bpb: dict[str, dict[str, float]] = {}
    size = {row["arm"]: row.get("parameters") for row in judged["curves"]}
    for row in judged["curves"]:
        if row["budget"] == judged["reference_budget"] and size[row["arm"]] == size[best]:
            bpb.setdefault(row["set"], {})[row["arm"]] = row["bpb"]
    lost = [
        f"{set_title(name)} ({cells[best]:.3f} against {cells[reference]:.3f})"
        for name, cells in bpb.items()
        if best in cells and reference in cells and cells[best] > cells[reference]
    ]
    if lost:
        also = (
            " Random raw passages are what the reference reads." if any("Random raw" in name for name in lost) else ""
        )
        yield (
            f"{best} loses to {reference} on {_count(lost, 'set')}",
            f"Bits per byte on {'; '.join(lost)}.{also} What the data leaves out is paid for there.",
        )
    beaten = []
    for name, cells in bpb.items():
        first = min(cells, key=lambda arm: cells[arm])
        if best in cells and first not in (best, reference) and cells[first] < cells[best]:
            beaten.append(f"{set_title(name)}: {first} ({cells[first]:.3f} against {cells[best]:.3f})")
    if beaten:
        yield (
            f"Another arm is lower than {best} on {_count(beaten, 'set')}",
            f"{'; '.join(beaten)}. The best arm is best on the mean of {', '.join(judged['choice_sets'])}.",
        )


def _bounds(steps: Steps, judged: Row) -> Iterator[Point]:
    """Multipliers at the end of what the reference was trained on."""
    on_verdict, elsewhere = [], 0
    for row in judged["multipliers"]:
        if any(row[flag] for flag in ("beyond", "below", "low_beyond", "high_beyond", "low_below", "high_below")):
            if row["set"] == judged["verdict_set"]:
                on_verdict.append(f"{row['arm']} {times(row['text'])}")
            else:
                elsewhere += 1
    if on_verdict or elsewhere:
        budgets = [row["budget"] for row in judged["curves"] if row["arm"] == judged["reference_arm"]]
        yield (
            "Multipliers that are bounds",
            f"{judged['reference_arm']} was trained on {short_number(min(budgets))} to {short_number(max(budgets))} "
            "tokens; beyond that only bounds are known. "
            + (f"On {set_title(judged['verdict_set'])}: {', '.join(on_verdict)}. " if on_verdict else "")
            + (f"On the other sets: {_count(range(elsewhere), 'multiplier')}." if elsewhere else ""),
        )


def _undecided(steps: Steps, judged: Row) -> Iterator[Point]:
    tests = _tests(judged)
    rows = [row for row in tests if not row["decided"]]
    if rows:
        ways = "; ".join(f"{row['arm']}: {_remedy(row, judged)}" for row in rows)
        yield (
            f"{len(rows)} of {_count(tests, 'difference')} from {rows[0]['base']} not decided",
            f"On {set_title(judged['verdict_set'])}. What would decide them, if they are as large as measured: {ways}.",
        )


def _many_tests(steps: Steps, judged: Row) -> Iterator[Point]:
    """The more arms, the more of them look different by chance."""
    tests = _tests(judged)
    if len(tests) < 2:
        return
    adjusted = holm({row["arm"]: row["p"] for row in tests})
    decided = [row["arm"] for row in tests if row["decided"]]
    stay = [arm for arm in decided if adjusted[arm] <= ALPHA]
    lost = [f"{arm} (p {adjusted[arm]:.2g})" for arm in decided if arm not in stay]
    text = f"{len(tests)} arms were tested against {tests[0]['base']} on {set_title(judged['verdict_set'])}"
    text += (
        f", {len(judged['differences'])} pairs of arm and set in all. With Holm's correction over the {len(tests)}, "
    )
    if not decided:
        text += "as without it, none is decided."
    else:
        text += f"{len(stay)} of {len(decided)} stay decided" + (f": {', '.join(stay)}." if stay else ".")
        text += f" No longer: {', '.join(lost)}." if lost else ""
    least = 2 / judged["bootstrap"]
    if len(tests) * least > ALPHA:
        text += f" With {number(judged['bootstrap'])} resamples p cannot fall below {least:.2g}: too few for so many."
    yield f"{len(tests)} tests", text


def _law(steps: Steps, judged: Row) -> Iterator[Point]:
    rows = [row for row in judged.get("law") or [] if not row["identified"]]
    if rows:
        sets = ", ".join(set_title(row["set"]) for row in rows)
        yield "The law is not pinned down", f"On {sets}. {rows[0].get('note') or ''}".strip()


def _more_tokens(steps: Steps, judged: Row) -> Iterator[Point]:
    """Arms that go on from the models of others have read more than their budget says."""
    further = []
    for arm, models in trainings(steps).items():
        finetune = (models[0].manifest.get("config") or {}).get("finetune")
        if finetune:
            further.append(f"{arm} by {short_number(finetune['tokens'])} tokens on top of {finetune['start_from']}")
    if further:
        yield (
            "Arms that were trained longer",
            f"{'; '.join(further)}: at the same budget they have read more than the others.",
        )


def _repeated(steps: Steps, judged: Row) -> Iterator[Point]:
    read = [
        f"{arm} reads {source} {epochs:.1f} times"
        for arm, models in trainings(steps).items()
        for source, epochs in per_source(models[0].counters.get("epochs")).items()
        if epochs > MANY_EPOCHS
    ]
    if read:
        yield (
            "Repeated data",
            f"{'; '.join(read)}. After about {MANY_EPOCHS} times a token brings less than a new one (Muennighoff et "
            "al. 2023), so these arms are judged by the size of their data too, not only by its quality.",
        )


def _few_texts(steps: Steps, judged: Row) -> Iterator[Point]:
    few = [f"{set_title(name)} ({of['texts']})" for name, of in judged["sets"].items() if of["texts"] < FEW_TEXTS]
    if few:
        yield (
            f"Fewer than {FEW_TEXTS} texts in {_count(few, 'set')}",
            f"{', '.join(few)}. An interval from so few is itself rough, and a handful of texts can carry it.",
        )


def _same_hand(steps: Steps, judged: Row) -> Iterator[Point]:
    """Sets that choose the best arm and were drafted by a language model, as the lessons were."""
    drafted = [name for name in judged["choice_sets"] if name in DRAFTED]
    taught = [
        arm for arm, models in trainings(steps).items() if "lessons" in per_source(models[0].counters.get("epochs"))
    ]
    if drafted and taught:
        others = [name for name in judged["choice_sets"] if name not in DRAFTED]
        written = " and ".join(set_title(name) for name in drafted)
        yield (
            "Sets that choose are close to the lessons",
            f"{written} were drafted by a language model, and so may be the lessons that {', '.join(taught)} "
            f"{'reads' if len(taught) == 1 else 'read'}: likeness of style counts as quality there. "
            + (f"Written by people: {', '.join(set_title(name) for name in others)}. " if others else "")
            + f"The verdict is on {set_title(judged['verdict_set'])}, which chooses nothing.",
        )


def _scale(steps: Steps, judged: Row) -> Iterator[Point]:
    models = trainings(steps)
    if len(models) > 1:
        yield (
            "Training was set once for all arms",
            "Learning rates, batch, warm-up and decay were not tuned for each arm. One whose data would profit from "
            "others is at a disadvantage.",
        )
    counted = [
        step.counters["parameters"] for group in models.values() for step in group if "parameters" in step.counters
    ]
    if len(set(counted)) == 1:
        yield (
            "One size of model",
            f"All have {short_number(counted[0])} parameters and are compared at "
            f"{short_number(judged['reference_budget'])} tokens. That the order of the arms holds for larger models "
            "or longer training was not measured.",
        )


def _unequal(steps: Steps, judged: Row) -> Iterator[Point]:
    """What should be the same for all and is not."""
    tokenizers = {
        (step.manifest.get("inputs") or {}).get("tokenizer") for group in trainings(steps).values() for step in group
    }
    if len(tokenizers) > 1:
        yield "Different tokenizers", f"The arms were trained with {len(tokenizers)} tokenizers."
    mixed = [f"{name} {version}" for name, version in versions(steps).items() if ", " in version]
    if mixed:
        yield "Steps made with different versions", f"{'; '.join(mixed)}."


def _remedy(row: Row, judged: Row) -> str:
    """What would decide a difference: more than there is, or the estimate has no answer."""
    there = {"seeds": len(judged["seeds"]), "texts": judged["sets"][row["set"]]["texts"]}
    if not any(row[unit] for unit in there):
        return "too small for any number of seeds or texts"
    ways = [f"{number(row[unit])} {unit}" for unit, count in there.items() if (row[unit] or 0) > count]
    return " or ".join(ways) if ways else "a few more seeds"


def _tests(judged: Row) -> list[Row]:
    """The comparisons with the base arm on the set of the verdict."""
    return [row for row in judged.get("differences") or [] if row["set"] == judged["verdict_set"]]


def _count(things: Any, noun: str) -> str:
    return f"{len(things)} {noun}{'' if len(things) == 1 else 's'}"
