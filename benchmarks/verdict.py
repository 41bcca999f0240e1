"""The verdict of the laptop recipe over several seeds, and the table and picture of the README.

The first seed is that of the recipe itself, in the folder of `make demo`: what is there already is not run again.
"""

import argparse
import re
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from record import record

from hornbook.ablation.verdict import verdict
from hornbook.core.documents import atomic_write
from hornbook.recipe import load_recipe
from hornbook.report.plots import learning_curves
from hornbook.run import run_recipe

ROOT = Path(__file__).parent.parent
RECIPE = ROOT / "recipes" / "laptop-python.yaml"
SETS = {"humaneval": "HumanEval", "functions": "unseen packages", "held_out": "raw passages"}


def runs(seeds: int) -> list[Path]:
    """Run folders of the recipe, one per seed, brought up to date."""
    folders = []
    for seed in range(seeds):
        folder, recipe = ROOT / "runs" / "laptop-python", RECIPE
        if seed:
            folder = ROOT / "runs" / f"laptop-python-seed-{seed}"
            folder.mkdir(parents=True, exist_ok=True)
            recipe = folder / "recipe.yaml"
            recipe.write_text(re.sub(r"^seed: .*$", f"seed: {seed}", RECIPE.read_text(), flags=re.M))
        run_recipe(recipe, folder)
        folders.append(folder)
    return folders


def table(judged: dict) -> str:
    """Markdown: an arm a row, bits per byte at the reference budget on every set, and the multiplier."""
    budget = judged["reference_budget"]
    bits = {(row["set"], row["arm"]): row["bpb"] for row in judged["curves"] if row["budget"] == budget}
    times = {row["arm"]: row["text"] for row in judged["multipliers"] if row["set"] == judged["verdict_set"]}
    lines = ["| arm | worth in raw tokens [95 %] | " + " | ".join(SETS.values()) + " |", "|---" * (len(SETS) + 2) + "|"]
    for arm in dict.fromkeys(row["arm"] for row in judged["curves"]):
        cells = " | ".join(f"{bits[name, arm]:.3f}" for name in SETS)
        lines.append(f"| {arm} | {times.get(arm, '1')} | {cells} |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=3)
    seeds = parser.parse_args().seeds
    folders = runs(seeds)
    bits = [
        pq.read_table(path) for folder in folders for path in sorted(folder.glob("steps/evaluation.*/bits.parquet"))
    ]
    config = load_recipe(RECIPE).ablation
    judged = verdict(pa.concat_tables(bits), config)
    note = judged["note"] or f"{seeds} seeds"
    text = (
        f"Bits per byte at {config.reference_budget:,} tokens (lower is better), and how many times more raw tokens do "
        f"as well on HumanEval ({note}; every arm the same model, 128 wide, 4 layers).\n\n{table(judged)}"
    )
    record("The verdict", text)
    readme = ROOT / "README.md"
    block = f"<!-- verdict -->\n{text}\n<!-- /verdict -->"
    atomic_write(
        readme, re.sub(r"<!-- verdict -->.*<!-- /verdict -->", lambda _: block, readme.read_text(), flags=re.S)
    )
    arms = list(dict.fromkeys(row["arm"] for row in judged["curves"]))
    atomic_write(ROOT / "docs" / "learning-curves.svg", learning_curves(judged, config.verdict_set, arms))


if __name__ == "__main__":
    main()
