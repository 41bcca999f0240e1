"""Training speed beside transformers.Trainer: the same Phi-3 shape, batch and number type, both compiled.

Every engine runs in a process of its own, warms up (and compiles), and then runs a few steps whenever it is
asked to; the engines are asked in turn, so that a machine that is busy for a while is busy for all of them.
"""

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from record import record

ROWS, CONTEXT, VOCABULARY = 8, 512, 4096
SHAPE = {
    "hidden_size": 128,
    "num_hidden_layers": 4,
    "num_attention_heads": 4,
    "num_key_value_heads": 4,
    "intermediate_size": 352,
    "max_position_embeddings": 512,
    "tie_word_embeddings": True,
}
ENGINES = {
    "hornbook compiled": "Hornbook, compiled",
    "hornbook eager": "Hornbook, eager",
    "trainer compiled": "transformers.Trainer, compiled",
    "trainer defaults": "transformers.Trainer, its defaults (float32, eager)",
}
GOAL = 1.25
Steps = Callable[[int], float]  # number of steps -> seconds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--steps", type=int, default=8)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--dtype", choices=("float32", "bfloat16"), help="default: what the probe chooses")
    parser.add_argument("--engine", choices=ENGINES, help=argparse.SUPPRESS)
    options = parser.parse_args()
    dtype = options.dtype or probed_dtype(options.threads)
    if options.engine:
        serve(options.engine, dtype, options.threads, options.steps)
        return

    rates: dict[str, list[float]] = {name: [] for name in ENGINES}
    children = {}
    for name in ENGINES:  # one after the other: compilers share the cores badly
        command = [sys.executable, __file__, "--engine", name, "--dtype", dtype]
        command += ["--threads", str(options.threads), "--steps", str(options.steps)]
        children[name] = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        print(f"{name}: ready after {answer(children[name]):.0f} s", file=sys.stderr)
    for _ in range(options.rounds):
        for name, child in children.items():
            assert child.stdin is not None
            child.stdin.write("go\n")
            child.stdin.flush()
            rates[name].append(options.steps * ROWS * CONTEXT / answer(child))
    for child in children.values():
        child.kill()
        child.wait()
    record("Training speed on a CPU", table(rates, dtype, options.threads))


def answer(child: subprocess.Popen) -> float:
    """The next time that an engine reports; what else it prints goes to standard error."""
    assert child.stdout is not None
    for line in child.stdout:
        if line.startswith("seconds "):
            return float(line.split()[1])
        print(line, end="", file=sys.stderr)
    raise SystemExit("an engine ended early")


def table(rates: dict[str, list[float]], dtype: str, threads: int) -> str:
    median = {name: statistics.median(values) for name, values in rates.items()}
    ratios = [a / b for a, b in zip(rates["hornbook compiled"], rates["trainer compiled"], strict=True)]
    ratio = statistics.median(ratios)
    verdict = "reached" if ratio >= GOAL else "missed"
    lines = [
        f"Phi-3 block, 128 wide, 4 layers, 4 heads, vocabulary {VOCABULARY:,}, batch {ROWS} x {CONTEXT}, "
        f"{threads} threads, {dtype} unless said otherwise. Hornbook with Muon and AdamW, the Trainer with fused "
        f"AdamW. Medians of {len(ratios)} rounds, engines in turn.",
        "",
        "| engine | tokens/s | least to most |",
        "|---|---:|---:|",
    ]
    for name, title in ENGINES.items():
        lines.append(f"| {title} | {median[name]:,.0f} | {min(rates[name]):,.0f} to {max(rates[name]):,.0f} |")
    defaults = median["hornbook compiled"] / median["trainer defaults"]
    eager = median["hornbook eager"] / median["trainer defaults"]
    return "\n".join(
        [
            *lines,
            "",
            f"Compiled against compiled, round by round: **{ratio:.2f}x** ({min(ratios):.2f} to {max(ratios):.2f}); "
            f"goal {GOAL}x: {verdict}. Against the Trainer's defaults: {defaults:.2f}x compiled, {eager:.2f}x eager.",
        ]
    )


# In the processes of the engines


def probed_dtype(threads: int) -> str:
    from hornbook.training.config import ProbeConfig
    from hornbook.training.probe import probe_step

    with tempfile.TemporaryDirectory() as folder:
        config = ProbeConfig(threads=threads, compile=False, device="cpu")
        return probe_step({}, Path(folder), config)["choices"]["dtype"]


def serve(engine: str, dtype: str, threads: int, steps: int) -> None:
    """Warm up, report, and run `steps` steps for every line on standard input."""
    import torch

    torch.set_num_threads(threads)
    kind, mode = engine.split()
    if kind == "hornbook":
        serve_hornbook(dtype, threads, steps, mode == "compiled")
    else:
        serve_trainer("float32" if mode == "defaults" else dtype, steps, mode == "compiled")


def report(started: float) -> float:
    """Say how long it took, wait to be asked again; returns when."""
    print(f"seconds {time.perf_counter() - started}", flush=True)
    if not sys.stdin.readline():
        raise SystemExit
    return time.perf_counter()


def serve_hornbook(dtype: str, threads: int, steps: int, compiled: bool) -> None:
    import torch

    from hornbook.model.config import ModelConfig
    from hornbook.model.decoder import Decoder
    from hornbook.training.config import OptimizerConfig
    from hornbook.training.gradients import gradient_function
    from hornbook.training.machine import Choices, machine
    from hornbook.training.optimizer import Optimizer

    started = time.perf_counter()
    choices = Choices(threads, compiled, dtype, "cpu")
    with machine(choices):
        model = Decoder(ModelConfig(vocab_size=VOCABULARY, **SHAPE)).init_weights(0)
        optimizer = Optimizer(model, OptimizerConfig())
        model.to(getattr(torch, dtype))
        gradients = gradient_function(model, choices)
        rows = torch.randint(VOCABULARY, (64, ROWS, CONTEXT + 1), generator=torch.Generator().manual_seed(0))
        for step in range(1_000_000):
            ids = rows[step % 64]
            gradients(ids[:, :-1].contiguous(), ids[:, 1:].contiguous())
            optimizer.step(1.0)
            if step == 2 or (step > 2 and (step - 2) % steps == 0):
                started = report(started)


def serve_trainer(dtype: str, steps: int, compiled: bool) -> None:
    import torch
    from transformers import Phi3Config, Phi3ForCausalLM, Trainer, TrainerCallback, TrainingArguments

    class Report(TrainerCallback):
        started = time.perf_counter()

        def on_step_end(self, args, state, control, **_):  # type: ignore[no-untyped-def]
            if state.global_step == 3 or (state.global_step > 3 and (state.global_step - 3) % steps == 0):
                self.started = report(self.started)

    model = Phi3ForCausalLM(Phi3Config(vocab_size=VOCABULARY, pad_token_id=0, **SHAPE)).to(getattr(torch, dtype))
    ids = torch.randint(VOCABULARY, (64 * ROWS, CONTEXT), generator=torch.Generator().manual_seed(0))
    arguments = TrainingArguments(
        output_dir=tempfile.mkdtemp(),
        per_device_train_batch_size=ROWS,
        max_steps=1_000_000,
        use_cpu=True,
        torch_compile=compiled,
        report_to=[],
        save_strategy="no",
        logging_strategy="no",
        disable_tqdm=True,
    )
    data = [{"input_ids": row, "labels": row} for row in ids]
    Trainer(model, arguments, train_dataset=data, callbacks=[Report()]).train()


if __name__ == "__main__":
    main()
