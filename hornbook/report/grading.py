"""What `hornbook grade` says of its labels, its classifier and its cut, in lines for a terminal."""

from collections.abc import Iterator, Mapping
from typing import Any

from hornbook.report.classifier import about, calibration_bins, cell, metric_table

_WEAK = 0.4  # kappa, up to which agreement is called fair (Landis, Koch 1977)
_TARGETS = ("edu", "self", "level")


def agreement_lines(labels: Mapping[str, Any]) -> Iterator[str]:
    """Usable and failed answers, and how far the teacher agrees with itself."""
    failed = sum(labels["failed"].values())
    reasons = ", ".join(f"{reason} {count}" for reason, count in labels["failed"].items())
    yield (
        f"\nLabels: {labels['rows_out']:,} of {labels['rows_in']:,} passages ({labels['asked']:,} questions, "
        f"{labels['tokens']:,} tokens, {failed:,} failed{f': {reasons}' if failed else ''})"
    )
    agreement = labels["agreement"]
    if "edu" not in agreement:
        yield f"Agreement of the teacher with itself: not measured, {agreement['pairs']} passages were labelled twice"
        return
    yield f"Agreement of the teacher with itself, {agreement['pairs']} passages asked twice:"
    for target in _TARGETS:
        row = agreement[target]
        yield (
            f"  {target:<6} weighted kappa {cell(row['kappa'])}   Spearman {cell(row['spearman'])}"
            f"   equal {row['equal']:.0%}"
        )
    if (agreement["edu"]["kappa"]["value"] or 0) <= _WEAK:
        yield "  The teacher hardly agrees with itself: what a classifier learns from it is mostly noise."
    if (ceiling := agreement["edu"]["spearman"]["value"] or 0) > 0:
        yield f"  No classifier can be expected to reach more than about {ceiling**0.5:.2f} against these edu labels."


def quality_lines(report: Mapping[str, Any]) -> Iterator[str]:
    """Correlations on what the classifier has not seen, and its calibration."""
    heads, rows = metric_table(report)
    yield f"\nClassifier, {about(report)}, measured on labels that it has not seen:"
    yield "  " + f"{'':<44}" + "".join(f"{head:<36}" for head in heads)
    for name, *cells in rows:
        yield "  " + f"{name:<44}" + "".join(f"{value:<36}" for value in cells)
    yield "Calibration of edu:"
    for row in calibration_bins(report):
        low, high = row["interval"]
        interval = f" [{low:.2f}, {high:.2f}]" if low is not None else ""
        span = f"{row['low']:.1f} to {row['high']:.1f}"
        means = f"mean score {row['predicted']:.2f}, mean label {row['mean']:.2f}{interval}"
        yield f"  scored {span}: {means}, {row['labels']} labels"


def learning_lines(learning: Mapping[str, Any]) -> Iterator[str]:
    """Precision and recall of the cut, the learning curve, and what more labels would bring."""
    yield (
        f"\nOf the labelled passages, which hold more of what is rare than the corpus, {learning['useful_share']:.1%} "
        f"have edu {learning['useful']:g} or more. Their best {100 * learning['keep']:g}% by score:"
    )
    yield f"  precision {cell(learning['precision'])}   recall {cell(learning['recall'])}"
    yield "Learning curve, Spearman of edu on files left out:"
    for point in learning["curve"]:
        yield f"  trained on {point['trained_on']:>6,}: {cell(point['spearman'])}"
    if not learning["forecast"]:
        yield "  too few labels to say what more would bring"
    for row in learning["forecast"]:
        gain = row["gain"]
        if gain["value"] is not None:
            span = f"[{gain['low']:+.3f}, {gain['high']:+.3f}]"
            yield f"  {row['times']} times the labels: {gain['value']:+.3f} {span}, if the curve goes on as it began"


def kept_lines(kept: Mapping[str, Any]) -> Iterator[str]:
    """What the selection kept."""
    share = kept["bytes_out"] / max(kept["bytes_in"], 1)
    yield f"\nKept {kept['rows_out']:,} of {kept['rows_in']:,} passages, {share:.1%} of the bytes."
