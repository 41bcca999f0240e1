"""The plan of memory, and what is said when there is less."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from hornbook.model.config import ModelConfig
from hornbook.training.machine import Choices
from hornbook.training.memory import plan_memory, suggestion
from tests.training.stores import config, write_inputs

ROOT = Path(__file__).parent.parent.parent
LINUX = pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="peak memory is read from /proc")
WIDE = {
    "hidden_size": 64,
    "num_hidden_layers": 4,
    "num_attention_heads": 1,
    "num_key_value_heads": 1,
    "intermediate_size": 256,
    "max_position_embeddings": 512,
}
LARGE = {"model": WIDE, "context": 512, "batch_tokens": 8192, "budgets": (16_384,), "warmup_tokens": 0}

MEASURE = """
import json, re, sys
from pathlib import Path
import torch
from hornbook.model.config import ModelConfig
from hornbook.model.decoder import Decoder
from hornbook.training.config import TrainConfig
from hornbook.training.gradients import gradient_function
from hornbook.training.machine import Choices, machine
from hornbook.training.memory import plan_memory, return_freed_memory
from hornbook.training.optimizer import Optimizer

choices = Choices(1, False, "float32", "cpu")

def resident(kind):
    return 1024 * int(re.search(kind + r":\\s+(\\d+)", Path("/proc/self/status").read_text())[1])

def peak(shape, config):
    Path("/proc/self/clear_refs").write_text("5")  # the peak starts anew
    before = resident("VmRSS")
    model = Decoder(shape).init_weights(0)
    optimizer = Optimizer(model, config.optimizer)
    gradients = gradient_function(
        model, choices, micro_rows=config.micro_rows, activation_checkpointing=config.activation_checkpointing)
    ids = torch.randint(shape.vocab_size, (config.batch_rows, config.context + 1))
    for _ in range(2):
        gradients(ids[:, :-1].contiguous(), ids[:, 1:].contiguous())
        optimizer.step(0.1)
    return resident("VmHWM") - before

return_freed_memory()
with machine(choices):
    for n, (vocabulary, settings) in enumerate([json.loads(sys.argv[1])[0], *json.loads(sys.argv[1])]):
        config = TrainConfig(**settings)
        shape = ModelConfig(vocab_size=vocabulary, **config.model.model_dump())
        measured = peak(shape, config)
        if n:  # the first one was to load libraries
            print(json.dumps([plan_memory(shape, config, choices).peak, measured]))
"""


@LINUX
def test_peak_memory_is_that_of_the_plan_and_a_large_vocabulary_never_has_its_logits_at_once():
    cases = [
        (2048, LARGE),
        (2048, {**LARGE, "activation_checkpointing": True}),
        (2048, {**LARGE, "micro_batch_tokens": 2048}),
        (200_000, {**LARGE, "micro_batch_tokens": 1024, "batch_tokens": 1024}),
    ]
    command = [sys.executable, "-c", MEASURE, json.dumps(cases)]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    found = [json.loads(line) for line in result.stdout.splitlines()]
    for planned, measured in found:
        assert measured == pytest.approx(planned, rel=0.1)
    (_, whole), (_, checkpointed), (_, micro), (_, vocabulary) = found
    assert checkpointed < 0.5 * whole and micro < 0.5 * whole
    logits, weights = 1024 * 200_000 * 4, 200_000 * 64 * 4
    assert vocabulary < 0.5 * logits + 7 * weights  # weights, two moments, gradients; no logits


LIMITED = """
import json, os, re, resource, sys
from pathlib import Path
import torch
import torch.distributed.checkpoint
from hornbook.core.errors import HornbookError
from hornbook.training.trainer import train_arm_step
from tests.training.stores import config
root, out, settings = Path(sys.argv[1]), Path(sys.argv[2]), json.loads(sys.argv[3])
inputs = {name: root / name for name in ("tokens", "tokenizer", "probe")}
train_arm_step(inputs, out / "small", config())
taken = 1024 * int(re.search(r"VmSize:\\s+(\\d+)", Path("/proc/self/status").read_text())[1])
resource.setrlimit(resource.RLIMIT_AS, (taken + 220_000_000,) * 2)
try:
    train_arm_step(inputs, out / "large", config(**settings))
except HornbookError as error:
    print(error.remedy)
"""


@LINUX
def test_want_of_memory_is_answered_with_a_setting_that_fits(tmp_path):
    inputs = tmp_path / "arm"
    write_inputs(inputs)

    def run(out: str, settings: dict) -> str:
        (tmp_path / out / "small").mkdir(parents=True)
        (tmp_path / out / "large").mkdir()
        command = [sys.executable, "-c", LIMITED, str(inputs), str(tmp_path / out), json.dumps(settings)]
        environment = {**os.environ, "MALLOC_ARENA_MAX": "1"}
        return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True, env=environment).stdout

    said = run("first", LARGE)
    assert said.startswith("Set micro_batch_tokens: ")
    tokens = int(said.split()[2])
    assert run("second", {**LARGE, "micro_batch_tokens": tokens}) == ""  # it fitted
    assert (tmp_path / "second" / "large" / "16384" / "config.json").exists()


def test_the_suggestion_is_the_least_change_that_fits():
    model, choices = ModelConfig(vocab_size=2048, **WIDE), Choices(1, False, "float32", "cpu")
    settings = config(**LARGE)
    peak = plan_memory(model, settings, choices).peak
    assert suggestion(model, settings, choices, peak).startswith("Set micro_batch_tokens: 4096 (")
    smallest = plan_memory(model, settings.model_copy(update={"micro_batch_tokens": 512}), choices).peak
    assert "activation_checkpointing: true" in suggestion(model, settings, choices, smallest)
    assert "smaller model" in suggestion(model, settings, choices, 1_000_000)
