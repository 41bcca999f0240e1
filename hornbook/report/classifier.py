"""What the page shows of the classifier's report; parts that are missing are left out."""

from collections.abc import Mapping
from typing import Any

_NAMES = {
    "spearman_edu": "Spearman correlation, edu",
    "spearman_self": "Spearman correlation, self",
    "spearman_level": "Spearman correlation, level",
    "auc_edu": "AUC, edu",
    "average_precision_edu": "Average precision, edu",
}
_COUNTS = {"labels": "labelled passages", "files": "files", "packages": "packages"}


def metric_table(report: Mapping[str, Any]) -> tuple[list[str], list[list[str]]]:
    """Heads and rows of the table of metrics; a column per way of leaving passages out."""
    ways = [report[key] for key in ("cross_validation", "leave_package_out") if report.get(key)]
    heads = [
        f"{way.get('left_out', 'passages')} left out, {way['folds']} folds" + _times(way.get("repeats", 1))
        if "folds" in way
        else "left out"
        for way in ways
    ]
    names = dict.fromkeys(name for way in ways for name in way.get("metrics", {}))
    return heads, [[_name(name, report), *(cell(way["metrics"].get(name)) for way in ways)] for name in names]


def about(report: Mapping[str, Any]) -> str:
    """How many labels there are, and of what."""
    parts = [f"{report[key]:,} {what}" for key, what in _COUNTS.items() if key in report]
    return " of ".join(parts) or "labelled passages"


def calibration_bins(report: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The bins that have both a mean prediction and a mean label."""
    bins = report.get("calibration") or []
    return [row for row in bins if row.get("predicted") is not None and row.get("mean") is not None]


def _name(name: str, report: Mapping[str, Any]) -> str:
    useful = f" of at least {report['useful']:g}" if "useful" in report and not name.startswith("spearman") else ""
    return _NAMES.get(name, name.replace("_", " ")) + useful


def _times(repeats: int) -> str:
    return f", {repeats} times" if repeats > 1 else ""


def cell(metric: Mapping[str, Any] | None) -> str:
    """A value with its interval, or a dash."""
    if not metric or metric.get("value") is None:
        return "–"
    return f"{metric['value']:.2f} [{metric['low']:.2f}, {metric['high']:.2f}]"
