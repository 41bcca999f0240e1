"""Probe the machine once per run: threads, number type, compiler and device, the same choice for all arms.

A bfloat16 that is only emulated is many times slower than float32, and some CPUs add up products in it; a
compiler pays only when the run is long. Nothing can tell but a measurement.
"""

import json
import shutil
import sys
import time
from pathlib import Path
from typing import Any

import torch

from hornbook.core.documents import atomic_write
from hornbook.core.engine import workers
from hornbook.model.build import build
from hornbook.training.config import OptimizerConfig, ProbeConfig
from hornbook.training.gradients import gradient_function
from hornbook.training.machine import Choices, machine
from hornbook.training.optimizer import Optimizer

BFLOAT16_GAIN = 1.2  # float32 is the safer choice, so bfloat16 must be clearly faster
# Share of the time that compiling is expected to save. Where it would not repay, it is not even tried. In float32
# matrix products take nearly all the time, and they are the same compiled or not.
COMPILE_GAIN = {"bfloat16": 0.25, "float32": 0.1}
COMPILE_SECONDS = 45.0  # what it costs at least
WARM_COMPILE_SECONDS = 10.0  # and again for every arm, from the compiler's cache
STEPS = 4
State = dict[str, Any]


def probe_step(inputs: dict[str, Path], out: Path, config: ProbeConfig) -> dict[str, Any]:
    """Write choices.json: threads, compile, dtype, device. The counters hold what was measured and why."""
    device = config.device or _best_device()
    threads = config.threads or workers()
    reasons: State = {}
    with machine(Choices(threads, False, "float32", device)):
        dtype = config.dtype or _choose_dtype(device, reasons)
        reasons["matmul_flops"] = _matmul_rate(device, getattr(torch, dtype))
        compiled = config.compile
        if compiled is None:
            compiled = _choose_compile(config, Choices(threads, False, dtype, device), reasons)
    choices = Choices(threads, compiled, dtype, device)
    atomic_write(out / "choices.json", json.dumps(choices.__dict__))
    how = "compiled" if compiled else "eager"
    print(f"  training: {dtype}, {how}, {threads} threads, {device}", file=sys.stderr)
    return {"choices": choices.__dict__, **reasons}


def _best_device() -> str:
    if torch.cuda.is_available():
        return "cuda"
    return "mps" if torch.backends.mps.is_available() else "cpu"


def _choose_dtype(device: str, reasons: State) -> str:
    """bfloat16 where it multiplies clearly faster than float32 and adds up in more than 8 bits."""
    seconds = {}
    n = 512 if device == "cpu" else 4096  # a GPU needs more to be busy
    for dtype in (torch.float32, torch.bfloat16):
        # Fresh ones: sums in 8 bits stop growing at 256.
        a, b = torch.ones(n, n, device=device, dtype=dtype), torch.ones(n, n, device=device, dtype=dtype)
        exact = bool((a @ b == n).all())
        seconds[dtype] = min(_seconds(lambda a=a, b=b: a @ b, device) for _ in range(5))
    gain = seconds[torch.float32] / seconds[torch.bfloat16]
    reasons["bfloat16"] = {"times_faster": round(gain, 2), "sums_are_exact": exact}
    return "bfloat16" if exact and gain >= BFLOAT16_GAIN else "float32"


def _matmul_rate(device: str, dtype: torch.dtype) -> float:
    """FLOP/s of large matrix products: the best of a few, so the peak that training is compared with."""
    n = 1024 if device == "cpu" else 8192
    a = torch.randn(n, n, device=device, dtype=dtype)
    seconds = min(_seconds(lambda: a @ a, device) for _ in range(10))
    return float(f"{2 * n**3 / seconds:.4g}")


def _choose_compile(config: ProbeConfig, choices: Choices, reasons: State) -> bool:
    """Whether compiled training, its own cost included, ends sooner than eager training."""
    if choices.device == "cpu" and not (shutil.which("g++") or shutil.which("clang++")):
        reasons["compile"] = {"not_tried": "there is no C++ compiler"}
        return False
    eager, _ = _step_seconds(config, choices)
    steps = config.planned_tokens / config.batch_tokens
    cost = COMPILE_SECONDS + config.planned_arms * WARM_COMPILE_SECONDS
    measured: State = {"eager_tokens_per_second": round(config.batch_tokens / eager)}
    reasons["compile"] = measured
    if steps * eager * COMPILE_GAIN[choices.dtype] < cost:
        measured["not_tried"] = f"the run is too short: {steps * eager:.0f} s without it"
        return False
    try:
        seconds, first = _step_seconds(config, Choices(choices.threads, True, choices.dtype, choices.device))
    except Exception as error:  # torch raises many kinds, and training can do without
        measured["failed"] = f"{type(error).__name__}: {str(error)[:200]}"
        return False
    measured["compiled_tokens_per_second"] = round(config.batch_tokens / seconds)
    measured["seconds_to_compile"] = round(first, 1)
    return steps * (eager - seconds) > config.planned_arms * WARM_COMPILE_SECONDS


def _step_seconds(config: ProbeConfig, choices: Choices) -> tuple[float, float]:
    """Seconds of one training step of the planned shape, and of the first one."""
    model = build(config.model.of(config.vocab_size)).init_weights(0)
    model.to(choices.device)
    optimizer = Optimizer(model, OptimizerConfig())
    model.to(getattr(torch, choices.dtype))
    gradients = gradient_function(
        model,
        choices,
        micro_rows=max(1, (config.micro_batch_tokens or config.batch_tokens) // config.context),
        activation_checkpointing=config.activation_checkpointing,
    )
    rows = max(1, config.batch_tokens // config.context)
    generator = torch.Generator().manual_seed(0)
    ids = torch.randint(config.vocab_size, (rows, config.context + 1), generator=generator)

    def step() -> None:
        gradients(ids[:, :-1].contiguous(), ids[:, 1:].contiguous())
        optimizer.step(0.1)

    first = _seconds(step, choices.device)
    step()
    return min(_seconds(step, choices.device) for _ in range(STEPS)), first


def _seconds(work: Any, device: str) -> float:
    started = time.perf_counter()
    work()
    if device != "cpu":
        torch.accelerator.synchronize()
    return time.perf_counter() - started
