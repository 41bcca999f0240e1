"""What a training costs before it starts: parameters, memory, tokens, arithmetic, and hours on hardware by name."""

import time
from dataclasses import dataclass, replace

import torch

from hornbook.model.config import ModelConfig
from hornbook.model.sizes import measure
from hornbook.training.config import TrainConfig
from hornbook.training.machine import Choices
from hornbook.training.memory import MemoryPlan, free_bytes, plan_memory
from hornbook.training.schedule import plan_segments


@dataclass(frozen=True)
class Cost:
    """What one training takes, wherever it runs."""

    parameters: int
    memory: MemoryPlan  # on one device
    tokens: int  # of all segments: a trunk and its decays, or every budget on its own
    flops: float  # of the model, forward and backward; what is computed twice to save memory does not count


@dataclass(frozen=True)
class Hardware:
    """One or several cards of a kind, or the CPU of this machine."""

    name: str
    cards: int
    memory: int | None  # bytes of one card; None: not known
    peak: float  # FLOP/s of one card
    share: float  # of the peak that a training reaches

    def seconds(self, costs: list[Cost]) -> float:
        """Seconds of trainings one after the other."""
        return sum(cost.flops for cost in costs) / (self.cards * self.peak * self.share)

    def bytes_per_card(self, cost: Cost) -> float:
        """Memory of one card where the states are divided over all, and each computes micro batches of its own."""
        plan, n = cost.memory, self.cards
        always = (plan.weights + plan.masters + plan.optimizer) / n
        return always + max(plan.activations + plan.head, (plan.gradients + plan.update) / n)


# Peaks are those of dense bfloat16 products in the data sheets; 40 % is what a good training reaches.
GPUS = tuple(
    Hardware(f"{n} x {name}", n, 80_000_000_000, peak, 0.4)
    for n, name, peak in ((1, "A100-80GB", 312e12), (8, "A100-80GB", 312e12), (8, "H100-80GB", 989e12))
)
CPU_SHARE = 0.5


def cost_of(model: ModelConfig, config: TrainConfig, choices: Choices) -> Cost:
    """The cost of one training, counted without making any weight.

    FLOPs are tokens times those of `model.sizes.measure` over full rows of `context` tokens: 6 for each weight of a
    matrix that a token meets, and 12 times width of the queries and positions seen, in every layer, for attention.
    """
    size = measure(replace(model, max_position_embeddings=config.context))
    steps = sum(segment.last - segment.first for segment in plan_segments(config))
    tokens = steps * config.batch_tokens
    return Cost(size.parameters, plan_memory(model, config, choices), tokens, float(tokens) * size.train_flops)


def this_cpu() -> Hardware:
    """The CPU of this machine, by the rate of its float32 matrix products, measured in a few hundredths of a second."""
    n, best = 512, float("inf")
    a = torch.ones(n, n)
    for _ in range(10):
        started = time.perf_counter()
        a @ a
        best = min(best, time.perf_counter() - started)
    return Hardware("this CPU", 1, free_bytes("cpu"), 2 * n**3 / best, CPU_SHARE)
