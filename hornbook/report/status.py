"""`hornbook status`: what of a run is done."""

import json
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hornbook.core.step import step_name
from hornbook.report.results import Steps, run_steps, station_rank

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

LOG_WIDTH = 160  # columns
PLAN = "plan.json"  # of a run folder: the names of all steps of its recipe, in order


def status(run: Path, curves: bool = False) -> None:
    """Print the state of a run and of the steps that its recipe plans; see `status_table`.

    With `curves` the page with the curves of its trainings is written too.
    """
    try:
        expected = json.loads((Path(run) / PLAN).read_text())
    except (OSError, ValueError):
        expected = []
    wide_console().print(status_table(run, expected))
    if curves:
        from hornbook.report.curves import write_curves

        print(f"The curves are in {write_curves(Path(run))}.")


def wide_console() -> "Console":
    """A console that does not squeeze tables where there is no terminal whose width counts."""
    from rich.console import Console

    console = Console(soft_wrap=False)
    return console if console.is_terminal else Console(width=max(console.width, LOG_WIDTH))


def status_table(run: Path, expected: Sequence[str] = ()) -> "Table":
    """State, age, seconds, rows and memory of every step, as a table for rich.

    `expected` names the steps of the recipe, in order: those without a folder are missing. Raises HornbookError
    when there is no run in the folder.
    """
    from rich.table import Table

    steps = run_steps(run)
    partial = _partial(run)
    table = Table(title=str(run), title_justify="left", title_style="bold", box=None, pad_edge=False)
    table.add_column("step", no_wrap=True, overflow="fold")
    for column in ("state", "age"):
        table.add_column(column, no_wrap=True)
    for column in ("seconds", "rows in", "rows out", "memory"):
        table.add_column(column, justify="right", no_wrap=True)
    known = sorted({*steps, *partial} - set(expected), key=lambda name: (station_rank(name), _at(steps, name)))
    for name in [*expected, *known]:
        if name in partial:
            table.add_row(name, "[yellow]partial", _age(partial[name]), "", "", "", "")
        elif name in steps:
            manifest, counters = steps[name].manifest, steps[name].counters
            table.add_row(
                name,
                "[green]done",
                _age(manifest.get("created")),
                f"{manifest.get('seconds', 0):,.1f}",
                _count(counters.get("rows_in")),
                _count(counters.get("rows_out", counters.get("kept"))),
                f"{manifest.get('peak_memory_mb', 0):,.0f} MB",
            )
        else:
            table.add_row(name, "[red]missing", "", "", "", "", "")
    return table


def _partial(run: Path) -> dict[str, float]:
    """Unfinished steps with the time when something was last written for them."""
    found = {}
    for folder in (Path(run) / "steps").glob(".partial-*"):
        name = step_name(folder)
        found[name] = max(path.stat().st_mtime for path in (folder, *folder.iterdir()))
    return found


def _at(steps: Steps, name: str) -> float:
    return steps[name].manifest.get("created", 0) if name in steps else time.time()


def _age(created: Any) -> str:
    if not created:
        return ""
    seconds = max(time.time() - created, 0)
    for size, unit in ((86_400, "d"), (3600, "h"), (60, "min")):
        if seconds >= size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.0f} s"


def _count(value: Any) -> str:
    return "" if value is None else f"{value:,}"
