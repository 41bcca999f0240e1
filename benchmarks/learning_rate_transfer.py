"""Does one learning rate fit all sizes? Models of three sizes at several rates of Muon and of the embedding.

    python benchmarks/learning_rate_transfer.py [--tokens 200000] [--rates muon_lr,embedding_lr]

One thread; goes on where an interrupted run ended. Writes its section of docs/BENCHMARKS.md.
"""

import argparse
from pathlib import Path

from record import record
from trainings import Trainings

from hornbook.model.presets import LADDER
from hornbook.training.machine import Choices

ROOT = Path(__file__).parent.parent
SIZES = ("0.3M", "1M", "3M")
RATES = {"muon_lr": (0.0025, 0.005, 0.01, 0.02, 0.04), "embedding_lr": (0.01, 0.02, 0.04, 0.08, 0.16)}
DEFAULTS = {"muon_lr": 0.01, "embedding_lr": 0.04}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tokens", type=int, default=200_000)
    parser.add_argument("--rates", default="muon_lr,embedding_lr", help="what is varied, divided by commas")
    parser.add_argument("--dtype", choices=("float32", "bfloat16"), default="float32")
    parser.add_argument("--folder", type=Path, default=ROOT / "runs" / "learning-rate-transfer")
    options = parser.parse_args()
    trainings = Trainings(options.folder, Choices(threads=1, compile=False, dtype=options.dtype, device="cpu"))
    sections = [
        f"Held-out loss in nats a token of models of three sizes, {options.tokens:,} tokens of the standard library, "
        f"one seed, one thread, {options.dtype}. One rate is varied, the others "
        "stay at their defaults; the best of a row is bold."
    ]
    for name in options.rates.split(","):
        rates = RATES[name]
        found = {size: [loss(trainings, size, options.tokens, name, rate) for rate in rates] for size in SIZES}
        sections.append(table(name, rates, found))
    record("Learning rates across sizes", "\n\n".join(sections))


def loss(trainings: Trainings, size: str, tokens: int, name: str, rate: float) -> float:
    optimizer = {**DEFAULTS, name: rate}
    settings = {"budgets": (tokens,), "warmup_tokens": tokens // 10, "optimizer": optimizer}
    return trainings.losses(model=LADDER[size], **settings)[tokens]


def table(name: str, rates: tuple[float, ...], found: dict[str, list[float]]) -> str:
    """Markdown: a size a row, a rate a column, and what the default costs against the best of the row."""
    lines = [f"| {name} | " + " | ".join(f"{rate:g}" for rate in rates) + " | default above best |"]
    lines.append("|---" * (len(rates) + 2) + "|")
    for size, losses in found.items():
        best = min(losses)
        cells = [f"**{value:.3f}**" if value == best else f"{value:.3f}" for value in losses]
        excess = losses[rates.index(DEFAULTS[name])] / best - 1
        lines.append(f"| {size} | " + " | ".join(cells) + f" | {100 * excess:.1f} % |")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
