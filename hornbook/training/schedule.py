"""Which steps are run, and the learning rate of each of them.

Warmup-stable-decay (Hu et al. 2024, MiniCPM): one stable trunk, and a decay branched off for every budget. The model
of a budget has read the first `budget` tokens of the arm's order: the trunk up to the branch, then the decay. All
budgets together cost little more than the largest one alone.

A cosine (Loshchilov and Hutter 2017), linear or constant schedule knows its end from the start, so every budget is a
training of its own.
"""

import math
from dataclasses import dataclass

from hornbook.training.config import TrainConfig

TRUNK = "trunk"


@dataclass(frozen=True)
class Segment:
    """Steps `first` ... `last - 1` of the trunk, or of the branch that is named by its budget."""

    branch: str
    first: int
    last: int

    @property
    def is_decay(self) -> bool:
        return self.branch != TRUNK


def plan_segments(config: TrainConfig) -> list[Segment]:
    """What to run, in order: a piece of the trunk, the decay that branches off its end, the next piece ...

    Fine-tuning and schedules other than wsd have no trunk: every budget is a branch of its own, from step 0.
    """
    if config.finetune:
        return [Segment(str(budget), 0, config.finetune.tokens // config.batch_tokens) for budget in config.budgets]
    if config.schedule != "wsd":
        return [Segment(str(budget), 0, budget // config.batch_tokens) for budget in sorted(config.budgets)]
    segments, at = [], 0
    for budget in sorted(config.budgets):
        last = budget // config.batch_tokens
        first = last - max(1, round(config.decay_share * last))
        if first > at:
            segments.append(Segment(TRUNK, at, first))
            at = first
        segments.append(Segment(str(budget), first, last))
    return segments


def learning_rate_factor(step: int, segment: Segment, config: TrainConfig) -> float:
    """The learning rate of a step as a share of its peak: linearly up, and then as the schedule says."""
    if config.finetune:
        warmup = round(config.finetune.warmup_share * segment.last)
        return config.finetune.learning_rate * min(_up(step, warmup), _down(step, warmup, segment.last))
    warmup = config.warmup_tokens // config.batch_tokens
    factor = min(1.0, _up(step, warmup))
    if config.schedule == "wsd":
        return factor * _down(step, segment.first, segment.last) if segment.is_decay else factor
    if config.schedule == "constant":
        return factor
    left = min(1.0, _down(step, warmup, segment.last))
    if config.schedule == "cosine":
        left = (1 - math.cos(math.pi * left)) / 2
    return min(factor, config.final_lr_share + (1 - config.final_lr_share) * left)


def _up(step: int, steps: int) -> float:
    """Linearly up over `steps` steps; 1 is reached after them, and never 0."""
    return (step + 1) / (steps + 1)


def _down(step: int, first: int, last: int) -> float:
    """Linearly down from (nearly) 1 at step `first`; 0 would be reached at step `last`, which is not run."""
    return (last - step) / (last - first + 1)
