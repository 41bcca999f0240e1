"""The table that closes a run."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hornbook.report.results import Steps, arms, ordered, per_source, run_steps, verdict
from hornbook.report.status import wide_console

if TYPE_CHECKING:
    from rich.console import Group
    from rich.table import Table


def print_summary(run: Path) -> None:
    """Print the closing table of a run; see `summary`."""
    wide_console().print(summary(run))


def summary(run: Path) -> "Group":
    """The closing table of a run, for rich: bits per byte and multipliers of the arms, and where the report is."""
    from rich.console import Group
    from rich.text import Text

    steps = run_steps(run)
    judged = verdict(steps)
    parts: list[Any] = []
    if judged is not None:
        parts.append(_verdict_table(judged))
        if judged.get("differences"):
            parts += ["", _difference_table(judged)]
    if arms(steps):
        parts += ["", _token_table(steps, [judged["reference_arm"]] if judged else [])]
    if judged is not None:
        note = f" ({judged['note']})" if judged["note"] else ""
        chosen = ", ".join(judged["choice_sets"])
        parts += ["", Text(f"Best arm, chosen on {chosen}: {judged['best_arm']}{note}")]
    page = Path(run) / "report.html"
    if page.exists():
        parts.append(Text(f"Report: {page}", no_wrap=True, overflow="ignore"))
    return Group(*parts)


def _verdict_table(judged: dict[str, Any]) -> "Table":
    """A row per arm; under each set bits per byte, for the verdict's set also the multiplier with its interval."""
    from rich.table import Table

    reference, budget, decisive = judged["reference_arm"], judged["reference_budget"], judged["verdict_set"]
    names = ordered(judged["sets"], [decisive])
    title = f"Bits per byte at {budget:,} tokens, and how many times more {reference} tokens do the same on {decisive}"
    table = Table(title=title, title_justify="left", title_style="bold", box=None, pad_edge=False)
    table.add_column("arm")
    table.add_column(f"{reference} tokens, 95 %")
    for name in names:
        table.add_column(name, justify="right")
    cells = {(row["arm"], row["set"]): row["bpb"] for row in judged["curves"] if row["budget"] == budget}
    times = {row["arm"]: row["text"] for row in judged["multipliers"] if row["set"] == decisive}
    for arm in ordered((row["arm"] for row in judged["curves"]), [reference]):
        style = "bold" if arm == judged["best_arm"] else None
        values = [f"{cells[arm, name]:.3f}" if (arm, name) in cells else "" for name in names]
        table.add_row(arm, times.get(arm, "1").replace("[", "\\["), *values, style=style)
    return table


def _difference_table(judged: dict[str, Any]) -> "Table":
    """A row per arm: how much worse or better than the base arm on the set of the verdict, and if that is decided."""
    from rich.table import Table

    rows = [row for row in judged["differences"] if row["set"] == judged["verdict_set"]]
    title = f"Bits per byte on {judged['verdict_set']} against {rows[0]['base']} (above 0: worse)"
    table = Table(title=title, title_justify="left", title_style="bold", box=None, pad_edge=False)
    for name in ("arm", "difference, 95 %", "p", "decided"):
        table.add_column(name, justify="left" if name in ("arm", "decided") else "right")
    for row in rows:
        interval = f"{row['value']:+.3f} \\[{row['low']:+.3f}, {row['high']:+.3f}]"
        table.add_row(row["arm"], interval, f"{row['p']:.3f}", decision(row))
    return table


def decision(row: Mapping[str, Any]) -> str:
    """Whether a difference is decided, and if not, what would decide it."""
    if row["decided"]:
        return "worse" if row["value"] > 0 else "better"
    ways = [f"{row[unit]:,} {unit}" for unit in ("seeds", "texts") if row[unit]]
    return f"no: it would take {' or '.join(ways)}" if ways else "no, and it is too small to be worth more runs"


def _token_table(steps: Steps, first: Iterable[str]) -> "Table":
    from rich.table import Table

    table = Table(box=None, pad_edge=False)
    table.add_column("arm")
    table.add_column("unique tokens")
    table.add_column("epochs")
    found = arms(steps)
    for arm in ordered(found, first):
        unique, epochs = per_source(found[arm]["unique_tokens"]), per_source(found[arm]["epochs"])
        table.add_row(
            arm,
            ", ".join(f"{source} {value:,.0f}" for source, value in unique.items()),
            ", ".join(f"{source} {value:.2f}" for source, value in epochs.items()),
        )
    return table
