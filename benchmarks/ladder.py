"""How many times more parameters does a model on raw data need? Models of four sizes on raw and on curated data.

    python benchmarks/ladder.py [--seeds 1]

Goes on where an interrupted run ended. About 40 minutes a seed on two cores. Writes its section of docs/BENCHMARKS.md,
and docs/ladder.svg.
"""

import argparse
from pathlib import Path

from record import judged_run, markdown_table, record, training_time

from hornbook.arms import laddered
from hornbook.compare import run_arms
from hornbook.core.documents import atomic_write
from hornbook.recipe import Recipe, load_recipe
from hornbook.report.comparison import comparison_cost
from hornbook.report.plots import short_number, standalone
from hornbook.report.plots_ladder import by_parameters, data_arms
from hornbook.report.results import SETS, run_steps

ROOT = Path(__file__).parent.parent
RUN = ROOT / "runs" / "ladder"
DATA, SIZES = ["curated"], ["0.3M", "3M", "10M"]  # and the recipe's own, of 1.3 M


def ladder(seeds: int) -> Recipe:
    """The ladder of the laptop recipe."""
    recipe = laddered(load_recipe(ROOT / "recipes" / "laptop-python.yaml"), DATA, SIZES)
    return recipe.model_copy(update={"ablation": recipe.ablation.model_copy(update={"seeds": seeds})})


def bits(judged: dict) -> str:
    """Markdown: bits per byte on the set of the verdict, a model a row and a budget a column."""
    rows = [row for row in judged["curves"] if row["set"] == judged["verdict_set"]]
    budgets = sorted({row["budget"] for row in rows})
    data = judged["ladder"]["data"]
    head = ["data", "parameters", *(f"{short_number(budget)} tokens" for budget in budgets)]
    lines = []
    models = sorted({(data[row["arm"]], row["parameters"]) for row in rows}, key=lambda m: (m[0] != "raw", m))
    for name, size in models:
        cells = {row["budget"]: row["bpb"] for row in rows if (data[row["arm"]], row["parameters"]) == (name, size)}
        lines.append([name, short_number(size), *(f"{cells[budget]:.3f}" for budget in budgets)])
    return markdown_table(head, lines)


def parameters(judged: dict) -> str:
    """Markdown: parameter multipliers from the reference budget on, a size a row and a set a column.

    The largest size is left out: of it only a bound of 1 can be known.
    """
    rows = {(row["budget"], row["parameters"], row["set"]): row for row in judged["parameter_multipliers"]}
    sets = [name for name in SETS if name in judged["sets"]]
    lines = []
    largest = max(size for _, size, _ in rows)
    for budget, size in sorted({key[:2] for key in rows}):
        if budget >= judged["reference_budget"] and size < largest:
            cells = (_multiplier(rows[budget, size, name]) for name in sets)
            lines.append([short_number(budget), short_number(size), *cells])
    return markdown_table(["tokens", "parameters", *(SETS[name] for name in sets)], lines)


def _multiplier(row: dict) -> str:
    """A multiplier with its interval; nothing but the bound where both ends are the same."""
    text: str = row["text"]
    return text.split(" [")[0] if row["low"] == row["high"] else text


def law(judged: dict) -> str:
    """Markdown: what the law says, a set a row."""
    lines = []
    for row in judged["law"]:
        cells = [_number(row["alpha"]), _number(row["beta"]), _number(row["data_multiplier"].get(DATA[0]), "x")]
        residual = f"{100 * row['rms_residual']:.2f} %" if row["rms_residual"] is not None else "–"
        lines.append([SETS[row["set"]], *cells, residual, row["note"]])
    return markdown_table(["set", "alpha", "beta", "curated tokens are worth", "rms residual", ""], lines)


def _number(found: dict | None, unit: str = "") -> str:
    return f"{found['value']:.2f}{unit} [{found['low']:.2f}, {found['high']:.2f}]" if found else "–"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=1)
    recipe = ladder(parser.parse_args().seeds)
    run_arms(recipe, RUN)
    publish(RUN)


def publish(run: Path) -> None:
    """Write the section of docs/BENCHMARKS.md and the picture."""
    judged, cost = judged_run(run), comparison_cost(run_steps(run))
    seeds = len(judged["seeds"])
    drawn = f"{seeds} seeds" if seeds > 1 else "one seed"
    text = (
        f"Models of four sizes on raw and on curated data at equal tokens, {drawn}. Training all of them took "
        f"{training_time(run)}; evaluation, verdict and report took {100 * cost['overhead']:.0f} % of that.\n\n"
        "![bits per byte by parameters](ladder.svg)\n\n"
        f"Bits per byte on HumanEval:\n\n{bits(judged)}\n\nHow many times more parameters a model on raw data "
        f"needs, at equal tokens, to be as good as one on curated data:\n\n{parameters(judged)}\n\nThe law E + A / "
        f"N^alpha + B / D^beta, fitted to all models of a set:\n\n{law(judged)}\n"
    )
    record("The ladder", text)
    picture = standalone(by_parameters(judged, judged["verdict_set"]), data_arms(judged))
    atomic_write(ROOT / "docs" / "ladder.svg", picture)


if __name__ == "__main__":
    main()
