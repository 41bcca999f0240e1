"""The verdict of a comparison in one sentence, with its interval: what verdict.json says, and nothing more.

There are four kinds of comparison, and each has its own sentence: arms against the reference, one number swept,
one decision left out at a time, and data by size of the model.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from hornbook.report.plots import short_number
from hornbook.report.results import set_title

Row = Mapping[str, Any]
Kind = Literal["arms", "sweep", "leave-one-out", "ladder"]
LEFT_OUT = "no-"  # how arms without one decision are called
ONE_SEED = "Indicative: one seed says nothing of luck in training."


def kind(judged: Row) -> Kind:
    """What is compared with what."""
    at_reference = [
        row["budget"] == judged["reference_budget"] for row in _parameter_rows(judged, judged["verdict_set"])
    ]
    if judged.get("ladder") and any(at_reference):
        return "ladder"
    if judged.get("sweep"):
        return "sweep"
    return "leave-one-out" if _left_out(judged) else "arms"


def verdict_sentence(judged: Row, rivals: Sequence[Row] = ()) -> str:
    """The sentence, and a second one where there is only one seed.

    `rivals`: for a sweep, the paired differences of every other value from the best one on the set of the verdict
    (rows as in `differences`, with `base` the best arm).
    """
    what = kind(judged)
    if what == "sweep":
        said = _sweep(judged, rivals)
    elif what == "leave-one-out":
        said = _decisions(judged)
    else:
        said = _ladder(judged) if what == "ladder" else _arms(judged)
    return f"{said} {ONE_SEED}" if len(judged["seeds"]) == 1 else said


def side_of_one(row: Row) -> Literal["above", "below", "open"]:
    """Where the interval of a multiplier lies; "open" when it holds 1.

    A bound of "at most 1" is open: an arm that is equal to the reference reads so too.
    """
    if row["low"] > 1 or (row["low"] == 1 and row["low_beyond"]):
        return "above"
    return "below" if row["high"] < 1 else "open"


def interval(row: Row) -> str:
    """The 95\u00a0% interval of a multiplier in words; its ends may be bounds."""
    low = _end(row["low"], row["low_beyond"], row["low_below"])
    high = _end(row["high"], row["high_beyond"], row["high_below"])
    return f"95\u00a0% interval: {low}" if low == high else f"95\u00a0% interval {low} to {high}"


def best_swept(judged: Row) -> str:
    """The arm of a sweep with the lowest bits per byte on the choice sets."""
    return min(judged["sweep"]["values"], key=lambda arm: judged["choice"][arm])


def data_of(judged: Row) -> dict[str, str]:
    """For each arm the arm whose data it reads; without a ladder all read their own."""
    read = (judged.get("ladder") or {}).get("data") or {}
    return {row["arm"]: read.get(row["arm"], row["arm"]) for row in judged["curves"]}


def parameter_row(judged: Row, name: str, data: str, budget: int | None = None) -> Row | None:
    """The multiplier of parameters that stands for some data on a set and at a budget, the reference budget unless
    given: that of the largest model whose multiplier is no bound, else of the smallest one."""
    rows = [row for row in _parameter_rows(judged, name) if row["data"] == data]
    budget = budget or judged["reference_budget"]
    rows = sorted((row for row in rows if row["budget"] == budget), key=lambda row: row["parameters"])
    exact = [row for row in rows if not (row["beyond"] or row["below"])]
    return exact[-1] if exact else next(iter(rows), None)


def _arms(judged: Row) -> str:
    reference, best = judged["reference_arm"], judged["best_arm"]
    others = [row for row in judged["multipliers"] if row["set"] == judged["verdict_set"]]
    if best != reference or not others:
        row = next((row for row in others if row["arm"] == best), None)
        return f"On {_title(judged)}, {_worth(judged, row)}." if row else f"{best} is the best arm."
    nearest = min(others, key=lambda row: judged["choice"][row["arm"]])
    chosen = ", ".join(judged["choice_sets"])
    return (
        f"No arm is better than {reference} on the sets that choose ({chosen}); the next is {nearest['arm']}: "
        f"on {_title(judged)}, {_worth(judged, nearest)}."
    )


def _worth(judged: Row, row: Row) -> str:
    """What an arm's tokens are worth in tokens of the reference."""
    arm, reference, budget = row["arm"], judged["reference_arm"], short_number(judged["reference_budget"])
    value, about = _end(row["multiplier"], row["beyond"], row["below"]), f"({interval(row)}, over {_drawn(judged)})"
    side, worth = side_of_one(row), f"{budget} tokens of it are worth {value} times as many {about}"
    if side == "below":
        return f"{arm} is worse than {reference}: {worth}"
    if side == "open" and not row["high_below"]:
        return f"{arm} is not distinguishable from {reference}: {worth}"
    return f"{budget} tokens of {arm} are worth {value} times as many tokens of {reference} {about}"


def _sweep(judged: Row, rivals: Sequence[Row]) -> str:
    values, best, on = judged["sweep"]["values"], best_swept(judged), _title(judged)
    setting = judged["sweep"]["setting"]
    said = f"The best value of {setting} is {_g(values[best])}, chosen on {', '.join(judged['choice_sets'])}"
    if judged["choice"][best] > judged["choice"][judged["reference_arm"]]:
        said += f", where none is better than {judged['reference_arm']}"
    rows = sorted((row for row in rivals if row["arm"] in values), key=lambda row: row["value"])
    if not rows:
        return f"{said}; how far the other values are from it was not measured."
    alike = [row["arm"] for row in rows if not row["decided"]]
    better = [row for row in rows if row["decided"] and row["value"] < 0]
    parts = []
    if alike:
        parts.append(f"but on {on} {_values(values, [*alike, best])} are not distinguishable")
    elif not better:
        parts.append(f"and on {on} every other value is worse")
    if better:
        gains = ", ".join(f"{_g(values[row['arm']])} by {_change(row)}" for row in better)
        parts.append(f"{'and' if alike else 'but'} on {on} better than it: {gains} bits per byte")
    closest = rows[0]
    said += f", {', '.join(parts)}"
    if closest not in better:
        said += f" (the closest, {_g(values[closest['arm']])}, differs by {_change(closest)} bits per byte)"
    return f"{said}; over {_drawn(judged)}."


def _decisions(judged: Row) -> str:
    """Without a decision that helps, bits per byte rise."""
    rows = sorted(_left_out(judged), key=lambda row: -row["value"])
    helps = [row for row in rows if row["decided"] and row["value"] > 0]
    hurts = [row for row in rows if row["decided"] and row["value"] < 0]
    undecided = [row for row in rows if not row["decided"]]
    one = len(rows) == 1
    return (
        f"On {_title(judged)}, of {len(rows)} decision{'' if one else 's'} about the data of {rows[0]['base']} "
        f"{_some(helps, 'decided to help')}, {_some(hurts, 'decided to hurt')}, and {_some(undecided, 'open')}; the "
        f"numbers are the bits per byte that leaving it out adds, with 95\u00a0% intervals over {_drawn(judged)}."
    )


def _some(rows: Sequence[Row], what: str) -> str:
    """How many, and which; numbers are for those that are decided, and for the only one that is open."""
    told = len(rows) == 1 or (rows and rows[0]["decided"])
    names = ", ".join(row["arm"].removeprefix(LEFT_OUT) + (f" {_change(row)}" if told else "") for row in rows)
    return f"{len(rows)} {'is' if len(rows) == 1 else 'are'} {what} ({names})" if rows else f"none is {what}"


def _ladder(judged: Row) -> str:
    of = data_of(judged)
    plain, best = of[judged["reference_arm"]], of[judged["best_arm"]]
    named = {data for data in of.values() if parameter_row(judged, judged["verdict_set"], data)}
    before = ""
    if best not in named:
        best = min(named, key=lambda data: min(judged["choice"][arm] for arm in of if of[arm] == data))
        before = f"No data is better than {plain} on the sets that choose; the next is {best}: "
    row = parameter_row(judged, judged["verdict_set"], best)
    assert row is not None
    value = _end(row["multiplier"], row["beyond"], row["below"])
    who = f"a model of {short_number(row['parameters'])} parameters trained on {short_number(row['budget'])} tokens"
    same = f"a model of {value} times as many parameters trained on {plain}"
    says = {"above": "is as good as", "below": "is only as good as", "open": "is not distinguishable from its equal in"}
    side = side_of_one(row)
    if side == "open" and row["high_below"]:
        side = "above"  # "at most 1.0 times": all that can be said
    elif side == "open":
        same = f"size trained on {plain}: it is as good as one of {value} times as many parameters"
    about = f"({interval(row)}, over {_drawn(judged)})"
    return f"{before}{'on' if before else 'On'} {_title(judged)}, {who} of {best} {says[side]} {same} {about}."


def _parameter_rows(judged: Row, name: str) -> list[Row]:
    return [row for row in judged.get("parameter_multipliers") or [] if row["set"] == name]


def _left_out(judged: Row) -> list[Row]:
    """The differences on the set of the verdict, when every arm but base and reference leaves something out."""
    found = [row for row in judged.get("differences") or [] if row["set"] == judged["verdict_set"]]
    found = [row for row in found if row["arm"] != judged["reference_arm"]]
    return found if all(row["arm"].startswith(LEFT_OUT) for row in found) else []


def _values(values: Mapping[str, float], arms: Sequence[str]) -> str:
    """Some values of a sweep; a row of neighbours as "0.2 to 0.5"."""
    every, some = sorted(set(values.values())), sorted({values[arm] for arm in arms})
    first = every.index(some[0])
    if len(some) > 2 and every[first : first + len(some)] == some:
        return f"{_g(some[0])} to {_g(some[-1])}"
    return ", ".join(_g(value) for value in some[:-1]) + f" and {_g(some[-1])}"


def _g(value: float) -> str:
    return f"{value:g}" if abs(value) < 1000 else short_number(value)


def _change(row: Row) -> str:
    value, low, high = (f"{round(row[key], 3) + 0.0:+.3f}" for key in ("value", "low", "high"))  # no minus before 0
    return f"{value} [{low}, {high}]".replace("-", "\u2212")


def _end(value: float, beyond: bool, below: bool) -> str:
    sign = "at least " if beyond else "at most " if below else ""
    return f"{sign}{value:.2f}" if value < 0.995 else f"{sign}{value:.1f}"


def _title(judged: Row) -> str:
    return set_title(judged["verdict_set"])


def _drawn(judged: Row) -> str:
    """What the intervals were drawn from."""
    texts, seeds = judged["sets"][judged["verdict_set"]]["texts"], len(judged["seeds"])
    return f"{texts:,} texts" + (f" and {seeds} seeds" if seeds > 1 else "")
