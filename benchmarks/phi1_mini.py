"""phi-1's central table in miniature: raw, filtered, with a textbook, and fine-tuned on exercises.

    python benchmarks/phi1_mini.py

Runs recipes/phi-1-mini.yaml (about an hour on two cores), or goes on where an interrupted run ended, and writes its
section of docs/BENCHMARKS.md.
"""

from pathlib import Path

from record import judged_run, markdown_table, record, training_time

from hornbook.report.plots import short_number
from hornbook.report.results import SETS, arms, per_source, run_steps
from hornbook.run import run_recipe

ROOT = Path(__file__).parent.parent
RECIPE = ROOT / "recipes" / "phi-1-mini.yaml"
RUN = ROOT / "runs" / "phi-1-mini"


def table(judged: dict) -> str:
    """Markdown: an arm a row; pass rate of the exercises, multiplier and bits per byte on every set."""
    budget = judged["reference_budget"]
    sets = [name for name in SETS if name in judged["sets"]]
    found = {(row["set"], row["arm"]): row["bpb"] for row in judged["curves"] if row["budget"] == budget}
    passed = {row["arm"]: row for row in judged["executed"] if row["budget"] == budget}
    times = {row["arm"]: row["text"] for row in judged["multipliers"] if row["set"] == judged["verdict_set"]}
    head = ["arm", "exercises passed [95 %]", "worth in raw tokens, HumanEval", *(SETS[name] for name in sets)]
    lines = []
    for arm, row in passed.items():
        rate = f"{100 * row['pass_rate']:.1f} % [{100 * row['low']:.1f}, {100 * row['high']:.1f}]"
        lines.append([arm, rate, times.get(arm, "1"), *(f"{found[name, arm]:.3f}" for name in sets)])
    return markdown_table(head, lines)


def read(run: Path) -> str:
    """Markdown: what every arm read."""
    lines = []
    for name, arm in arms(run_steps(run)).items():
        cells = (
            ", ".join(f"{source} {text(value)}" for source, value in per_source(arm[key]).items())
            for key, text in (("unique_tokens", short_number), ("epochs", "{:.2f}".format))
        )
        lines.append([name, *cells])
    return markdown_table(["arm", "unique tokens", "epochs"], lines)


def main() -> None:
    run_recipe(RECIPE, RUN)
    publish(RUN)


def publish(run: Path) -> None:
    """Write the section of docs/BENCHMARKS.md."""
    judged, steps = judged_run(run), run_steps(run)
    size = max(row["parameters"] for row in judged["curves"])
    tuned = steps["training.finetuned"].manifest["config"]["finetune"]["tokens"]
    text = (
        f"Models of {short_number(size)} parameters at {short_number(judged['reference_budget'])} tokens, one seed; "
        f"`finetuned` goes on from `textbook` with {short_number(tuned)} tokens of exercises. Trained in "
        f"{training_time(run)}. *Exercises passed*: "
        f"{judged['executed'][0]['exercises']} beginner exercises, the most likely solution of each run against its "
        f"tests; what they ask for is in no training exercise. The other columns are bits per byte.\n\n{table(judged)}"
        f"\n\nWhat they read:\n\n{read(run)}\n"
    )
    record("phi-1 in miniature", text)


if __name__ == "__main__":
    main()
