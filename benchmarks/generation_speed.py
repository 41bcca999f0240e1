"""Generation speed beside transformers.generate: the same weights, number type, threads and prompts, greedy.

Both engines are asked in turn in one process, so that a machine that is busy for a while is busy for both. Ragged:
16 prompts of 10 to 500 tokens with answers of 10 to 200. transformers pads such prompts to the left and goes on until
the longest answer is there; only tokens that were asked for count.
"""

import argparse
import random
import statistics
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from record import record
from transformers import AutoModelForCausalLM, PreTrainedModel
from transformers.utils import logging

from hornbook.model import huggingface
from hornbook.model.decoder import Decoder
from hornbook.model.generate import generate_rows
from hornbook.model.load import load_any
from hornbook.model.prepare import ONE_THREAD_PARAMETERS, prepared
from hornbook.model.presets import PRESETS
from hornbook.services.teacher import fetch_teacher

TEACHER = "SmolLM2-135M"
MODELS = (TEACHER, "1M", "3M", "10M")
PROMPT, ANSWER = 32, 64
ROWS = 16
GOALS = {
    TEACHER: {"1 row": 1.1, "16 rows": 1.4, "ragged": 2.0},
    "ladder": {"1 row": 3.0, "16 rows": 3.0, "ragged": 2.0},
}


@dataclass(frozen=True)
class Case:
    """Token ids of prompts, and how many tokens are to follow each."""

    prompts: list[list[int]]
    answers: list[int]

    @property
    def tokens(self) -> int:
        return sum(self.answers)


def cases(vocabulary: int) -> dict[str, Case]:
    draw = random.Random(0)

    def prompt(length: int) -> list[int]:
        return [draw.randrange(1, min(vocabulary, 4000)) for _ in range(length)]

    even = {rows: Case([prompt(PROMPT) for _ in range(rows)], [ANSWER] * rows) for rows in (1, ROWS)}
    ragged = Case([prompt(draw.randint(10, 500)) for _ in range(ROWS)], [draw.randint(10, 200) for _ in range(ROWS)])
    return {"1 row": even[1], f"{ROWS} rows": even[ROWS], "ragged": ragged}


def open_models(name: str) -> tuple[Decoder, PreTrainedModel]:
    """The same bfloat16 weights on both sides; transformers reads the folder that our decoder writes."""
    if name == TEACHER:
        ours, _ = load_any(fetch_teacher())
    else:
        config = replace(PRESETS[name], max_position_embeddings=1024)
        ours = Decoder(config).init_weights(0, zero_outputs=False).eval()
    ours = ours.bfloat16()
    with tempfile.TemporaryDirectory() as folder:
        huggingface.save(ours, Path(folder))
        theirs = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.bfloat16).eval()
    theirs.generation_config.eos_token_id = None  # nobody stops early
    theirs.generation_config.pad_token_id = 0
    return ours, theirs


def run_ours(model: Decoder, case: Case) -> float:
    started = time.perf_counter()
    tokens = sum(1 for _ in generate_rows(model, case.prompts, max_new_tokens=case.answers))
    assert tokens == case.tokens
    return time.perf_counter() - started


def run_theirs(model: PreTrainedModel, case: Case) -> float:
    longest = max(map(len, case.prompts))
    started = time.perf_counter()
    ids = torch.tensor([[0] * (longest - len(row)) + row for row in case.prompts])
    mask = torch.tensor([[0] * (longest - len(row)) + [1] * len(row) for row in case.prompts])
    answers = max(case.answers)
    out = model.generate(ids, attention_mask=mask, max_new_tokens=answers, do_sample=False)
    assert out.shape[1] == longest + answers
    return time.perf_counter() - started


def measure(name: str, rounds: int) -> tuple[list[str], float]:
    """Lines of the table for one model, and the seconds that it takes to make it ready."""
    ours, theirs = open_models(name)
    threads = torch.get_num_threads()
    torch.set_num_threads(1 if ours.num_parameters() < ONE_THREAD_PARAMETERS else threads)
    started = time.perf_counter()
    lines = []
    with prepared(ours):
        ready = time.perf_counter() - started
        for title, case in cases(ours.config.vocab_size).items():
            warm = Case([row[:8] for row in case.prompts], [2] * len(case.prompts))
            run_ours(ours, warm)
            run_theirs(theirs, warm)
            seconds = [(run_ours(ours, case), run_theirs(theirs, case)) for _ in range(rounds)]
            lines.append(line(name, title, case.tokens, seconds, torch.get_num_threads()))
            print(lines[-1], flush=True)
    torch.set_num_threads(threads)
    return lines, ready


def line(name: str, title: str, tokens: int, seconds: Sequence[tuple[float, float]], threads: int) -> str:
    ours, theirs = (statistics.median(tokens / s for s in column) for column in zip(*seconds, strict=True))
    ratios = [b / a for a, b in seconds]
    ratio, goal = statistics.median(ratios), GOALS[name if name == TEACHER else "ladder"][title]
    return (
        f"| {name} | {title} | {threads} | {ours:,.0f} | {theirs:,.0f} | **{ratio:.2f}x** "
        f"({min(ratios):.2f} to {max(ratios):.2f}) | {goal}x: {'reached' if ratio >= goal else 'missed'} |"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, help="of models that gain from more than one [default: all cores]")
    parser.add_argument("--models", default=",".join(MODELS))
    parser.add_argument("--dry", action="store_true", help="print, and leave docs/BENCHMARKS.md as it is")
    options = parser.parse_args()
    torch.set_num_threads(options.threads or torch.get_num_threads())
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    lines, ready = [], {}
    for name in options.models.split(","):
        measured, ready[name] = measure(name, options.rounds)
        lines += measured
    text = "\n".join(
        [
            f"Greedy, bfloat16, prompts of {PROMPT} tokens and answers of {ANSWER}; ragged: {ROWS} prompts of 10 to "
            "500 tokens, answers of 10 to 200. SmolLM2-135M-Instruct with its trained weights; the others are our "
            "ladder with random ones and room for 1,024 positions. transformers runs the same fused weights as "
            "`Phi3ForCausalLM`. Tokens/s with the prompts read, medians of "
            f"{options.rounds} rounds, engines in turn. Making the weights ready is not in it: "
            + ", ".join(f"{name} {seconds:.2f} s" for name, seconds in ready.items())
            + ".",
            "",
            "| model | batch | threads | Hornbook tokens/s | transformers tokens/s | ratio, round by round | goal |",
            "|---|---|---:|---:|---:|---:|---|",
            *lines,
        ]
    )
    if options.dry:
        print(text)
    else:
        record("Generation on a CPU", text)


if __name__ == "__main__":
    main()
