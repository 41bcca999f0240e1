"""What each data decision of the laptop recipe brings: its best arm, and the same without one decision at a time.

    python benchmarks/leave_one_out.py [--seeds 3]

Goes on where an interrupted run ended. Writes its section of docs/BENCHMARKS.md.
"""

import argparse
from pathlib import Path

from record import judged_run, markdown_table, record

from hornbook.compare import leave_one_out, run_arms
from hornbook.recipe import Recipe, load_recipe
from hornbook.report.results import SETS
from hornbook.report.summary import decision

ROOT = Path(__file__).parent.parent
RUN = ROOT / "runs" / "leave-one-out"


def table(judged: dict) -> str:
    """Markdown: an arm a row, bits per byte against the base arm on every set, and whether it is decided."""
    rows = {(row["set"], row["arm"]): row for row in judged["differences"]}
    sets = [name for name in SETS if name in judged["sets"]]
    arms = dict.fromkeys(arm for _, arm in rows)
    cells = ([arm, *(_cell(rows[name, arm]) for name in sets)] for arm in arms)
    return markdown_table(["arm", *(SETS[name] for name in sets)], cells)


def _cell(row: dict) -> str:
    value = f"{row['value']:+.3f} [{row['low']:+.3f}, {row['high']:+.3f}]"
    return f"**{value}**" if row["decided"] else value


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=3)
    recipe = leave_one_out(load_recipe(ROOT / "recipes" / "laptop-python.yaml"))
    run_arms(recipe, RUN, parser.parse_args().seeds)
    publish(judged_run(RUN), recipe)


def publish(judged: dict, recipe: Recipe) -> None:
    """Write the section of docs/BENCHMARKS.md."""
    base, seeds = judged["differences"][0]["base"], len(judged["seeds"])
    open_ones = [
        f"- {row['arm']}: {decision(row)}"
        for row in judged["differences"]
        if row["set"] == judged["verdict_set"] and not row["decided"]
    ]
    text = (
        f"Bits per byte at {judged['reference_budget']:,} tokens above those of the arm `{base}`: what is lost without "
        f"each decision. {seeds} seeds, paired 95 % intervals; bold where the interval leaves 0 out. Below 0 the "
        f"decision does harm on that set.\n\n{table(judged)}\n"
    )
    if open_ones:
        text += "\nNot decided on HumanEval, and what would decide it:\n\n" + "\n".join(open_ones) + "\n"
    record("What each data decision brings", text)


if __name__ == "__main__":
    main()
