"""Warmup-stable-decay (Hu et al. 2024, MiniCPM): one stable trunk, and a decay branched off for every budget.

The model of a budget has read the first `budget` tokens of the arm's order: the trunk up to the branch, then
the decay. All budgets together cost little more than the largest one alone.
"""

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

    Fine-tuning has no trunk: every budget is a branch of its own, from step 0.
    """
    if config.finetune:
        return [Segment(str(budget), 0, config.finetune.tokens // config.batch_tokens) for budget in config.budgets]
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
    """The learning rate of a step as a share of its peak: up linearly, 1, and linearly down to (nearly) 0."""
    if config.finetune:
        warmup = round(config.finetune.warmup_share * segment.last)
        up, down = (step + 1) / (warmup + 1), (segment.last - step) / (segment.last - warmup + 1)
        return config.finetune.learning_rate * min(up, down)
    warmup = config.warmup_tokens // config.batch_tokens
    factor = min(1.0, (step + 1) / (warmup + 1))
    if segment.is_decay:
        factor *= (segment.last - step) / (segment.last - segment.first + 1)
    return factor
