"""Alarms: a gradient, a loss or an update that is far from what it was.

Medians are taken over the last lines of the curve and over nothing else, so that a resumed run rings as an undisturbed
one.
"""

import math
from collections import deque
from collections.abc import Iterable, Mapping
from statistics import median
from typing import Any

import torch

from hornbook.training.config_monitor import AlarmConfig

WINDOW = 100  # lines of the curve
ENOUGH = 20  # of them, before anything rings
SAMPLE = 4096  # weights of every tensor that the update ratio is measured on


class Alarms:
    """The running medians of one way through trunk and branch; `lines` of the curve lead to where it begins."""

    def __init__(self, config: AlarmConfig, lines: Iterable[Mapping[str, Any]]) -> None:
        self.config = config
        self._norms: deque[float] = deque(maxlen=WINDOW)
        self._losses: deque[float] = deque(maxlen=WINDOW)
        for line in lines:
            self.see(line)

    def see(self, line: Mapping[str, Any]) -> None:
        """Take a line of the curve into the medians."""
        if line["loss"] is not None:
            self._losses.append(line["loss"])
            self._norms.append(line["gradient_norm"])

    def check(self, loss: float, norm: float, ratio_at_peak: float | None) -> dict[str, str]:
        """What is wrong at a step, in words, by the name of the alarm.

        `ratio_at_peak`: |dw| / |w| divided by the learning rate's share of its peak, where it was measured.
        """
        config, found = self.config, {}
        if len(self._norms) >= ENOUGH:
            usual, usual_loss = median(self._norms), median(self._losses)
            if config.gradient_norm is not None and norm > config.gradient_norm * usual:
                found["gradient_norm"] = f"the gradient norm, {norm:.3g}, is {norm / usual:.3g} times its median"
            if config.loss is not None and loss > usual_loss + config.loss:
                found["loss"] = f"the loss, {loss:.2f}, is {loss - usual_loss:.2f} above its median"
        if config.update_ratio is not None and ratio_at_peak is not None:
            low, high = config.update_ratio
            if not low <= ratio_at_peak <= high:
                found["update_ratio"] = (
                    f"an update at the peak rate is {ratio_at_peak:.2g} of the weights, outside {low:g} to {high:g}"
                )
        return found


def sample_weights(weights: Iterable[torch.Tensor]) -> list[torch.Tensor]:
    """Copies of at most SAMPLE evenly spaced numbers of every tensor."""
    # An odd stride goes through all columns of a matrix whose width is a power of two.
    return [w.flatten()[:: (w.numel() // SAMPLE) | 1].clone() for w in weights]


def update_ratio(before: Iterable[torch.Tensor], weights: Iterable[torch.Tensor]) -> float:
    """|dw| / |w| over all weights together, from samples taken before an update; 0 where all weights were 0."""
    weights = list(weights)
    squares = []
    for old, new, weight in zip(before, sample_weights(weights), weights, strict=True):
        scale = weight.numel() / old.numel()
        squares.append(scale * torch.stack([(new - old).square().sum(), old.square().sum()]))
    moved, length = torch.stack(squares).sum(0).tolist()
    return math.sqrt(moved / length) if length else 0.0
