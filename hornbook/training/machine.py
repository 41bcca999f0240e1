"""What was decided for the machine, and how torch is set to it."""

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import torch

from hornbook.core.step import read_manifest


@dataclass(frozen=True)
class Choices:
    """What the probe decided for this machine; the same for all arms of a run."""

    threads: int
    compile: bool
    dtype: str  # float32 | bfloat16
    device: str  # cpu | cuda | mps


def read_choices(probe: Path) -> Choices:
    """What the probe wrote."""
    return Choices(**json.loads((probe / "choices.json").read_text()))


def read_peak(probe: Path) -> float | None:
    """FLOP/s of matrix products as the probe measured them, if it has: no choice, and another number in every run."""
    manifest = read_manifest(probe)
    return manifest["counters"].get("matmul_flops") if manifest else None


@contextmanager
def machine(choices: Choices) -> Iterator[None]:
    """Run a block with a fixed number of threads and deterministic kernels, then restore both settings."""
    threads, deterministic = torch.get_num_threads(), torch.are_deterministic_algorithms_enabled()
    fill = torch.utils.deterministic.fill_uninitialized_memory  # type: ignore[attr-defined]
    if choices.device == "cuda":
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # what cuBLAS needs to be deterministic
    torch.set_num_threads(choices.threads)
    torch.use_deterministic_algorithms(True, warn_only=choices.device != "cpu")
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
    try:
        yield
    finally:
        torch.set_num_threads(threads)
        torch.use_deterministic_algorithms(deterministic)
        torch.utils.deterministic.fill_uninitialized_memory = fill  # type: ignore[attr-defined]


def random_state(device: str) -> dict[str, torch.Tensor]:
    """Where the random numbers of this machine stand, by name."""
    state = {"random.cpu": torch.get_rng_state()}
    if device == "cuda":
        state["random.cuda"] = torch.cuda.get_rng_state()
    elif device == "mps":
        state["random.mps"] = torch.mps.get_rng_state()
    return state


def set_random_state(state: dict[str, torch.Tensor]) -> None:
    """Go on with what `random_state` returned."""
    restore = {"random.cpu": torch.set_rng_state, "random.cuda": torch.cuda.set_rng_state}
    for name, tensor in state.items():
        restore.get(name, torch.mps.set_rng_state)(tensor)
