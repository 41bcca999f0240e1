"""Write a benchmark's result into its section of docs/BENCHMARKS.md."""

import os
import platform
import re
from collections.abc import Iterable, Sequence
from datetime import date
from pathlib import Path
from typing import Any

from hornbook.report.comparison import comparison_cost
from hornbook.report.results import run_steps, verdict
from hornbook.training.trainer import read_choices

BENCHMARKS = Path(__file__).parent.parent / "docs" / "BENCHMARKS.md"
HEAD = "# Benchmarks\n\nEvery number here was written by a script in `benchmarks/`; `make bench` runs them all.\n"


def record(title: str, markdown: str) -> None:
    """Replace the section `title` of docs/BENCHMARKS.md (or append it) and print it."""
    text = BENCHMARKS.read_text() if BENCHMARKS.exists() else HEAD
    section = f"## {title}\n\n{markdown.strip()}\n\n*{date.today()}, {machine()}*\n"
    pattern = re.compile(rf"^## {re.escape(title)}\n.*?(?=^## |\Z)", re.M | re.S)
    if pattern.search(text):
        text = pattern.sub(lambda _: section + "\n", text)
    else:
        text = text.rstrip() + "\n\n" + section
    BENCHMARKS.write_text(text.rstrip() + "\n")
    print(section)


def markdown_table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table with a heading; cells are Markdown."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def judged_run(run: Path) -> dict[str, Any]:
    """What the verdict of a finished run says."""
    judged = verdict(run_steps(run))
    assert judged, f"{run} is not finished"
    return judged


def training_time(run: Path) -> str:
    """How long all models of a run trained together, and on how many threads."""
    minutes = comparison_cost(run_steps(run))["training"] / 60
    threads = read_choices(run / "steps" / "training.probe").threads
    return f"{minutes:.0f} minutes on {threads} thread{'s' * (threads > 1)}"


def machine() -> str:
    """CPU model and core count, as they stand beside each result."""
    model = platform.processor() or platform.machine()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists() and (match := re.search(r"model name\s*:\s*(.+)", cpuinfo.read_text())):
        model = match.group(1)
    return f"{os.cpu_count()} cores, {model}"
