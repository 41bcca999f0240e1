"""The plots of the page as inline SVG: small, legible on a phone, in the colours of the page, light or dark.

Matplotlib draws with placeholder colours, which become the page's CSS variables; text stays text.
"""

import io
import re
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

import numpy as np

# Placeholder -> CSS variable. Arms get the colours arm-0 (the reference, muted), arm-1, arm-2 ... in turn.
INK, MUTED, GRID, ACCENT = "#010102", "#010103", "#010104", "#010105"
ARM_COLOURS = 6
ARM_INKS = [f"#0102{index:02x}" for index in range(ARM_COLOURS)]
_VARIABLES = {INK: "ink", MUTED: "muted", GRID: "line", ACCENT: "accent"}
_VARIABLES |= {colour: f"arm-{index}" for index, colour in enumerate(ARM_INKS)}
MARKERS = "osD^vP"
STYLE: dict[Any, Any] = {
    "svg.fonttype": "none",
    "font.size": 10,
    "text.color": INK,
    "axes.edgecolor": GRID,
    "axes.labelcolor": MUTED,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "xtick.minor.size": 0,
    "grid.color": GRID,
    "grid.linewidth": 0.6,
    "path.simplify": True,
}


def arm_index(arms: Sequence[str], arm: str) -> int:
    """Number of an arm's colour and marker: 0 for the first, which is the reference."""
    place = arms.index(arm)
    return place if place < ARM_COLOURS else 1 + (place - 1) % (ARM_COLOURS - 1)


def learning_curves(verdict: Mapping[str, Any], name: str, arms: Sequence[str]) -> str:
    """Bits per byte against tokens of all arms on one set. From every arm at the reference budget an arrow goes
    to the point where the reference is as good: its length is the multiplier, the band its interval."""
    reference, budget = verdict["reference_arm"], verdict["reference_budget"]
    points: dict[str, list[tuple[float, float]]] = {}
    for row in verdict["curves"]:
        if row["set"] == name:
            points.setdefault(row["arm"], []).append((row["budget"], row["bpb"]))
    figure, axes = new_figure(height=3.5)
    for arm in arms:
        if arm in points:
            x, y = zip(*sorted(points[arm]), strict=True)
            index = arm_index(arms, arm)
            style = {"color": ARM_INKS[index], "marker": MARKERS[index], "markersize": 4.5, "linewidth": 1.8}
            axes.plot(x, y, zorder=2 if arm == reference else 3, **style)
    budgets = sorted({x for curve in points.values() for x, _ in curve})
    axes.set_xscale("log")
    axes.set_xticks(budgets, [short_number(x) for x in budgets])
    axes.minorticks_off()
    axes.set_xlim(budgets[0] / 1.12, budgets[-1] * 1.12)
    axes.set_xlabel("training tokens")
    axes.set_title("bits per byte (lower is better)", loc="left", fontsize=9, color=MUTED)
    _mark_multipliers(axes, verdict, name, arms, budget)
    said = "; ".join(f"{row['arm']} {row['text']}" for row in verdict["multipliers"] if row["set"] == name)
    return to_svg(figure, f"curves-{name}", f"Learning curves on {name}. Multipliers: {said}.")


def sweep(verdict: Mapping[str, Any], name: str) -> str:
    """Bits per byte at the reference budget against the value that was swept, with 95 % intervals."""
    setting, values = verdict["sweep"]["setting"], verdict["sweep"]["values"]
    budget, reference = verdict["reference_budget"], verdict["reference_arm"]
    rows = {r["arm"]: r for r in verdict["curves"] if r["set"] == name and r["budget"] == budget}
    points = sorted((value, rows[arm]) for arm, value in values.items() if arm in rows)
    figure, axes = new_figure(height=3.2)
    x, y = [value for value, _ in points], [row["bpb"] for _, row in points]
    axes.axhline(rows[reference]["bpb"], color=ARM_INKS[0], linewidth=1, linestyle=(0, (3, 3)))
    axes.plot(x, y, color=ARM_INKS[2], marker="D", markersize=4.5, linewidth=1.8)
    axes.vlines(
        x, [r["low"] for _, r in points], [r["high"] for _, r in points], color=ARM_INKS[2], linewidth=5, alpha=0.2
    )
    if min(x) > 0 and max(x) > 10 * min(x):
        axes.set_xscale("log")
        axes.minorticks_off()
    axes.set_xticks(x, [f"{value:g}" if value < 1000 else short_number(value) for value in x])
    axes.set_xlabel(setting)
    axes.set_title("bits per byte (dashed: " + reference + ")", loc="left", fontsize=9, color=MUTED)
    said = "; ".join(f"{value:g}: {row['bpb']:.3f}" for value, row in points)
    return to_svg(figure, f"sweep-{name}", f"{name} by {setting}. {said}.")


def differences(verdict: Mapping[str, Any], name: str) -> str:
    """How far every arm is from the base arm on one set, with 95 % intervals; what is decided stands out."""
    rows = [row for row in verdict["differences"] if row["set"] == name and row["arm"] != verdict["reference_arm"]]
    rows = rows[::-1]  # the first on top
    figure, axes = new_figure(height=0.9 + 0.3 * len(rows))
    axes.grid(axis="y", visible=False)
    axes.axvline(0, color=MUTED, linewidth=1, linestyle=(0, (3, 3)))
    for place, row in enumerate(rows):
        colour = ACCENT if row["decided"] else MUTED
        axes.plot([row["low"], row["high"]], [place, place], color=colour, linewidth=5, alpha=0.3)
        axes.plot(row["value"], place, color=colour, marker="o", markersize=5)
    axes.set_yticks(range(len(rows)), [row["arm"] for row in rows])
    axes.set_ylim(-0.7, len(rows) - 0.3)
    axes.margins(x=0.08)
    axes.set_title(f"bits per byte above {rows[0]['base']}", loc="left", fontsize=9, color=MUTED)
    said = "; ".join(f"{row['arm']} {row['value']:+.3f}" for row in rows[::-1])
    return to_svg(figure, f"differences-{name}", f"Differences from {rows[0]['base']} on {name}. {said}.")


def _mark_multipliers(axes: Any, verdict: Mapping[str, Any], name: str, arms: Sequence[str], budget: int) -> None:
    low, high = axes.get_ylim()
    taken: list[float] = []
    rows = {row["arm"]: row for row in verdict["multipliers"] if row["set"] == name}
    for row in verdict["curves"]:
        found = rows.get(row["arm"])
        if row["set"] != name or row["budget"] != budget or found is None:
            continue
        y, colour = row["bpb"], ARM_INKS[arm_index(arms, row["arm"])]
        head = budget * found["multiplier"]
        axes.plot([budget * found["low"], budget * found["high"]], [y, y], color=colour, linewidth=7, alpha=0.22)
        arrow = {"arrowstyle": "-|>", "color": colour, "linewidth": 1.2, "linestyle": (0, (3, 2))}
        arrow |= {"shrinkA": 3, "shrinkB": 0}
        axes.annotate("", (head, y), (budget, y), arrowprops=arrow)
        if all(abs(y - other) > 0.06 * (high - low) for other in taken):
            taken.append(y)
            # Beside the head of the arrow; where it points to the left, or to the edge, there is room elsewhere.
            if found["multiplier"] < 1:
                place = {"xy": (budget, y), "xytext": (8, -3), "ha": "left"}
            elif found["beyond"]:
                place = {"xy": (head, y), "xytext": (-4, 5), "ha": "right"}
            else:
                place = {"xy": (head, y), "xytext": (4, 3), "ha": "left"}
            axes.annotate(_times(found), textcoords="offset points", color=colour, fontweight="bold", **place)


def calibration(bins: Sequence[Mapping[str, Any]]) -> str:
    """Mean label against mean prediction; a bin has `predicted`, `mean`, `labels` and maybe an `interval`."""
    figure, axes = new_figure(height=3.4)
    predicted, labelled = ([row[key] for row in bins] for key in ("predicted", "mean"))
    ends = [0, max(1, np.ceil(max(*predicted, *labelled)))]
    axes.plot(ends, ends, color=MUTED, linewidth=1, linestyle=(0, (3, 3)))
    for row in bins:
        low, high = row.get("interval") or (None, None)
        if low is not None and high is not None:
            axes.plot([row["predicted"]] * 2, [low, high], color=ACCENT, linewidth=5, alpha=0.3)
    size = np.array([row.get("labels", 1) for row in bins], float)
    axes.scatter(predicted, labelled, s=14 + 90 * size / size.max(), color=ACCENT, zorder=3)
    axes.set_xlabel("predicted educational value")
    axes.set_title("mean label", loc="left", fontsize=9, color=MUTED)
    return to_svg(figure, "calibration", "Calibration: mean label against mean prediction.")


def histogram(scores: np.ndarray, thresholds: Mapping[str, float]) -> str:
    """How the educational value of the scored passages is spread, and where arms cut."""
    counts, edges = np.histogram(scores, bins=50, range=(0, 5))
    figure, axes = new_figure(height=3.4)
    axes.stairs(counts, edges, fill=True, color=ACCENT, alpha=0.75)
    axes.set_ylim(0, 1.2 * max(counts.max(), 1))
    for place, value in enumerate(sorted(set(thresholds.values()))):
        names = ", ".join(name for name, limit in thresholds.items() if limit == value)
        axes.axvline(value, color=INK, linewidth=1.2)
        axes.annotate(
            f"{names}: from {value:.2f}",
            (value, 1),
            xytext=(-4 if value > 2.5 else 4, -9 - 13 * place),
            ha="right" if value > 2.5 else "left",
            color=INK,
            xycoords=("data", "axes fraction"),
            textcoords="offset points",
        )
    axes.yaxis.set_major_formatter(lambda value, _: short_number(value))
    axes.set_xlabel("predicted educational value")
    axes.set_title("passages", loc="left", fontsize=9, color=MUTED)
    return to_svg(figure, "histogram", "Distribution of the educational value of passages.")


def short_number(value: float) -> str:
    """1234567 -> "1.2 M"; three digits at most."""
    for size, unit in ((1e9, " G"), (1e6, " M"), (1e3, " k")):
        if abs(value) >= size * 0.3 and abs(value) >= 1000:
            return f"{value / size:.3g}{unit}"
    return f"{value:.3g}"


def _times(found: Mapping[str, Any]) -> str:
    sign = "≥ " if found["beyond"] else "≤ " if found["below"] else ""
    value = found["multiplier"]
    return f"{sign}{value:.2f}×" if value < 0.995 else f"{sign}{value:.1f}×"


def new_figure(height: float) -> tuple[Any, Any]:
    """Axes of 4.5 inches width at 72 units each: on a phone and on a laptop text comes out at 10 to 12 pixels."""
    import matplotlib
    from matplotlib.figure import Figure

    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(4.5, height), layout="constrained")
        axes = figure.add_subplot()
        axes.grid(axis="y")
        axes.set_axisbelow(True)
        axes.tick_params(length=0)
    return figure, axes


def to_svg(figure: Any, salt: str, description: str) -> str:
    """The figure as an SVG element: no size of its own, no metadata, ids only where they are used."""
    import matplotlib

    buffer = io.StringIO()
    with matplotlib.rc_context({**STYLE, "svg.hashsalt": salt}):
        figure.savefig(buffer, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
    text = buffer.getvalue()
    text = text[text.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>|<!--.*?-->|<defs>\s*<style.*?</style>\s*</defs>", "", text, flags=re.S)
    used = set(re.findall(r'#([\w-]+)["\)]', text))
    text = re.sub(r' id="([^"]+)"', lambda match: match[0] if match[1] in used else "", text)
    for colour, variable in _VARIABLES.items():
        text = text.replace(colour, f"var(--{variable})")
    # Two digits of a coordinate are enough; the text between the tags keeps all of its own.
    text = re.sub(r"<[^>]*>", lambda tag: re.sub(r"(\d+\.\d{2})\d+", r"\1", tag[0]), text)
    text = re.sub(r"font: ([^;\"]*?)(\d+(?:\.\d+)?px) [^;\"]*", r"font: \1\2 var(--sans)", text)
    size = re.search(r'viewBox="([^"]*)"', text)
    label = escape(description)
    head = f'<svg viewBox="{size[1] if size else ""}" role="img" aria-label="{label}">'
    return re.sub(r"\s*\n\s*", "\n", head + text[text.index(">") + 1 :])


def standalone(svg: str, arms: Sequence[str]) -> str:
    """An inline plot as a file of its own, with the colours of the page and a legend of the arms on top."""
    colours = (Path(__file__).parent / "templates" / "report.css").read_text().split("* {")[0]
    left, top, width, height = (float(number) for number in re.findall(r"[-\d.]+", svg[: svg.index(">")])[:4])
    legend, at = "", left + 4
    for arm in arms:
        style = f"fill: var(--arm-{arm_index(arms, arm)}); font: bold 11px var(--sans)"
        legend += f'<text x="{at:.0f}" y="{top - 6:.0f}" style="{style}">{arm}</text>'
        at += 7 * len(arm) + 14
    space = 'xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink"'
    box = f"{left:g} {top - 22:g} {width:g} {height + 22:g}"
    head = re.sub(
        r'^<svg viewBox="[^"]*"', f'<svg {space} width="{2 * width:g}" viewBox="{box}"', svg[: svg.index(">") + 1]
    )
    paper = f'<rect x="{left:g}" y="{top - 22:g}" width="{width:g}" height="{height + 22:g}" fill="var(--paper)"/>'
    return f"{head}<style>{colours}</style>{paper}{legend}{svg[svg.index('>') + 1 :]}"
