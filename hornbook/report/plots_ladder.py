"""The plots of a ladder, where the same data trains models of several sizes: one colour for each data arm."""

from collections.abc import Mapping, Sequence
from typing import Any

from hornbook.report.plots import (
    ARM_INKS,
    GRID,
    MARKERS,
    MUTED,
    STYLE,
    arm_index,
    new_figure,
    short_number,
    to_svg,
)
from hornbook.report.sentences import data_of, parameter_row

Row = Mapping[str, Any]


def data_arms(judged: Row) -> list[str]:
    """The data arms of a ladder; that of the reference comes first."""
    of = data_of(judged)
    return list(dict.fromkeys([of[judged["reference_arm"]], *of.values()]))


def common_budget(judged: Row) -> int | None:
    """The largest budget that all arms of the ladder were trained on."""
    budgets: dict[str, set[int]] = {}
    for row in judged["curves"]:
        budgets.setdefault(row["arm"], set()).add(row["budget"])
    common = set.intersection(*budgets.values())
    return max(common) if common else None


def by_parameters(judged: Row, name: str) -> str:
    """Bits per byte on one set against parameters, at the largest common budget. An arrow leads from a model to the
    size at which the reference's data is as good: its length is the multiplier of parameters."""
    budget, names = common_budget(judged), data_arms(judged)
    figure, axes = new_figure(height=3.5)
    sizes: set[int] = set()
    for data in names:
        rows = [row for row in _rows(judged, name, data) if row["budget"] == budget]
        rows.sort(key=lambda row: row["parameters"])
        x, colour, marker = [row["parameters"] for row in rows], *_look(names, data)
        sizes |= set(x)
        axes.fill_between(x, [row["low"] for row in rows], [row["high"] for row in rows], color=colour, alpha=0.12)
        axes.plot(x, [row["bpb"] for row in rows], color=colour, marker=marker, markersize=4.5, linewidth=1.8)
        if found := parameter_row(judged, name, data, budget):
            at = {row["parameters"]: row["bpb"] for row in rows}
            _arrow(axes, found, at[found["parameters"]], colour)
    _size_axis(axes, sorted(sizes), "parameters")
    axes.set_title("bits per byte (lower is better)", loc="left", fontsize=9, color=MUTED)
    return to_svg(figure, f"parameters-{name}", f"Bits per byte on {name} by parameters, at {budget} tokens.")


def curves(judged: Row, name: str) -> str:
    """Bits per byte on one set against tokens, a line for each data and size: the larger the model, the thicker."""
    names = data_arms(judged)
    figure, axes = new_figure(height=3.5)
    sizes = sorted({row["parameters"] for data in names for row in _rows(judged, name, data)})
    budgets = sorted({row["budget"] for data in names for row in _rows(judged, name, data)})
    for data in names:
        colour, marker = _look(names, data)
        for place, parameters in enumerate(sizes):
            rows = sorted(
                (row for row in _rows(judged, name, data) if row["parameters"] == parameters),
                key=lambda row: row["budget"],
            )
            x, y = [row["budget"] for row in rows], [row["bpb"] for row in rows]
            wide = 0.8 + 1.6 * place / max(len(sizes) - 1, 1)
            axes.plot(x, y, color=colour, marker=marker, markersize=2 + wide, linewidth=wide)
    _size_axis(axes, budgets, "training tokens; thicker: more parameters")
    axes.set_title("bits per byte (lower is better)", loc="left", fontsize=9, color=MUTED)
    return to_svg(figure, f"curves-{name}", f"Learning curves on {name} for models of {len(sizes)} sizes.")


def law_fit(row: Row, names: Sequence[str]) -> str:
    """What the law says of every cell against what was measured; below, how far it is off."""
    import matplotlib
    from matplotlib.figure import Figure

    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(4.5, 4.2), layout="constrained")
        fit, off = figure.subplots(2, 1, sharex=True, height_ratios=[3, 1.2])
    cells = row["cells"]
    ends = [min(cell[key] for key in ("bpb", "fitted") for cell in cells)]
    ends.append(max(cell[key] for key in ("bpb", "fitted") for cell in cells))
    fit.plot(ends, ends, color=MUTED, linewidth=1, linestyle=(0, (3, 3)))
    off.axhline(0, color=MUTED, linewidth=1, linestyle=(0, (3, 3)))
    for data in names:
        colour, marker = _look(names, data)
        own = [cell for cell in cells if cell["data"] == data]
        measured = [cell["bpb"] for cell in own]
        fit.plot(measured, [cell["fitted"] for cell in own], color=colour, marker=marker, markersize=4.5, linestyle="")
        residuals = [100 * cell["residual"] for cell in own]
        off.plot(measured, residuals, color=colour, marker=marker, markersize=4.5, linestyle="")
    for axes in (fit, off):
        axes.grid(axis="y", color=GRID)
        axes.set_axisbelow(True)
        axes.tick_params(length=0)
    off.set_xlabel("measured bits per byte")
    fit.set_title("predicted by the law", loc="left", fontsize=9, color=MUTED)
    off.set_title("residual, %", loc="left", fontsize=9, color=MUTED)
    worst = f"largest residual {100 * row['max_residual']:.2f} %"
    return to_svg(figure, f"law-{row['set']}", f"Predicted against measured bits per byte on {row['set']}, {worst}.")


def _rows(judged: Row, name: str, data: str) -> list[Row]:
    """The cells of one data arm on a set; their sizes may come from any of its arms."""
    of = data_of(judged)
    return [row for row in judged["curves"] if row["set"] == name and of[row["arm"]] == data]


def _look(names: Sequence[str], data: str) -> tuple[str, str]:
    index = arm_index(names, data)
    return ARM_INKS[index], MARKERS[index]


def _arrow(axes: Any, found: Row, y: float, colour: str) -> None:
    start = found["parameters"]
    head = start * found["multiplier"]
    axes.plot([start * found["low"], start * found["high"]], [y, y], color=colour, linewidth=7, alpha=0.22)
    arrow = {"arrowstyle": "-|>", "color": colour, "linewidth": 1.2, "linestyle": (0, (3, 2)), "shrinkA": 3}
    axes.annotate("", (head, y), (start, y), arrowprops=arrow | {"shrinkB": 0})
    sign = "≥ " if found["beyond"] else "≤ " if found["below"] else ""
    place = {"xytext": (-4, 5), "ha": "right"} if found["beyond"] else {"xytext": (4, 3), "ha": "left"}
    label = f"{sign}{found['multiplier']:.1f}×"
    axes.annotate(label, (head, y), textcoords="offset points", color=colour, fontweight="bold", **place)


def _size_axis(axes: Any, values: Sequence[int], label: str) -> None:
    """A logarithmic axis with a tick at every measured value that leaves room for its label."""
    axes.set_xscale("log")
    shown: list[int] = []
    for value in values:
        if not shown or value > 1.3 * shown[-1]:
            shown.append(value)
    axes.set_xticks(shown, [short_number(value) for value in shown])
    axes.minorticks_off()
    axes.set_xlim(values[0] / 1.12, values[-1] * 1.12)
    axes.set_xlabel(label)
