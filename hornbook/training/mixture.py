"""Where every row of a run comes from: sources in their shares, phase after phase, none read more often than allowed.

All of it is a function of the row. No state to save: step n is the same after a resume.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from hornbook.core.errors import HornbookError
from hornbook.training.interleave import Interleaving

Positions = dict[str, int]  # how far each source has been read, in tokens with padding included


@dataclass(frozen=True)
class Phase:
    """Steps with one length of rows and one mixture: the trunk, or a decay."""

    step: int  # the first
    steps: int
    context: int
    weights: Mapping[str, float]


@dataclass(frozen=True)
class Stretch:
    """Rows of a phase in which the shares stay as they are."""

    row: int  # the first, counted from the start of the phase
    context: int
    start: Positions
    order: Interleaving

    def positions(self, row: int) -> Positions:
        """How far the sources have been read before a row of the phase."""
        counts = self.order.before(row - self.row)
        return {name: at + counts.get(name, 0) * self.context for name, at in self.start.items()}


def stretches(phase: Phase, start: Positions, rows: int, limits: Positions, stop: bool) -> list[Stretch]:
    """The stretches of the first `rows` rows of a phase; a new one begins where a source reaches its limit.

    From there on the others take its share in the ratio of their weights. Raises HornbookError when there are none, or
    when a limit is reached and `stop` says so.
    """
    weights, row, found = dict(phase.weights), 0, []
    while True:
        if not any(weights.values()):
            raise HornbookError(
                f"All sources are exhausted after {sum(start.values()):,} tokens.",
                "Raise max_epochs, lower the budgets, or add a source to the mixture.",
            )
        stretch = Stretch(row, phase.context, start, Interleaving(weights))
        row = _last_row(stretch, rows, limits)
        start = stretch.positions(row)
        found.append(stretch)
        if row == rows:
            return found
        name = stretch.order.next(row - stretch.row)
        if stop:
            raise HornbookError(
                f"The source `{name}` is exhausted after {sum(start.values()):,} tokens of all sources.",
                f"Raise max_epochs, lower the weight of `{name}`, or set when_exhausted: others.",
            )
        weights[name] = 0


def _last_row(stretch: Stretch, rows: int, limits: Positions) -> int:
    """The first row before which a source would have to go beyond its limit, or `rows`."""

    def fits(row: int) -> bool:
        positions = stretch.positions(row)
        return all(positions[name] <= limits.get(name, positions[name]) for name in stretch.order.names)

    low, high = stretch.row, rows  # fits(low) holds
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if fits(middle) else (low, middle - 1)
    return low
