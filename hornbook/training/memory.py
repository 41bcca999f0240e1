"""How much memory a training needs, and what to change when there is less.

With P weights, of b bytes in the model's type, N tokens in a micro batch and n positions in a chunk of the loss:

    weights        b P          only beside masters of another type
    masters        4 P          float32
    optimiser      4 a weight of Muon's, 8 a weight of AdamW's
    gradients      b P          4 P where several micro batches are added up
    activations    N times what a token leaves behind in all layers (see `_layer_bytes`); with checkpointing, N
                   times the inputs of the layers
    head           gradient of the head in float32, hidden states and their gradients, and either the logits of n
                   positions with their softmax or their gradient with the product that it is multiplied to
    backward       N times the gradients inside of one MLP; with checkpointing, also one layer that is computed again
    update         what Muon holds beside the gradients while it works on matrices of one shape

The peak is the largest of three moments: the loss, with all activations and no gradient yet; the backward pass, where
gradients come as activations go; and the update, with all gradients. Compiled models keep fewer activations than eager
ones, so for them the plan is an upper bound. torch itself takes about 0.3 GB more, and the C library keeps some of what
was freed, unless memory is scarce (see `advice`).
"""

import ctypes
import os
import resource
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import torch

from hornbook.core.errors import HornbookError
from hornbook.model.build import build
from hornbook.model.config import ModelConfig
from hornbook.training.config import TrainConfig
from hornbook.training.loss import chunk_size
from hornbook.training.machine import Choices
from hornbook.training.muon import AT_ONCE
from hornbook.training.optimizer import Optimizer

SAFETY = 0.9  # of the free memory is what a suggestion may fill
SCARCE = 0.25  # of the free memory; a training that needs more gives freed memory back at once
_M_MMAP_THRESHOLD = -3  # of mallopt(3)
_GIVEN_BACK = 1 << 18  # bytes of a tensor from which on it is given back


@dataclass(frozen=True)
class MemoryPlan:
    """Bytes of one training, by what they hold."""

    weights: int
    masters: int
    optimizer: int
    gradients: int
    activations: int
    head: int
    backward: int
    update: int

    @property
    def peak(self) -> int:
        """The most that is held at once."""
        always = self.weights + self.masters + self.optimizer
        backward = max(self.activations, self.gradients) + self.backward
        return always + max(self.activations + self.head, backward, self.gradients + self.update)


def plan_memory(model: ModelConfig, config: TrainConfig, choices: Choices) -> MemoryPlan:
    """What training a model of this shape takes, without making any weight."""
    b = 2 if choices.dtype == "bfloat16" else 4
    with torch.device("meta"):
        decoder = build(model)
        optimizer = Optimizer(decoder, config.optimizer)
    P, V, D = decoder.num_parameters(), model.vocab_size, model.hidden_size
    N, layer, again = config.micro_rows * config.context, _layer_bytes(model, b), config.activation_checkpointing
    n = min(N, chunk_size(V, choices.device))
    logits = n * V * (8 if b == 4 else 2 * b + 8)  # as they come, in float32, as probabilities, as gradients
    mlp = (2 if model.mlp == "swiglu" else 1) * model.intermediate_size * b
    return MemoryPlan(
        weights=b * P if b != 4 else 0,
        masters=4 * P,
        optimizer=sum(tensor.nbytes for tensor in optimizer.state().values()) - 4 * P,
        gradients=(4 if config.micro_rows < config.batch_rows else b) * P,
        activations=N * (model.num_hidden_layers * (D * b if again else layer) + _norm_bytes(model, b)),
        head=4 * V * D + 2 * N * D * b + max(logits, n * V * b + V * D * b),
        backward=N * (mlp + (layer if again else 0)),
        update=_update_bytes(optimizer, b, choices),
    )


def _layer_bytes(model: ModelConfig, b: int) -> int:
    """What a token leaves in one layer for the backward pass: inputs of matrix products, norms and activations."""
    D, C = model.hidden_size, model.head_dim
    H, K = model.num_attention_heads, model.num_key_value_heads
    norms = 2 if model.block == "sequential" else 1  # each with an output that goes into matrix products
    # A fused projection stays whole because of its values; queries and keys stay after they are turned, too.
    qkv = (2 * H + 3 * K) * C if model.projections == "fused" else (H + 2 * K) * C
    attention = (qkv + H * C) * b + 4 * H
    mlp = (4 if model.mlp == "swiglu" else 2) * model.intermediate_size * b
    return norms * (_norm_bytes(model, b) + D * b) + attention + mlp


def _norm_bytes(model: ModelConfig, b: int) -> int:
    """RMSNorm keeps its input and its quotient in float32, LayerNorm its input as it is."""
    return 2 * 4 * model.hidden_size + 4 if model.norm == "rms" else model.hidden_size * b + 2 * b


def _update_bytes(optimizer: Optimizer, b: int, choices: Choices) -> int:
    """The largest of what Muon and AdamW hold for a moment."""
    fast = 2 if choices.device == "cuda" else b
    largest = max((tensor.nbytes for tensor in optimizer.masters.values()), default=0)
    needs = [largest + (largest if b != 4 else 0)]  # AdamW: root of the mean square, gradient in float32
    for muon in optimizer.muon:
        (rows, columns), count = muon.shape, len(muon.places)
        count = min(count, max(1, AT_ONCE // (rows * columns)))
        small = min(rows, columns)
        iterate = (
            2 * fast * rows * columns + 2 * fast * small * small
        )  # old and new, and two products of the small side
        needs.append(count * (4 * rows * columns + iterate + (fast * rows * columns if fast != 4 else 0)))
    return max(needs)


@contextmanager
def advice(model: ModelConfig, config: TrainConfig, choices: Choices, free: int | None) -> Iterator[None]:
    """Turn an error for want of memory in the block into one that says what would fit into `free` bytes.

    Where the plan alone shows that memory will not suffice, a warning comes first. Where it shows that memory matters,
    freed tensors go back to the system at once on Linux: then the peak is that of the plan, and not half as much more,
    for up to a fifth of the time.
    """
    peak = plan_memory(model, config, choices).peak
    there = "" if free is None else f", and {_gigabytes(free)} are free"
    problem = f"Training needs about {_gigabytes(peak)} of memory{there}."
    if free is not None and choices.device == "cpu" and peak > SCARCE * free:
        return_freed_memory()
    if free is not None and peak > free:
        print(f"  {problem} {suggestion(model, config, choices, free)}", file=sys.stderr)
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        if not _is_want_of_memory(error):
            raise
        remedy = suggestion(model, config, choices, free)
        raise HornbookError(f"Memory did not suffice. {problem}", remedy) from error


def return_freed_memory() -> None:
    """Have the C library of Linux give tensors back to the system when they are freed."""
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).mallopt(_M_MMAP_THRESHOLD, _GIVEN_BACK)


def suggestion(model: ModelConfig, config: TrainConfig, choices: Choices, free: int | None) -> str:
    """The least change that fits into `free` bytes; where they are not known, into less than now."""
    now = plan_memory(model, config, choices).peak
    room = SAFETY * min(now, free if free is not None else now)
    rows = [n for n in range(config.micro_rows, 0, -1) if config.batch_rows % n == 0]
    for checkpointing in sorted({config.activation_checkpointing, True}):
        for n in rows:
            changes = {"micro_batch_tokens": n * config.context, "activation_checkpointing": checkpointing}
            changed = config.model_copy(update=changes)
            if (needed := plan_memory(model, changed, choices).peak) <= room:
                said = [f"micro_batch_tokens: {n * config.context}"] if n < config.micro_rows else []
                if checkpointing != config.activation_checkpointing:
                    said.append("activation_checkpointing: true")
                return f"Set {' and '.join(said)} (about {_gigabytes(needed)})."
    return "No smaller micro batch would fit: take a smaller model, a shorter context, or a machine with more memory."


def free_bytes(device: str) -> int | None:
    """Memory that this process may still take, as far as the system tells."""
    if device == "cuda":
        return torch.cuda.mem_get_info()[0]
    if device == "mps":
        return torch.mps.recommended_max_memory()
    limits = []
    with suppress(OSError, ValueError, IndexError):
        meminfo = dict(line.split(":") for line in Path("/proc/meminfo").read_text().splitlines())
        limits.append(int(meminfo["MemAvailable"].split()[0]) * 1024)
    with suppress(OSError, ValueError):
        group = Path("/sys/fs/cgroup")
        limits.append(int((group / "memory.max").read_text()) - int((group / "memory.current").read_text()))
    allowed = resource.getrlimit(resource.RLIMIT_AS)[0]
    with suppress(OSError, ValueError):
        if allowed != resource.RLIM_INFINITY:
            taken = int(Path("/proc/self/statm").read_text().split()[0]) * os.sysconf("SC_PAGE_SIZE")
            limits.append(allowed - taken)
    return max(0, min(limits)) if limits else None


def _is_want_of_memory(error: BaseException) -> bool:
    said = str(error).lower()
    return isinstance(error, MemoryError | torch.OutOfMemoryError) or any(
        sign in said for sign in ("can't allocate memory", "out of memory", "bad_alloc")
    )


def _gigabytes(count: float) -> str:
    return f"{count / 1e9:.2f} GB"
