"""Four curves where others give one point: repetition, lessons, the classifier's threshold, and the order of levels.

    python benchmarks/sweeps.py [--seeds 2]

Each is one `hornbook sweep` of the laptop recipe (about five minutes on two cores) and one plot in docs/. Goes on where
an interrupted run ended. Writes its section of docs/BENCHMARKS.md.
"""

import argparse
from pathlib import Path

from record import judged_run, markdown_table, record

from hornbook.arms import swept
from hornbook.compare import run_arms
from hornbook.core.documents import atomic_write
from hornbook.recipe import Recipe, load_recipe
from hornbook.report.plots import short_number, standalone, sweep
from hornbook.report.results import SETS, arms, per_source, run_steps

ROOT = Path(__file__).parent.parent
SWEEPS = {
    "repetition": ("curated", "max_bytes=100_000,250_000,500_000,1_000_000,4_000_000", "Epochs over scarce data"),
    "lessons": ("textbook", "lesson_share=0,0.15,0.3,0.5,0.75", "Share of lessons"),
    "threshold": ("curated", "top_share=0.005,0.01,0.02,0.05,0.15", "Share that the classifier keeps"),
    "curriculum": ("curated", "training.curriculum=-1,-0.5,0,0.5,1", "Order by level: 1 easy first, -1 hard first"),
}


def only_at_reference(recipe: Recipe) -> Recipe:
    """The recipe without the other budgets of the reference arm: a sweep is read by bits per byte, not in tokens."""
    budgets = (recipe.ablation.reference_budget,)
    return recipe.model_copy(update={"arms": tuple(arm.model_copy(update={"budgets": budgets}) for arm in recipe.arms)})


def table(judged: dict, run: Path) -> str:
    """Markdown: a value a row; what was read, and bits per byte on every set."""
    values = judged["sweep"]["values"]
    sets = [name for name in SETS if name in judged["sets"]]
    found = {(row["set"], row["arm"]): row["bpb"] for row in judged["curves"]}
    read = arms(run_steps(run))
    head = [judged["sweep"]["setting"], "unique tokens", "epochs", *(SETS[name] for name in sets)]
    lines = []
    for arm, value in sorted(values.items(), key=lambda item: item[1]):
        unique, epochs = per_source(read[arm]["unique_tokens"]), per_source(read[arm]["epochs"])
        cells = [f"{value:g}" if value < 1000 else short_number(value)]
        cells += [", ".join(f"{source} {short_number(count)}" for source, count in unique.items())]
        cells += [", ".join(f"{epochs[source]:.2f}" for source in unique)]
        lines.append([*cells, *(f"{found[name, arm]:.3f}" for name in sets)])
    return markdown_table(head, lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=2)
    seeds = parser.parse_args().seeds
    sections = []
    for name, (arm, setting, title) in SWEEPS.items():
        recipe = only_at_reference(swept(load_recipe(ROOT / "recipes" / "laptop-python.yaml"), arm, setting))
        run = ROOT / "runs" / f"sweep-{name}"
        run_arms(recipe, run, seeds)
        judged = judged_run(run)
        picture = standalone(sweep(judged, judged["verdict_set"]), [arm])
        atomic_write(ROOT / "docs" / f"sweep-{name}.svg", picture)
        command = f"hornbook sweep recipes/laptop-python.yaml {arm} {setting} --seeds {seeds}"
        sections.append(
            f"### {title}\n\n`{command}`\n\n![HumanEval by {judged['sweep']['setting']}](sweep-{name}.svg)\n\n"
            f"{table(judged, run)}"
        )
        record("Sweeps", f"Bits per byte at 600,000 tokens, {seeds} seeds.\n\n" + "\n\n".join(sections))


if __name__ == "__main__":
    main()
