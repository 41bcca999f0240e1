"""Peak memory of training beside its plan, for several shapes, each in a process of its own.

    python benchmarks/training_memory.py

Two steps a shape on one thread. Writes its section of docs/BENCHMARKS.md.
"""

import argparse
import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

from record import record

WIDE = {"hidden_size": 256, "num_hidden_layers": 6, "num_attention_heads": 4, "num_key_value_heads": 4}
WIDE |= {"intermediate_size": 704}
PARALLEL = {"block": "parallel", "norm": "layer", "mlp": "gelu", "projections": "split", "bias": True}
CASES: dict[str, dict[str, Any]] = {
    "128 wide x 4 layers": {},
    "256 x 6": {"model": WIDE},
    "256 x 6, bfloat16": {"model": WIDE, "dtype": "bfloat16"},
    "256 x 6, activation checkpointing": {"model": WIDE, "activation_checkpointing": True},
    "256 x 6, 8,192 tokens in micro batches of 2,048": {
        "model": WIDE,
        "batch_tokens": 8192,
        "micro_batch_tokens": 2048,
    },
    "256 x 6, AdamW": {"model": WIDE, "optimizer": {"name": "adamw"}},
    "256 x 6, blocks of phi-1": {"model": WIDE, "style": {**PARALLEL, "tie_word_embeddings": False}},
    "128 x 4, vocabulary 200,064": {"vocabulary": 200_064, "batch_tokens": 1024},
}
GOAL = 0.1


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--case", choices=CASES, help=argparse.SUPPRESS)
    parser.add_argument("--keep", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.case:
        print(json.dumps(measured(CASES[options.case], give_back=not options.keep)))
        return
    lines = ["| training | plan, MB | peak, MB | off by | with what the C library keeps |", "|---|---:|---:|---:|---:|"]
    worst = 0.0
    for case in CASES:
        (plan, peak), (_, kept) = (asked(case, *more) for more in ((), ("--keep",)))
        worst = max(worst, abs(peak / plan - 1))
        off = f"{100 * (peak / plan - 1):+.1f} %"
        lines.append(f"| {case} | {plan / 1e6:.0f} | {peak / 1e6:.0f} | {off} | {kept / 1e6:.0f} |")
    head = (
        "Peak of resident memory over two steps, without torch itself; batches of 2,048 tokens, float32, unless said."
    )
    verdict = f"Goal: within {100 * GOAL:.0f} %: {'reached' if worst <= GOAL else 'missed'}."
    record("Memory of training", "\n".join([head, "", *lines, "", verdict]))


def asked(case: str, *more: str) -> tuple[int, int]:
    """Plan and peak in bytes, from a fresh process."""
    command = [sys.executable, __file__, "--case", case, *more]
    plan, peak = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    print(f"{case}: plan {plan / 1e6:.0f} MB, peak {peak / 1e6:.0f} MB", file=sys.stderr)
    return plan, peak


# In a process of its own


def measured(case: dict[str, Any], give_back: bool) -> tuple[int, int]:
    from hornbook.model.config import ModelConfig
    from hornbook.training.config import TrainConfig
    from hornbook.training.machine import Choices, machine
    from hornbook.training.memory import plan_memory, return_freed_memory

    own = ("vocabulary", "style", "dtype")
    config = TrainConfig(**{key: value for key, value in case.items() if key not in own})
    shape = ModelConfig(
        vocab_size=case.get("vocabulary", 4096), **{**config.model.model_dump(), **case.get("style", {})}
    )
    small = TrainConfig(context=32, batch_tokens=64, budgets=(128,))
    choices = Choices(1, False, case.get("dtype", "float32"), "cpu")
    if give_back:
        return_freed_memory()
    with machine(choices):
        steps(ModelConfig(vocab_size=300, **small.model.model_dump()), small, choices)  # loads libraries
        before = resident("VmRSS")
        steps(shape, config, choices)
        return plan_memory(shape, config, choices).peak, resident("VmHWM") - before


def steps(shape: Any, config: Any, choices: Any) -> None:
    import torch

    from hornbook.model.decoder import Decoder
    from hornbook.training.gradients import gradient_function
    from hornbook.training.optimizer import Optimizer

    model = Decoder(shape).init_weights(0)
    optimizer = Optimizer(model, config.optimizer)
    model.to(getattr(torch, choices.dtype))
    again = config.activation_checkpointing
    gradients = gradient_function(model, choices, micro_rows=config.micro_rows, activation_checkpointing=again)
    ids = torch.randint(shape.vocab_size, (config.batch_rows, config.context + 1))
    for _ in range(2):
        gradients(ids[:, :-1].contiguous(), ids[:, 1:].contiguous())
        optimizer.step(0.1)


def resident(kind: str) -> int:
    """Bytes of this process: VmRSS now, VmHWM at its peak."""
    found = re.search(rf"{kind}:\s+(\d+)", Path("/proc/self/status").read_text())
    assert found
    return 1024 * int(found[1])


if __name__ == "__main__":
    main()
