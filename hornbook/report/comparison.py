"""The page of a comparison, written so that it can be attacked: the verdict, every number behind it, what was equal
and what was not, its weak points, what it cost, and how to repeat it."""

from collections.abc import Iterable, Mapping
from typing import Any

from hornbook import __version__
from hornbook.report import plots, plots_ladder
from hornbook.report.attack import weak_points
from hornbook.report.conditions import data_arm, differed, equal, flat, trainings
from hornbook.report.config import ReportConfig
from hornbook.report.html import environment
from hornbook.report.pairs import rivals
from hornbook.report.results import Finished, Steps, ordered, per_source, set_title, station_rank, verdict, versions
from hornbook.report.sentences import data_of, kind, verdict_sentence

FLOPS = 6  # per parameter and token: forward and backward (Kaplan et al. 2020)
_LAW = ("E", "A", "alpha", "beta")
Row = dict[str, Any]


def render(steps: Steps, config: ReportConfig) -> str:
    """The page as text; without a verdict it says that there is none yet."""
    judged = verdict(steps)
    return (
        environment()
        .get_template("comparison.html.j2")
        .render(title=config.title, version=__version__, view=_view(steps, judged, config) if judged else None)
    )


def sentence(steps: Steps, judged: Mapping[str, Any]) -> str:
    """The verdict in a sentence."""
    return verdict_sentence(judged, rivals(steps, judged))


def curves(judged: Mapping[str, Any], sets: Iterable[str], names: list[str]) -> dict[str, str]:
    """The learning curves of some sets: by arm, or by data and size where there is a ladder."""
    if judged.get("ladder"):
        return {name: plots_ladder.curves(judged, name) for name in sets}
    return {name: plots.learning_curves(judged, name, names) for name in sets}


def legend(judged: Mapping[str, Any], names: list[str]) -> dict[str, int]:
    """Number of the colour of what has one in the curves."""
    coloured = plots_ladder.data_arms(judged) if judged.get("ladder") else names
    return {name: plots.arm_index(coloured, name) for name in coloured}


def _view(steps: Steps, judged: Row, config: ReportConfig) -> Row:
    names = ordered([row["arm"] for row in judged["curves"]], [judged["reference_arm"]])
    sets = ordered(judged["sets"], [judged["verdict_set"], *config.sets])
    what = kind(judged)
    differences = judged.get("differences") or []
    base = differences[0]["base"] if differences else judged["reference_arm"]
    return {
        **judged,
        "kind": what,
        "sentence": sentence(steps, judged),
        "set_names": sets,
        "titles": {name: set_title(name) for name in sets},
        "legend": legend(judged, names),
        "arms": names,
        "base": base,
        "curves_svg": curves(judged, sets, names),
        "sweep_svg": {name: plots.sweep(judged, name) for name in sets} if what == "sweep" else {},
        "differences_svg": {name: plots.differences(judged, name) for name in sets} if what == "leave-one-out" else {},
        "ladder": _ladder(judged, sets) if judged.get("ladder") else None,
        "law": _law(judged, sets),
        "trained": _trained(steps, judged, names),
        "table": {
            (row["set"], row["arm"]): row for row in judged["curves"] if row["budget"] == judged["reference_budget"]
        },
        "times": {row["arm"]: row for row in judged["multipliers"] if row["set"] == judged["verdict_set"]},
        "against": {
            arm: {row["set"]: row for row in differences if row["arm"] == arm}
            for arm in names
            if any(row["arm"] == arm for row in differences)
        },
        "executed": judged.get("executed") or [],
        "executed_differences": judged.get("executed_differences") or [],
        "equal": equal(steps),
        "differed": differed(steps, names, base),
        "weak": weak_points(steps, judged),
        "cost": comparison_cost(steps),
        "repeat": _repeat(steps, judged),
    }


def _ladder(judged: Row, sets: list[str]) -> Row:
    """Plots by parameters, and the multipliers of parameters: a row per data, size and budget, a column per set."""
    main: dict[tuple[str, int, int], Row] = {}
    other: dict[tuple[str, int, int], Row] = {}
    for row in judged.get("parameter_multipliers") or []:
        table = main if row["budget"] == judged["reference_budget"] else other
        table.setdefault((row["data"], row["parameters"], row["budget"]), {})[row["set"]] = row
    budget = plots_ladder.common_budget(judged)
    return {
        "reference": plots_ladder.data_arms(judged)[0],
        "budget": budget,
        "svg": {name: plots_ladder.by_parameters(judged, name) for name in sets} if budget else {},
        "rows": main,
        "other_budgets": other,
    }


def _law(judged: Row, sets: list[str]) -> Row | None:
    """The fitted laws: a plot and a column of parameters for each set where they are known, a note elsewhere."""
    found = sorted(judged.get("law") or [], key=lambda row: sets.index(row["set"]))
    if not found:
        return None
    known = [row for row in found if row["identified"]]
    names = plots_ladder.data_arms(judged)
    rows: dict[str, list[Row | None]] = {key: [row[key] for row in known] for key in _LAW}
    rows |= {f"B of {name}": [row["B"].get(name) for row in known] for name in names}
    several = dict.fromkeys(name for row in known for name in row["data_multiplier"])
    rows |= {f"multiplier of data, {name}": [row["data_multiplier"].get(name) for row in known] for name in several}
    notes: dict[str, list[str]] = {}
    for row in found:
        if not row["identified"]:
            notes.setdefault(row.get("note") or "It is not identified.", []).append(set_title(row["set"]))
    return {
        "sets": [row["set"] for row in known],
        "svg": {row["set"]: plots_ladder.law_fit(row, names) for row in known},
        "rows": rows,
        "residuals": [(row["rms_residual"], row["max_residual"]) for row in known],
        "notes": notes,
    }


def _trained(steps: Steps, judged: Row, names: list[str]) -> list[Row]:
    """One row per arm: what it was trained on and what that took, over all its seeds."""
    models = trainings(steps)
    of = data_of(judged) if judged.get("ladder") else {}
    rows = []
    for arm in names:
        group = models.get(arm)
        if not group:
            continue
        counters = group[0].counters
        unique, epochs = per_source(counters["unique_tokens"]), per_source(counters.get("epochs"))
        rows.append(
            {
                "arm": arm,
                "data": of.get(arm) or _data(steps, arm),
                "parameters": counters.get("parameters"),
                "tokens": counters.get("tokens"),
                "sources": [(source, count, epochs.get(source)) for source, count in unique.items()],
                "seeds": len(group),
                "flops": _flops(group),
                "seconds": sum(step.manifest.get("seconds") or 0 for step in group),
            }
        )
    return rows


def _data(steps: Steps, arm: str) -> str:
    """What an arm reads, in a few words from the settings of its selection."""
    data = data_arm(steps, arm)
    selection = steps.get(f"curation.select.{data}")
    config = (selection.manifest.get("config") or {}) if selection else {}
    parts = [str(config.get("filter", data))]
    if config.get("top_share") is not None:
        parts.append(f"best {100 * config['top_share']:g}\u00a0%")
    if config.get("min_edu") is not None:
        parts.append(f"edu from {config['min_edu']:g}")
    parts += ["lessons"] * bool(config.get("lessons"))
    training = steps[f"training.{arm}"].manifest.get("config") or {} if f"training.{arm}" in steps else {}
    if start := flat(training.get("finetune")).get("start_from"):
        parts.append(f"on top of {start}")
    return ", ".join(parts)


def _flops(models: list[Finished]) -> float | None:
    """Estimated floating-point operations of training, or None where a step does not count its parameters."""
    pairs = [(step.counters.get("parameters"), step.counters.get("tokens")) for step in models]
    return sum(FLOPS * n * d for n, d in pairs if n and d) if all(n and d for n, d in pairs) else None


def comparison_cost(steps: Steps) -> Row:
    """Seconds, peak memory and FLOPs by station, and how long comparing took beside training."""
    seconds: dict[str, float] = {}
    peak: dict[str, float] = {}
    count: dict[str, int] = {}
    for name, step in steps.items():
        station = name.partition(".")[0]
        seconds[station] = seconds.get(station, 0.0) + (step.manifest.get("seconds") or 0)
        peak[station] = max(peak.get(station, 0.0), step.manifest.get("peak_memory_mb") or 0)
        count[station] = count.get(station, 0) + 1
    flops = _flops([step for group in trainings(steps).values() for step in group])
    longest = max(seconds.values(), default=0) or 1
    judging = {name: seconds[name] for name in ("evaluation", "ablation", "report") if name in seconds}
    return {
        "stations": [
            {
                "name": name,
                "steps": count[name],
                "seconds": seconds[name],
                "part": round(100 * seconds[name] / longest, 1),
                "flops": flops if name == "training" else None,
                "peak": peak[name],
            }
            for name in sorted(seconds, key=station_rank)
        ],
        "seconds": sum(seconds.values()),
        "flops": flops,
        "peak": max(peak.values(), default=0),
        "judging": judging,
        "overhead": sum(judging.values()) / seconds["training"] if seconds.get("training") else None,
        "training": seconds.get("training"),
    }


def _repeat(steps: Steps, judged: Row) -> Row:
    """What must be the same in a repeat, and fingerprints to check that it is."""
    judge = steps.get("ablation.verdict")
    return {
        "steps": len(steps),
        "seeds": judged["seeds"],
        "versions": versions(steps),
        "identity": judge.manifest.get("identity") if judge else None,
        "orders": [
            (step.name, step.counters.get("data_order"), step.manifest.get("identity"))
            for group in trainings(steps).values()
            for step in group
        ],
    }
