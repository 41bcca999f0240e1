"""Ladders whose law is known: bits of texts under models of several sizes, data and budgets."""

from collections.abc import Callable

import numpy as np

from hornbook.ablation.cells import Arms, SetBits

SIZES, BUDGETS = (300_000, 1_000_000, 3_000_000, 10_000_000), (300_000, 600_000, 1_200_000)
E, A, ALPHA, BETA = 0.8, 30.0, 0.3, 0.35
B = {"raw": 90.0, "curated": 70.0}
WORTH = (B["raw"] / B["curated"]) ** (1 / BETA)

Rate = Callable[[float, float, str], float]  # bits per byte of a model size, a budget and a data


def planted(size: float, budget: float, data: str) -> float:
    """Bits per byte by the law."""
    return E + A / size**ALPHA + B[data] / budget**BETA


def ladder(
    rate: Rate = planted,
    data: tuple[str, ...] = ("raw", "curated"),
    sizes: tuple[int, ...] = SIZES,
    budgets: tuple[int, ...] = BUDGETS,
    noise: float = 0.0,
    seed: int = 0,
) -> tuple[SetBits, Arms]:
    """Three seeds, 120 texts. `noise`: spread between texts of one model; a tenth of it between seeds."""
    arms = {f"{name}-{size}": (name, size) for name in data for size in sizes}
    cells = [(arm, budget) for arm in arms for budget in budgets]
    rates_C = np.array([rate(arms[arm][1], budget, arms[arm][0]) for arm, budget in cells])
    rng, (S, N, C) = np.random.default_rng(seed), (3, 120, len(cells))
    bytes_N = rng.integers(80, 400, N).astype(float)
    hard_SNC = rng.normal(0, 0.4, (N, 1)) if noise else 0.0  # shared by all models: what pairing takes out
    luck_SNC = rng.normal(0, noise, (S, N, C)) + rng.normal(0, noise / 10, (S, 1, C))
    bits_SNC = bytes_N[:, None] * (rates_C + hard_SNC + luck_SNC)
    read, parameters = ({arm: pair[i] for arm, pair in arms.items()} for i in (0, 1))
    return SetBits("texts", cells, [0, 1, 2], bits_SNC, bytes_N), Arms(read, parameters, "raw", cells[-1][0])
