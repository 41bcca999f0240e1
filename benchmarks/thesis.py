"""The thesis over five seeds: how many times more raw tokens is better data worth? Table and picture of the README.

The laptop recipe with a longer curve of the raw arm, and every arm drawn and trained once per seed. What is there
already is not run again, so that more seeds can be added later. About 40 minutes on two cores.
"""

import argparse
import re
from pathlib import Path

from record import judged_run, markdown_table, record

from hornbook.compare import run_arms
from hornbook.core.documents import atomic_write
from hornbook.recipe import Recipe, load_recipe
from hornbook.report.plots import learning_curves, standalone
from hornbook.report.summary import decision

ROOT = Path(__file__).parent.parent
RUN = ROOT / "runs" / "thesis"
RAW_BUDGETS = (300_000, 600_000, 1_200_000, 2_400_000, 4_800_000)
RAW_BYTES = 24_000_000  # so that the largest budget is less than one epoch
SETS = {
    "humaneval": "HumanEval",
    "functions": "unseen packages",
    "held_out": "raw passages",
    "programs": "programs",
    "explained": "explained",
    "helpers": "helpers",
}


def thesis(seeds: int) -> Recipe:
    """The laptop recipe with a longer raw curve, other arms at the reference budget only, and several seeds."""
    recipe = load_recipe(ROOT / "recipes" / "laptop-python.yaml")
    ablation = recipe.ablation.model_copy(update={"seeds": seeds, "base_arm": "curated"})
    arms = []
    for arm in recipe.arms:
        raw = arm.name == ablation.reference_arm
        longer = {"budgets": RAW_BUDGETS, "max_bytes": RAW_BYTES}
        arms.append(arm.model_copy(update=longer if raw else {"budgets": (ablation.reference_budget,)}))
    return recipe.model_copy(update={"arms": tuple(arms), "ablation": ablation})


def table(judged: dict, arms: list[str]) -> str:
    """Markdown: an arm a row, the multiplier, and bits per byte at the reference budget on every set."""
    budget = judged["reference_budget"]
    bits = {(row["set"], row["arm"]): row["bpb"] for row in judged["curves"] if row["budget"] == budget}
    times = {row["arm"]: row["text"] for row in judged["multipliers"] if row["set"] == judged["verdict_set"]}
    rows = ([arm, times.get(arm, "1"), *(f"{bits[name, arm]:.3f}" for name in SETS)] for arm in arms)
    return markdown_table(["arm", "worth in raw tokens [95 %]", *SETS.values()], rows)


def details(judged: dict, arms: list[str]) -> str:
    """Markdown: the raw curve, the multiplier on every set, and every arm against the base arm."""
    raw = judged["reference_arm"]
    bits = {(row["set"], row["budget"]): row["bpb"] for row in judged["curves"] if row["arm"] == raw}
    budgets = sorted({budget for _, budget in bits})
    curve = ([f"{budget:,}", *(f"{bits[name, budget]:.3f}" for name in SETS)] for budget in budgets)
    times = {(row["set"], row["arm"]): row["text"] for row in judged["multipliers"]}
    worth = ([arm, *(times[name, arm] for name in SETS)] for arm in arms if arm != raw)
    against = ([row["arm"], SETS[row["set"]], _interval(row), decision(row)] for row in judged["differences"])
    return (
        f"\nThe {raw} curve:\n\n{markdown_table(['tokens', *SETS.values()], curve)}\n"
        f"\nWorth in {raw} tokens by set:\n\n{markdown_table(['arm', *SETS.values()], worth)}\n"
        f"\nBits per byte against {judged['differences'][0]['base']} (above 0: worse):\n\n"
        f"{markdown_table(['arm', 'set', 'difference [95 %]', 'decided'], against)}"
    )


def _interval(row: dict) -> str:
    return f"{row['value']:+.3f} [{row['low']:+.3f}, {row['high']:+.3f}]"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=5)
    recipe = thesis(parser.parse_args().seeds)
    run_arms(recipe, RUN)
    publish(judged_run(RUN), recipe)


def publish(judged: dict, recipe: Recipe) -> None:
    """Write the section of docs/BENCHMARKS.md, and table and picture of the README."""
    seeds = len(judged["seeds"])
    arms = [arm.name for arm in recipe.arms]
    model = recipe.training.model
    text = (
        f"Bits per byte at {judged['reference_budget']:,} tokens (lower is better), and how many times more raw tokens "
        f"do as well on HumanEval. {seeds} seeds; every arm the same model, {model.hidden_size} wide, "
        f"{model.num_hidden_layers} layers.\n\n{table(judged, arms)}"
    )
    record("The thesis", text + "\n" + details(judged, arms))
    readme = ROOT / "README.md"
    block = f"<!-- verdict -->\n{text}\n<!-- /verdict -->"
    atomic_write(
        readme, re.sub(r"<!-- verdict -->.*<!-- /verdict -->", lambda _: block, readme.read_text(), flags=re.S)
    )
    picture = standalone(learning_curves(judged, judged["verdict_set"], arms), arms)
    atomic_write(ROOT / "docs" / "learning-curves.svg", picture)


if __name__ == "__main__":
    main()
