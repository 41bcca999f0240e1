"""How far a teacher agrees with itself when it is asked the same twice: the noise that no classifier can beat."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from hornbook.curation.classifier_report import estimate, spearman

_RESAMPLES = 200
_FEWEST = 10  # pairs, below which nothing is said


def self_agreement(
    pairs: Sequence[tuple[Mapping[str, int], Mapping[str, int]]], ranges: Mapping[str, tuple[float, float]]
) -> dict[str, Any]:
    """Per target: weighted kappa, Spearman correlation (each with a 95 % interval), and how often they were equal.

    Kappa has quadratic weights (Cohen 1968). None where it is not defined: too few pairs, or one value alone.
    """
    result: dict[str, Any] = {"pairs": len(pairs)}
    if len(pairs) < _FEWEST:
        return result
    rng = np.random.default_rng(0)
    samples = [np.arange(len(pairs)), *rng.integers(0, len(pairs), (_RESAMPLES, len(pairs)))]
    for target in ranges:
        first, second = np.array([[one[target], two[target]] for one, two in pairs]).T
        measures: dict[str, Callable[[np.ndarray, np.ndarray], float]] = {"kappa": kappa, "spearman": spearman}
        result[target] = {
            name: estimate([measure(first[s], second[s]) for s in samples]) for name, measure in measures.items()
        } | {"equal": round(float((first == second).mean()), 4)}
    return result


def kappa(first: np.ndarray, second: np.ndarray) -> float:
    """Quadratically weighted kappa: 1 - observed / expected squared difference; nan where all values are one."""
    expected = ((first[:, None] - second[None]) ** 2).mean()
    return float(1 - ((first - second) ** 2).mean() / expected) if expected else np.nan
