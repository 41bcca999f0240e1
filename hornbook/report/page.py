"""The report: self-contained HTML pages for people, results.json for programs."""

import json
from pathlib import Path
from typing import Any

import numpy as np

from hornbook import __version__
from hornbook.core.documents import atomic_write
from hornbook.report import comparison, plots
from hornbook.report.classifier import about, calibration_bins, metric_table
from hornbook.report.config import ReportConfig
from hornbook.report.html import TEMPLATES, environment
from hornbook.report.passages import GROUPS, by_score, leaks, score_table, thresholds
from hornbook.report.results import (
    Steps,
    arms,
    classifier,
    of,
    ordered,
    per_source,
    read_steps,
    results,
    set_title,
    step_row,
    verdict,
    versions,
    way,
)
from hornbook.report.sentences import kind

__all__ = ["TEMPLATES", "render", "report_step"]

_TITLES = {
    "corpus.files": "Files read",
    "corpus.held_out": "Files held out",
    "corpus.passages": "Files cut into passages",
    "curation.file_rules": "Rules for files",
    "curation.passage_rules": "Rules for passages",
    "curation.exact_duplicates": "Exact duplicates",
    "curation.scores": "Scored",
    "curation.near_clusters": "In clusters of near duplicates",
    "curation.near_duplicates": "Near duplicates, best score stays",
    "curation.near_duplicates_unscored": "Near duplicates, any one stays",
    "curation.decontamination": "Leaks of evaluation sets",
}


def report_step(inputs: dict[str, Path], out: Path, config: ReportConfig | None) -> dict[str, Any]:
    """Write `report.html`, `comparison.html` and `results.json` from the folders of all steps, by step name.

    Sections whose steps are missing are left out.
    """
    steps = read_steps(inputs)
    config = config or ReportConfig()
    if not config.title:
        config = config.model_copy(update={"title": out.resolve().parents[1].name})  # of run/steps/report.page
    atomic_write(out / "results.json", json.dumps(results(steps), indent=1))
    pages = {"report.html": render(steps, config), "comparison.html": comparison.render(steps, config)}
    for name, page in pages.items():
        atomic_write(out / name, page.encode())
    return {"bytes_out": sum(len(page.encode()) for page in pages.values()), "steps": len(steps)}


def render(steps: Steps, config: ReportConfig) -> str:
    """The page as text."""
    scores = score_table(steps)
    judged = verdict(steps)
    return (
        environment()
        .get_template("report.html.j2")
        .render(
            title=config.title,
            version=__version__,
            verdict=_verdict(steps, judged, config) if judged else None,
            arms=_arms(steps, judged),
            sources=steps["corpus.files"].counters.get("sources") if "corpus.files" in steps else None,
            way=[row | {"title": _title(row["name"]), "unit": _unit(row["name"])} for row in way(steps)],
            groups=GROUPS,
            scored=scores.num_rows if scores is not None else 0,
            passages=by_score(steps, scores, config.passages) if scores is not None else None,
            histogram=plots.histogram(scores["edu"].to_numpy(), thresholds(steps, scores))
            if scores is not None
            else None,
            classifier=_classifier(steps),
            samples=_samples(steps, judged.get("best_arm") if judged else None),
            agreement=of(steps, "deployment.export", "agreement.json"),
            leaks=leaks(steps, config.leaks),
            steps=_step_rows(steps),
            peak=max((step.manifest.get("peak_memory_mb") or 0 for step in steps.values()), default=0),
            versions=versions(steps),
            configs={name: step.manifest.get("config") for name, step in steps.items() if step.manifest.get("config")},
        )
    )


def _verdict(steps: Steps, judged: dict[str, Any], config: ReportConfig) -> dict[str, Any]:
    names = ordered([row["arm"] for row in judged["curves"]], [judged["reference_arm"]])
    cards = {arm: [row for row in judged["multipliers"] if row["arm"] == arm] for arm in names[1:]}
    cards = {arm: rows for arm, rows in cards.items() if rows}
    for rows in cards.values():
        rows.sort(key=lambda row: row["set"] != judged["verdict_set"])
    scale = _Scale([end for row in judged["multipliers"] for end in (row["low"], row["high"])])
    table = {(row["set"], row["arm"]): row for row in judged["curves"] if row["budget"] == judged["reference_budget"]}
    sets = ordered(judged["sets"], [judged["verdict_set"], *config.sets])
    return {
        **judged,
        "arms": names,
        "colours": {arm: plots.arm_index(names, arm) for arm in names},
        "cards": cards,
        "scale": scale,
        "table": table,
        "set_names": sets,
        "titles": {name: set_title(name) for name in sets},
        "curves_svg": comparison.curves(judged, [name for name in config.sets if name in judged["sets"]], names),
        "legend": comparison.legend(judged, names),
        "kind": kind(judged),
        "ladder": judged.get("ladder"),
        "sentence": comparison.sentence(steps, judged),
        "lowest": {name: min(table[name, arm]["bpb"] for arm in names) for name in sets},
    }


class _Scale:
    """A logarithmic axis from 0 to 100 % that holds 1 and all the values."""

    def __init__(self, values: list[float]) -> None:
        logs = np.log2([1.0, *values])
        self.low, self.high = np.floor(logs.min() * 2) / 2 - 0.15, np.ceil(logs.max() * 2) / 2 + 0.15
        self.ticks = [2.0**k for k in range(-6, 12) if self.low <= k <= self.high]

    def at(self, value: float) -> float:
        """Place of a value in percent."""
        return round(float(100 * (np.log2(value) - self.low) / (self.high - self.low)), 2)


def _arms(steps: Steps, judged: dict[str, Any] | None) -> list[dict[str, Any]]:
    """One row per trained arm and source of its tokens."""
    rows = []
    found = arms(steps)
    for arm in ordered(found, [judged["reference_arm"]] if judged else []):
        unique, epochs = per_source(found[arm]["unique_tokens"]), per_source(found[arm]["epochs"])
        for source in unique:
            rows.append({"arm": arm, "source": source, "unique": unique[source], "epochs": epochs.get(source)})
            rows[-1] |= {key: found[arm][key] for key in ("tokens", "tokens_per_second")}
    return rows


def _classifier(steps: Steps) -> dict[str, Any] | None:
    report = classifier(steps)
    if report is None:
        return None
    bins = calibration_bins(report)
    heads, rows = metric_table(report)
    svg = plots.calibration(bins) if bins else None
    return {"heads": heads, "rows": rows, "about": about(report), "calibration": svg}


def _samples(steps: Steps, exported: str | None) -> list[dict[str, Any]]:
    """Per prompt, the completions of every arm; the exported one comes first."""
    samples = of(steps, "deployment.export", "samples.json") or {}
    completions = samples.get("completions") or {}
    names = ordered(completions, [exported] if exported else [])
    titles = {name: f"{name}, the exported model" if name == exported else name for name in names}
    rows = zip(*(completions[name] for name in names), strict=False)
    return [{"prompt": row[0]["prompt"], "models": dict(zip(titles.values(), row, strict=True))} for row in rows]


def _step_rows(steps: Steps) -> list[dict[str, Any]]:
    rows = [step_row(step) for step in steps.values()]
    longest = max((row["seconds"] or 0 for row in rows), default=0) or 1
    return [row | {"part": round(100 * (row["seconds"] or 0) / longest, 1)} for row in rows]


def _title(name: str) -> str:
    if name.startswith("curation.select."):
        return f"Selected for {name.removeprefix('curation.select.')}"
    for prefix in sorted(_TITLES, key=len, reverse=True):
        if name == prefix or name.startswith(f"{prefix}."):
            return _TITLES[prefix] + name.removeprefix(prefix).replace(".", ", ")
    return name


def _unit(name: str) -> str:
    return "files" if name in ("corpus.files", "corpus.held_out", "curation.file_rules") else "passages"
