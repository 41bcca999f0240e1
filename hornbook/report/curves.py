"""The page with the curves of trainings, finished or not: loss, learning rate, gradient norm, speed."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from hornbook import __version__
from hornbook.core.documents import atomic_write
from hornbook.core.errors import HornbookError
from hornbook.core.step import read_manifest, step_name
from hornbook.report import plots
from hornbook.report.html import environment

CURVES = "curves.html"
POINTS = 240  # of a branch on a plot; where there are more lines, each is a mean of neighbours
Line = dict[str, Any]
_PLOTS: dict[str, tuple[str, Callable[[list[Line]], np.ndarray]]] = {
    "loss": ("Loss, nats per token", lambda lines: _values(lines, "loss")),
    "lr": ("Learning rate, share of its peak", lambda lines: _values(lines, "lr")),
    "gradient_norm": ("Gradient norm", lambda lines: _values(lines, "gradient_norm")),
    "speed": ("Tokens per second", lambda lines: _speed(lines)),
    "update_ratio": ("Update ratio, |dw| / |w|", lambda lines: _values(lines, "update_ratio")),
    "measured": ("Held-out text, bits per byte", lambda lines: _values(lines, "measured")),
}


def write_curves(run: Path) -> Path:
    """Write `curves.html` of all trainings of a run into its folder. Raises HornbookError when none has begun."""
    # Of a training that is run again the newer folder counts, which is the unfinished one.
    paths = sorted((run / "steps").glob("*/curve.jsonl"), key=lambda path: path.stat().st_mtime)
    folders = dict(sorted((step_name(path.parent), path.parent) for path in paths))
    if not folders:
        raise HornbookError(f"No training of {run} has a curve yet.", "Wait for its first checkpoint.")
    trainings = [_training(name.removeprefix("training."), folder) for name, folder in folders.items()]
    page = environment().get_template("curves.html.j2")
    text = page.render(title=run.resolve().name, version=__version__, trainings=trainings)
    atomic_write(run / CURVES, text.encode())
    return run / CURVES


def _training(name: str, folder: Path) -> dict[str, Any]:
    lines = [{**line, "place": place} for place, line in enumerate(_read(folder / "curve.jsonl"))]
    branches = {str(branch): [line for line in lines if line["branch"] == branch] for branch in _branches(lines)}
    drawn = {}
    for key, (title, values) in _PLOTS.items():
        if any(np.isfinite(values(part)).any() for part in branches.values()):
            drawn[key] = (title, _plot(name, key, title, branches, values))
    samples = _read(folder / "samples.jsonl")
    last = {(line["branch"], line["prompt"]): line for line in samples}
    return {
        "name": name,
        "is_finished": read_manifest(folder) is not None,
        "last": lines[-1],
        "colours": {_label(branch): plots.arm_index(list(branches), branch) for branch in branches},
        "plots": {key: svg for key, (_, svg) in drawn.items()},
        "titles": {key: title for key, (title, _) in drawn.items()},
        "skipped": [line for line in lines if line.get("skipped")],
        "alarms": [line for line in lines if line.get("alarms")],
        "samples": list(last.values()),
    }


def _plot(
    name: str, key: str, title: str, branches: dict[str, list[Line]], values: Callable[[list[Line]], np.ndarray]
) -> str:
    figure, axes = plots.new_figure(height=2.8)
    for branch, lines in branches.items():
        x, y = _means(_values(lines, "tokens"), values(lines))
        colour = plots.ARM_INKS[plots.arm_index(list(branches), branch)]
        few = {"marker": "o", "markersize": 3.5} if len(x) < 30 else {}
        axes.plot(x, y, color=colour, linewidth=1.5, **few)
    _mark(axes, [line for lines in branches.values() for line in lines], key)
    axes.xaxis.set_major_formatter(lambda value, _: plots.short_number(value))
    axes.yaxis.set_major_formatter(lambda value, _: plots.short_number(value))
    if key in ("lr", "speed"):
        axes.set_ylim(bottom=0)
    axes.set_xlabel("training tokens")
    return plots.to_svg(figure, f"{name}-{key}", f"{title}, of {name} by training tokens.")


def _mark(axes: Any, lines: Sequence[Line], key: str) -> None:
    """Skipped steps as crosses on top, alarms about this plot's number as open circles where they rang."""
    skipped = [line["tokens"] for line in lines if line.get("skipped")]
    top = axes.get_xaxis_transform()
    axes.plot(skipped, [0.97] * len(skipped), "x", color=plots.ACCENT, markersize=7, markeredgewidth=2, transform=top)
    rung = [line for line in lines if key in line.get("alarms", ())]
    x, y = [line["tokens"] for line in rung], [line[key] for line in rung]
    axes.plot(x, y, "o", color=plots.ACCENT, fillstyle="none", markersize=8, markeredgewidth=1.5)


def _values(lines: Sequence[Line], key: str) -> np.ndarray:
    return np.array([np.nan if line.get(key) is None else line[key] for line in lines], float)


def _speed(lines: Sequence[Line]) -> np.ndarray:
    """Tokens per second between a line and the one some steps before it, as one step is too short to be timed."""
    tokens, seconds = _values(lines, "tokens"), _values(lines, "seconds")
    places = _values(lines, "place")
    back = max(1, len(lines) // POINTS)
    took, read = seconds[back:] - seconds[:-back], tokens[back:] - tokens[:-back]
    # Where a decay came between two pieces of the trunk, the time between them was not the trunk's.
    is_timed = (took > 0) & (places[back:] - places[:-back] == back)
    found = np.full(len(lines), np.nan)
    found[back:] = np.divide(read, took, out=np.full(len(took), np.nan), where=is_timed)
    return found


def _means(x: np.ndarray, y: np.ndarray) -> tuple[list[float], list[float]]:
    """The points with a number, at most POINTS of them."""
    x, y = x[np.isfinite(y)], y[np.isfinite(y)]
    parts = min(POINTS, len(x))
    if not parts:
        return [], []
    return tuple([float(p.mean()) for p in np.array_split(column, parts)] for column in (x, y))  # type: ignore[return-value]


def _branches(lines: Sequence[Line]) -> list[str | int]:
    """The trunk first, then budgets in their order."""
    return sorted({line["branch"] for line in lines}, key=lambda branch: (isinstance(branch, int), branch))


def _label(branch: str) -> str:
    return plots.short_number(int(branch)) if branch.isdigit() else branch


def _read(path: Path) -> list[Line]:
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []
