"""The arithmetic of the verdict: bits per byte of resampled texts, and how far along a curve a model is as good.

A curve goes along tokens (one model size, several budgets) or along parameters (one budget, several sizes). Both are
called amounts here.

Shapes: S seeds, N texts, C cells (an arm at a budget), K amounts of the reference curve, B resamples.
"""

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from scipy.optimize import isotonic_regression
from scipy.stats import norm
from scipy.stats import t as student

CONFIDENCE = 0.95
_EQUAL = 1 + 1e-12  # equal sums may differ in their last bits


@dataclass(frozen=True)
class Multiplier:
    """Reference tokens (or parameters) that match one of an arm's, with its interval.

    `beyond`: the reference never got there within its largest amount, so the number is a lower bound.
    `below`: it was there at its smallest amount already, so the number is an upper bound. The ends of the
    interval carry the same two flags.
    """

    multiplier: float
    low: float
    high: float
    beyond: bool = False
    below: bool = False
    low_beyond: bool = False
    low_below: bool = False
    high_beyond: bool = False
    high_below: bool = False

    def __str__(self) -> str:
        return (
            f"{_bound(self.multiplier, self.beyond, self.below)}x "
            f"[{_bound(self.low, self.low_beyond, self.low_below)}, "
            f"{_bound(self.high, self.high_beyond, self.high_below)}]"
        )

    def as_dict(self) -> dict[str, Any]:
        """Fields and the text that people read."""
        return {**asdict(self), "text": str(self)}


def resampled_bits_per_byte(
    bits_SNC: np.ndarray, bytes_N: np.ndarray, resamples: int, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Bits per byte of every cell [C], and the same for `resamples` bootstrap samples of the texts [B, C].

    Each sample draws N texts with replacement, the same ones for every cell, so that arms stay paired
    (Koehn 2004, "Statistical significance tests for machine translation evaluation"). With several seeds, each
    sample also draws S of them, again the same ones for every cell (see `seed_weights`). Seeds are averaged.
    """
    seeds, texts, _ = bits_SNC.shape
    text_weights_BN = text_weights(texts, resamples, rng)
    seed_weights_BS = seed_weights(seeds, resamples, rng)
    sums_BC = np.zeros((resamples, bits_SNC.shape[2]))
    for weights_B, bits_NC in zip(seed_weights_BS.T, bits_SNC, strict=True):
        sums_BC += weights_B[:, None] * (text_weights_BN @ bits_NC)
    point_C = bits_SNC.mean(axis=0).sum(axis=0) / bytes_N.sum()
    return point_C, sums_BC / (text_weights_BN @ bytes_N)[:, None]


def text_weights(texts: int, resamples: int, rng: np.random.Generator) -> np.ndarray:
    """How often [B, N] each of N texts is drawn in each resample; a row adds up to N."""
    return rng.multinomial(texts, np.full(texts, 1 / texts), size=resamples).astype(np.float64)


def seed_weights(seeds: int, resamples: int, rng: np.random.Generator) -> np.ndarray:
    """Weights [B, S] of S seeds in each resample; a row adds up to 1.

    A plain bootstrap of a handful is far too sure of itself. So what a draw differs from equal weights is widened
    to the interval of Student (1908) for a mean of S: by sqrt(S / (S - 1)) and by the ratio of the quantiles.
    """
    drawn_BS = rng.multinomial(seeds, np.full(seeds, 1 / seeds), size=resamples) / seeds
    if seeds == 1:
        return drawn_BS
    tail = (1 + CONFIDENCE) / 2
    widen = np.sqrt(seeds / (seeds - 1)) * student.ppf(tail, seeds - 1) / norm.ppf(tail)
    return 1 / seeds + widen * (drawn_BS - 1 / seeds)


def falling(curve_BK: np.ndarray) -> np.ndarray:
    """The closest curves [B, K] that never rise with larger amounts (isotonic regression, Barlow et al. 1972)."""
    fitted_BK = curve_BK.copy()
    for row in np.flatnonzero((np.diff(curve_BK, axis=1) > 0).any(axis=1)):
        fitted_BK[row] = isotonic_regression(curve_BK[row], increasing=False).x
    return fitted_BK


def amount_to_match(amounts_K: np.ndarray, curve_BK: np.ndarray, target_B: np.ndarray) -> np.ndarray:
    """Smallest amount [B] of tokens or parameters at which each curve is as low as its target.

    A curve is made monotone, and is linear in the log amount between its points (ascending). 0 where it is there at
    the smallest amount already, inf where it is not there at the largest.
    """
    curve_BK = falling(curve_BK)
    reached_BK = curve_BK <= target_B[:, None] * _EQUAL
    k_B = np.where(reached_BK.any(axis=1), reached_BK.argmax(axis=1), len(amounts_K))
    inner_B = (k_B > 0) & (k_B < len(amounts_K))
    k_B, row_B = np.where(inner_B, k_B, min(1, len(amounts_K) - 1)), np.arange(len(target_B))
    above_B, under_B = curve_BK[row_B, k_B - 1], curve_BK[row_B, k_B]
    log_K = np.log(amounts_K)
    with np.errstate(divide="ignore", invalid="ignore"):
        share_B = np.minimum((above_B - target_B) / (above_B - under_B), 1)
        amount_B = np.exp(log_K[k_B - 1] + share_B * (log_K[k_B] - log_K[k_B - 1]))
    return np.where(inner_B, amount_B, np.where(reached_BK[:, 0], 0.0, np.inf))


def multiplier(
    amounts_K: np.ndarray,
    amount: int,
    curve: tuple[np.ndarray, np.ndarray],
    arm: tuple[np.ndarray, np.ndarray],
) -> Multiplier:
    """Tokens or parameters that the reference needs to match an arm's bits per byte, over the `amount` the arm has.

    `curve` is the reference's ([K], [B, K]) and `arm` the arm's ([], [B]) from `resampled_bits_per_byte`.
    """
    point = amount_to_match(amounts_K, curve[0][None], np.reshape(arm[0], 1))
    low, high = interval(amount_to_match(amounts_K, curve[1], arm[1]))
    least, most = amounts_K[0] / amount, amounts_K[-1] / amount

    def clip(needed: float) -> tuple[float, bool, bool]:
        return float(np.clip(needed / amount, least, most)), bool(needed == np.inf), bool(needed == 0)

    (value, beyond, below), low_end, high_end = clip(point[0]), clip(low), clip(high)
    return Multiplier(
        value,
        low_end[0],
        high_end[0],
        beyond,
        below,
        low_beyond=low_end[1],
        low_below=low_end[2],
        high_beyond=high_end[1],
        high_below=high_end[2],
    )


def interval(samples_B: np.ndarray) -> tuple[float, float]:
    """Ends of the middle 95 % of the samples: two of the samples themselves, so that infinity stays infinity."""
    ordered = np.sort(samples_B)
    cut = int((1 - CONFIDENCE) / 2 * len(ordered))
    return float(ordered[cut]), float(ordered[len(ordered) - 1 - cut])


def _bound(value: float, beyond: bool, below: bool) -> str:
    sign = ">= " if beyond else "<= " if below else ""
    return f"{sign}{value:.2f}" if value < 0.995 else f"{sign}{value:.1f}"
