"""How many tokens does Muon with warmup-stable-decay need to be as good as AdamW with a cosine?

    python benchmarks/optimizer_comparison.py [--sizes 1M,4M] [--tokens 2000000] [--seeds 3]

Both learning rates are tuned with equal effort: the same number of values, a factor of two apart, at the full number
of tokens, with another seed than those that are compared; where the best is at an end, one more. AdamW is as in the
papers: one rate for all weights, weight decay 0.1, the gradient clipped at 1, a tenth of warmup, a cosine to a tenth of
the peak. One thread; goes on where an interrupted run ended. Writes its section of docs/BENCHMARKS.md, and
docs/optimizer-comparison.svg.
"""

import argparse
from pathlib import Path
from typing import Any

import numpy as np
from record import record
from trainings import Trainings

from hornbook.core.documents import atomic_write
from hornbook.model.presets import LADDER
from hornbook.report.plots import ARM_INKS, MARKERS, new_figure, short_number, standalone, to_svg
from hornbook.training.machine import Choices

ROOT = Path(__file__).parent.parent
GOAL = 0.6
WIDER = {"hidden_size": 256, "num_attention_heads": 4, "num_key_value_heads": 4, "intermediate_size": 704}
SHAPES = {"0.3M": LADDER["0.3M"], "1M": LADDER["1M"], "4M": {**WIDER, "num_hidden_layers": 4}}
SHARES = (0.2, 0.3, 0.4, 0.5, 0.6, 0.8, 1.0)  # of the tokens, at which Muon's models are finished: one trunk for all
RATES = {"muon": (0.0025, 0.005, 0.01, 0.02, 0.04), "adamw": (0.0005, 0.001, 0.002, 0.004, 0.008)}
NAMES = ("AdamW and cosine", "Muon and warmup-stable-decay")
TUNING_SEED = 100


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sizes", default="1M,4M", help="of 0.3M, 1M and 4M parameters, divided by commas")
    parser.add_argument("--tokens", type=int, default=2_000_000)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--dtype", choices=("float32", "bfloat16"), default="float32")
    parser.add_argument("--folder", type=Path, default=ROOT / "runs" / "optimizer-comparison")
    options = parser.parse_args()
    trainings = Trainings(options.folder, Choices(threads=1, compile=False, dtype=options.dtype, device="cpu"))
    sizes = {size: compared(trainings, size, options.tokens, options.seeds) for size in options.sizes.split(",")}
    atomic_write(ROOT / "docs" / "optimizer-comparison.svg", picture(sizes, options.tokens))
    record("Muon and AdamW", text(sizes, options.tokens, options.seeds))


def compared(trainings: Trainings, size: str, tokens: int, seeds: int) -> dict[str, Any]:
    """The best rates of one size, and with them the losses of every seed."""
    rates = {kind: tuned(trainings, size, kind, tokens) for kind in RATES}
    budgets = tuple(int(share * tokens) for share in SHARES)
    runs = []
    for seed in range(seeds):
        adamw = losses(trainings, size, "adamw", rates["adamw"], (tokens,), seed)[tokens]
        muon = losses(trainings, size, "muon", rates["muon"], budgets, seed)
        runs.append({"adamw": adamw, "muon": muon, "share": tokens_to_loss(muon, adamw) / tokens})
    return {"rates": rates, "runs": runs}


def tuned(trainings: Trainings, size: str, kind: str, tokens: int) -> float:
    """The best rate; where that is the first or the last one, the row goes on until it is neither."""
    found = {rate: losses(trainings, size, kind, rate, (tokens,), TUNING_SEED)[tokens] for rate in RATES[kind]}
    while (best := min(found, key=lambda rate: found[rate])) in (min(found), max(found)):
        rate = best * (2 if best == max(found) else 0.5)
        found[rate] = losses(trainings, size, kind, rate, (tokens,), TUNING_SEED)[tokens]
    return best


def losses(
    trainings: Trainings, size: str, kind: str, rate: float, budgets: tuple[int, ...], seed: int
) -> dict[int, float]:
    """Held-out losses by budget of one way of training."""
    settings: dict[str, Any] = {"optimizer": {"muon_lr": rate}}
    if kind == "adamw":
        optimizer = {"name": "adamw", "adamw": {"lr": rate}, "clip_norm": 1.0}
        settings = {"optimizer": optimizer, "schedule": "cosine", "final_lr_share": 0.1}
    settings |= {"budgets": budgets, "warmup_tokens": max(budgets) // 10, "seed": seed}
    return trainings.losses(model=SHAPES[size], **settings)


def tokens_to_loss(curve: dict[int, float], loss: float) -> float:
    """Where a curve of losses by tokens comes down to `loss`, linear in the logarithm of the tokens.

    The end of the curve where it starts below; infinite where it never gets there.
    """
    tokens, values = np.array(sorted(curve)), np.array([curve[t] for t in sorted(curve)])
    falling = np.minimum.accumulate(values)
    if loss < falling[-1]:
        return float("inf")
    if loss >= falling[0]:
        return float(tokens[0])
    return float(np.exp(np.interp(-loss, -falling, np.log(tokens))))


def text(sizes: dict[str, Any], tokens: int, seeds: int) -> str:
    lines = [
        f"Loss on held-out files of the standard library after at most {tokens:,} tokens, {seeds} seeds, one thread. "
        f"Both rates were tuned on another seed, over {len(RATES['muon'])} values or until the best was in the middle.",
        "",
        "| model | rate of AdamW | its loss | rate of Muon | its loss | tokens to AdamW's loss, as a share | |",
        "|---|---:|---:|---:|---:|---:|---|",
    ]
    for size, found in sizes.items():
        runs, rates = found["runs"], found["rates"]
        shares = [run["share"] for run in runs]
        adamw, muon = np.mean([r["adamw"] for r in runs]), np.mean([r["muon"][tokens] for r in runs])
        verdict = "reached" if np.median(shares) <= GOAL else "missed"
        lines.append(
            f"| {size} | {rates['adamw']:g} | {adamw:.3f} | {rates['muon']:g} | {muon:.3f} | "
            f"**{np.median(shares):.2f}** ({min(shares):.2f} to {max(shares):.2f}) | goal {GOAL}: {verdict} |"
        )
    return "\n".join([*lines, "", "![loss by tokens](optimizer-comparison.svg)"])


def picture(sizes: dict[str, Any], tokens: int) -> str:
    """Loss by tokens: Muon's curve and AdamW's end, a marker a size and a line a seed."""
    figure, axes = new_figure(height=3.2)
    for (size, found), marker in zip(sizes.items(), MARKERS, strict=False):
        for run in found["runs"]:
            x = sorted(run["muon"])
            axes.plot(x, [run["muon"][t] for t in x], color=ARM_INKS[1], marker=marker, markersize=4, linewidth=1.2)
            axes.plot([x[0], tokens], [run["adamw"]] * 2, color=ARM_INKS[0], linewidth=0.8, linestyle="--")
            axes.plot([tokens], [run["adamw"]], color=ARM_INKS[0], marker=marker, markersize=6)
        axes.annotate(size, (x[0], found["runs"][0]["muon"][x[0]]), textcoords="offset points", xytext=(6, 4))
    axes.set_xscale("log")
    axes.set_xticks(ticks := [tokens * share for share in SHARES[::2]], [short_number(t) for t in ticks])
    axes.set_xlabel("tokens")
    axes.set_ylabel("nats a token, held out")
    description = f"Loss by tokens of {' and '.join(sizes)} with both optimisers; dashed: where AdamW ends."
    return standalone(to_svg(figure, "optimizers", description), NAMES)


if __name__ == "__main__":
    main()
