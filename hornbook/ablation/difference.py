"""The paired difference of two arms on the same texts and seeds, and what it would take to decide it.

Shapes: S seeds, N texts, B resamples.
"""

from dataclasses import asdict, dataclass
from math import ceil, inf
from typing import Any

import numpy as np
from scipy.stats import norm

from hornbook.ablation.multiplier import CONFIDENCE, interval, seed_weights, text_weights

POWER = 0.8
# Standard errors that a difference must have to be found with this power at this confidence.
_ENOUGH = float(norm.ppf((1 + CONFIDENCE) / 2) + norm.ppf(POWER))


@dataclass(frozen=True)
class Difference:
    """Bits per byte of an arm minus those of another: below 0, the arm is better. (Of pass rates: above 0.)

    `p` is twice the share of resamples on the other side of 0. `seeds` and `texts` are the numbers that would decide
    a difference of this size, each with the other number as it is; None where no number would.
    """

    value: float
    low: float
    high: float
    p: float
    seeds: int | None
    texts: int | None

    @property
    def decided(self) -> bool:
        """The interval leaves 0 out."""
        return self.low > 0 or self.high < 0

    def as_dict(self) -> dict[str, Any]:
        """Fields, and whether it is decided."""
        return {**asdict(self), "decided": self.decided}


def paired_difference(
    bits_SN: np.ndarray, other_SN: np.ndarray, bytes_N: np.ndarray, resamples: int, rng: np.random.Generator
) -> Difference:
    """Compare two arms by a paired bootstrap over texts and seeds (Koehn 2004); 1 byte a text gives plain means."""
    delta_SN = bits_SN - other_SN
    S, N = delta_SN.shape
    value = float(delta_SN.mean(axis=0).sum() / bytes_N.sum())
    text_weights_BN = text_weights(N, resamples, rng)
    per_seed_BS = (text_weights_BN @ delta_SN.T) / (text_weights_BN @ bytes_N)[:, None]
    samples_B = (per_seed_BS * seed_weights(S, resamples, rng)).sum(axis=1)
    low, high = interval(samples_B)
    wrong = min(np.mean(samples_B >= 0), np.mean(samples_B <= 0))
    p = min(1.0, 2 * max(float(wrong), 1 / resamples))

    # Variance of the mean, from the texts with these seeds, and from the seeds with these texts.
    of_texts = float(per_seed_BS.mean(axis=1).var())
    of_seeds = float(np.var(delta_SN.sum(axis=1) / bytes_N.sum(), ddof=1)) / S if S > 1 else 0.0
    allowed = (value / _ENOUGH) ** 2
    seeds, texts = _needed(S, of_seeds, allowed - of_texts), _needed(N, of_texts, allowed - of_seeds)
    if low <= 0 <= high and seeds is not None and seeds <= S:
        # Student's interval for so few seeds is wider than the estimate knows; another one narrows it most.
        seeds, texts = S + 1, texts if texts and texts > N else None
    return Difference(value, low, high, p, seeds, texts)


def _needed(count: int, variance: float, allowed: float) -> int | None:
    """How many draws bring a variance that `count` of them have now down to what is allowed."""
    if variance == 0:
        return count if allowed > 0 else None
    needed = count * variance / allowed if allowed > 0 else inf
    return max(1, ceil(needed)) if needed < 1e9 else None
