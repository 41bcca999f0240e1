"""The report: one self-contained HTML file for people, results.json for programs."""

import json
from pathlib import Path
from typing import Any

import numpy as np

from hornbook import __version__
from hornbook.core.documents import atomic_write
from hornbook.report import plots
from hornbook.report.classifier import about, calibration_bins, metric_table
from hornbook.report.config import ReportConfig
from hornbook.report.passages import GROUPS, by_score, leaks, score_table, thresholds
from hornbook.report.results import (
    SETS,
    Steps,
    arms,
    classifier,
    of,
    ordered,
    per_source,
    read_steps,
    results,
    step_row,
    verdict,
    versions,
    way,
)
from hornbook.report.summary import decision

TEMPLATES = Path(__file__).parent / "templates"
_LONGEST = 4000  # characters of a text on the page
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
    """Write `report.html` and `results.json` from the folders of all steps, by step name.

    Sections whose steps are missing are left out.
    """
    steps = read_steps(inputs)
    config = config or ReportConfig()
    if not config.title:
        config = config.model_copy(update={"title": out.resolve().parents[1].name})  # of run/steps/report.page
    atomic_write(out / "results.json", json.dumps(results(steps), indent=1))
    page = render(steps, config).encode()
    atomic_write(out / "report.html", page)
    return {"bytes_out": len(page), "steps": len(steps)}


def render(steps: Steps, config: ReportConfig) -> str:
    """The page as text."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "clean": clean,
        "number": number,
        "size": size,
        "duration": duration,
        "short": plots.short_number,
        "times": lambda text: text.replace("x [", "× [").replace(">= ", "≥\u00a0").replace("<= ", "≤\u00a0"),
        "percent": percent,
        "decision": decision,
        "pretty": lambda value: json.dumps(value, indent=1, ensure_ascii=False),
    }
    scores = score_table(steps)
    judged = verdict(steps)
    return environment.get_template("report.html.j2").render(
        title=config.title,
        version=__version__,
        css=(TEMPLATES / "report.css").read_text(),
        verdict=_verdict(judged, config) if judged else None,
        arms=_arms(steps, judged),
        sources=steps["corpus.files"].counters.get("sources") if "corpus.files" in steps else None,
        way=[row | {"title": _title(row["name"]), "unit": _unit(row["name"])} for row in way(steps)],
        groups=GROUPS,
        scored=scores.num_rows if scores is not None else 0,
        passages=by_score(steps, scores, config.passages) if scores is not None else None,
        histogram=plots.histogram(scores["edu"].to_numpy(), thresholds(steps, scores)) if scores is not None else None,
        classifier=_classifier(steps),
        samples=_samples(steps, judged.get("best_arm") if judged else None),
        agreement=of(steps, "deployment.export", "agreement.json"),
        leaks=leaks(steps, config.leaks),
        steps=_step_rows(steps),
        peak=max((step.manifest.get("peak_memory_mb") or 0 for step in steps.values()), default=0),
        versions=versions(steps),
        configs={name: step.manifest.get("config") for name, step in steps.items() if step.manifest.get("config")},
    )


def _verdict(judged: dict[str, Any], config: ReportConfig) -> dict[str, Any]:
    names = ordered([row["arm"] for row in judged["curves"]], [judged["reference_arm"]])
    cards = {arm: [row for row in judged["multipliers"] if row["arm"] == arm] for arm in names[1:]}
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
        "titles": {name: SETS.get(name, name) for name in sets},
        "curves_svg": {
            name: plots.learning_curves(judged, name, names) for name in config.sets if name in judged["sets"]
        },
        "against": _against(judged),
        "sweep_svg": {name: plots.sweep(judged, name) for name in sets} if judged.get("sweep") else {},
        "lowest": {name: min(table[name, arm]["bpb"] for arm in names) for name in sets},
    }


def _against(judged: dict[str, Any]) -> dict[str, Any] | None:
    """The paired differences by arm and set."""
    rows: dict[str, dict[str, Any]] = {}
    for row in judged.get("differences", []):
        rows.setdefault(row["arm"], {})[row["set"]] = row
    return {"base": judged["differences"][0]["base"], "rows": rows} if rows else None


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


def clean(text: Any) -> str:
    """A text that may stand in HTML: no control characters or lone surrogates, and not endless."""
    kept = "".join(c if c in "\n\t" or (c >= " " and not "\x7f" <= c <= "\x9f") else "�" for c in str(text)[:_LONGEST])
    kept = kept.encode("utf-8", "replace").decode()
    return kept + ("\n…" if len(str(text)) > _LONGEST else "")


def number(value: Any) -> str:
    """A count with thin separators, or a dash."""
    return "–" if value is None else f"{value:,.0f}".replace(",", "\u202f")


def size(value: Any) -> str:
    """Bytes in decimal units."""
    if value is None:
        return "–"
    for unit, scale in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if value >= scale:
            return f"{value / scale:.3g} {unit}" if value < 999.5 * scale else f"{value / scale:,.0f} {unit}"
    return f"{value:.0f} B"


def duration(seconds: Any) -> str:
    """Seconds as "3.2 s", "4 min 05 s" or "1 h 02 min"."""
    if seconds is None:
        return "–"
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest:02} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60:02} min"


def percent(share: float) -> str:
    """A share in percent; nearly none and nearly all are not rounded to none and all."""
    value = 100 * share
    if 0 < value < 0.1:
        return "< 0.1\u00a0%"
    if 99 < value < 100:
        return f"{min(value, 99.9):.1f}\u00a0%"
    return f"{value:.0f}\u00a0%" if value >= 10 or value == 0 else f"{value:.1f}\u00a0%"
