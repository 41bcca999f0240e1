"""Which source the next row comes from, so that at every row each source has had its share.

The problem is that of the chairman assignment (Tijdeman 1980, "The chairman assignment problem", Discrete Mathematics
32): an order exists in which the count of every one of n sources differs from its share by at most 1 - 1 / (2n - 2),
and it is found by serving, among the sources that have fallen behind, the one whose time runs out first. With shares of
a common denominator the order repeats, so that the counts at any row are found at once.
"""

import math
from collections.abc import Mapping
from fractions import Fraction
from functools import cached_property

import numpy as np

PERIOD = 100_000  # rows after which an order repeats, at most: shares are exact to 0.001 %


class Interleaving:
    """An endless, evenly spread order of sources with the given weights; only their ratio counts."""

    def __init__(self, weights: Mapping[str, float]) -> None:
        self.names = [name for name, weight in weights.items() if weight > 0]
        self.weights = [weights[name] for name in self.names]

    def before(self, row: int) -> dict[str, int]:
        """How many of the first `row` rows come from each source."""
        if len(self.names) == 1:
            return {self.names[0]: row}
        if len(self.names) == 2:  # Tijdeman's bound is 1/2: the count is the rounded share, and needs no table
            second = math.floor(row * (self.weights[1] / sum(self.weights)) + 0.5)
            return dict(zip(self.names, (row - second, second), strict=True))
        counts, table = self._table
        periods, rest = divmod(row, len(table) - 1)
        return {name: periods * counts[i] + int(table[rest, i]) for i, name in enumerate(self.names)}

    def next(self, row: int) -> str:
        """The source of a row."""
        counts, after = self.before(row), self.before(row + 1)
        return next(name for name in self.names if after[name] > counts[name])

    @cached_property
    def _table(self) -> tuple[list[int], np.ndarray]:
        """Rows of each source in a period, and how many of them come before each of its rows [period + 1, sources]."""
        count_S = _in_period(self.weights)
        period, S = sum(count_S), len(count_S)
        scale = 2 * S - 2
        table = np.zeros((period + 1, S), np.int32)
        done_S = [0] * S
        for row in range(1, period + 1):
            # All numbers are whole: multiples of 1 / (scale * period).
            due = [i for i in range(S) if scale * (count_S[i] * row - period * done_S[i]) >= period]
            chosen = min(due, key=lambda i: (scale * (done_S[i] + 1) - 1) * period // (scale * count_S[i]))
            done_S[chosen] += 1
            table[row] = done_S
        return count_S, table


def _in_period(weights: list[float]) -> list[int]:
    """Whole numbers in the ratio of the weights: exact with a sum up to PERIOD, else rounded by largest remainders."""
    exact = [Fraction(repr(float(weight))) for weight in weights]
    shares = [weight / sum(exact) for weight in exact]
    period = math.lcm(*(share.denominator for share in shares))
    if period <= PERIOD:
        return [int(share * period) for share in shares]
    counts = [math.floor(share * PERIOD) for share in shares]
    left = sorted(range(len(shares)), key=lambda i: counts[i] - shares[i] * PERIOD)
    for i in left[: PERIOD - sum(counts)]:
        counts[i] += 1
    return counts
