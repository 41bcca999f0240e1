"""Named models have the published sizes, and what `hornbook model` says of them is right."""

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from hornbook.core.errors import HornbookError
from hornbook.model.build import build
from hornbook.model.config_json import describe
from hornbook.model.decoder import Decoder
from hornbook.model.presets import LADDER, PRESETS
from hornbook.model.sizes import list_models, measure, show_model
from hornbook.training.config import OptimizerConfig
from hornbook.training.optimizer import Optimizer
from tests.miniature import hornbook
from tests.model.tiny import SHAPES, tiny_config, tiny_folder

# Totals of the published safetensors files; that of phi-1-small, which was not published, follows from its paper.
PARAMETERS = {
    "phi-1-small": 356_794_368,
    "phi-1": 1_418_270_720,
    "phi-1.5": 1_418_270_720,
    "phi-2": 2_779_683_840,
    "phi-3-mini-4k": 3_821_079_552,
    "phi-3-mini-128k": 3_821_079_552,
    "phi-3.5-mini": 3_821_079_552,
    "phi-3-small-8k": 7_392_272_384,
    "phi-3-small-128k": 7_392_272_384,
    "phi-3-medium-4k": 13_960_238_080,
    "phi-3-medium-128k": 13_960_238_080,
    "phi-3.5-moe": 41_873_153_344,
    "phi-4": 14_659_507_200,
    "phi-4-mini": 3_836_021_760,
    "phi-4-reasoning": 14_659_507_200,
}


@pytest.mark.parametrize(("name", "parameters"), PARAMETERS.items(), ids=PARAMETERS)
def test_a_published_model_has_the_published_number_of_parameters(name: str, parameters: int) -> None:
    with torch.device("meta"):
        assert build(PRESETS[name]).num_parameters() == parameters
    assert measure(PRESETS[name]).parameters == parameters


def test_every_model_is_published_or_a_rung_of_the_ladder_in_both_styles() -> None:
    assert PRESETS.keys() == PARAMETERS.keys() | LADDER.keys() | {f"{name}-parallel" for name in LADDER}
    for name, shape in LADDER.items():
        assert all(getattr(PRESETS[name], key) == value for key, value in shape.items())
        with torch.device("meta"):
            models = [Decoder(PRESETS[key]) for key in (name, f"{name}-parallel")]
        sequential, parallel = (sum(p.numel() for p in model.model.layers.parameters()) for model in models)
        assert 0.9 < parallel / sequential < 1.1
        if name.endswith("M") and name != "0.3M":
            assert 0.9 < models[0].num_parameters() / (1e6 * float(name[:-1])) < 1.35


@pytest.mark.parametrize(
    ("name", "numbers"),
    [
        *[("phi-1", 196_608), ("phi-2", 327_680), ("phi-3.5-mini", 393_216), ("phi-3-small-128k", 131_072)],
        *[("phi-3.5-moe", 131_072), ("phi-4", 204_800), ("phi-4-mini", 131_072)],
    ],
)
def test_keys_and_values_take_what_is_known_of_the_published_models(name: str, numbers: int) -> None:
    assert measure(PRESETS[name]).kv_bytes_per_token == numbers


def test_rotary_embeddings_of_the_published_models() -> None:
    turned = {name: PRESETS[name].rotary_dim for name in PARAMETERS}
    assert {turned[name] for name in ("phi-1-small", "phi-1", "phi-1.5", "phi-2")} == {32}
    assert turned["phi-3.5-mini"] == turned["phi-4-mini"] == 96 and turned["phi-4"] == 128
    mini = PRESETS["phi-4-mini"].rope_scaling
    assert mini and len(mini.short_factor) == len(mini.long_factor) == 48
    assert mini.long_factor[30] == pytest.approx(28.641, abs=1e-3) and mini.long_factor[-1] == 47.77
    assert sorted(mini.long_factor) == list(mini.long_factor)


@pytest.mark.parametrize("changes", [SHAPES["grouped queries"], SHAPES["parallel blocks"]], ids=["tied", "parallel"])
def test_memory_to_train_is_what_the_optimiser_holds(changes: dict) -> None:
    model = Decoder(tiny_config(**changes)).init_weights(0)
    state = sum(tensor.nbytes for tensor in Optimizer(model, OptimizerConfig()).state().values())
    weights_and_gradients = 2 * 2 * model.num_parameters()
    assert measure(model.config).train_bytes == state + weights_and_gradients


@pytest.mark.parametrize("changes", [{}, SHAPES["parallel blocks"]], ids=["tied", "parallel"])
def test_flops_are_those_that_torch_counts(changes: dict) -> None:
    config = tiny_config(**changes)
    model = Decoder(config).init_weights(0)
    with FlopCounterMode(display=False) as counter, torch.nn.attention.sdpa_kernel(torch.nn.attention.SDPBackend.MATH):
        model(torch.zeros(1, 1, dtype=torch.long))
    # torch counts the one position that the token sees as well
    attention = 4 * config.num_hidden_layers * config.num_attention_heads * config.head_dim
    assert measure(config).forward_flops == counter.get_total_flops() - attention


def test_a_window_saves_attention_in_training() -> None:
    config = replace(tiny_config(), sliding_window=None)
    full, windowed = measure(config).train_flops, measure(replace(config, sliding_window=16)).train_flops
    per_position = 3 * 4 * config.num_hidden_layers * config.num_attention_heads * config.head_dim
    visible = [sum(min(i, window) for i in range(1, 129)) / 128 for window in (128, 16)]
    assert full - windowed == pytest.approx(per_position * (visible[0] - visible[1]))


def test_show_tells_shape_and_costs(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    show_model("phi-3.5-mini")
    text = capsys.readouterr().out
    for fact in ("3,821,079,552", "32 of 96 channels", "393,216 bytes a token", "LongRoPE above 4,096", "checkpoint"):
        assert fact in text
    show_model("phi-3.5-moe")
    assert "41,873,153,344, of which a token meets 6,640,999,744" in capsys.readouterr().out
    show_model(str(tiny_folder(tmp_path)))
    assert f"{Decoder(tiny_config()).num_parameters():,}" in capsys.readouterr().out
    list_models()
    assert [line.split()[0] for line in capsys.readouterr().out.splitlines()] == ["model", *PRESETS]
    with pytest.raises(HornbookError, match=r"no model phi-5.*phi-4-mini"):
        show_model("phi-5")


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="peak memory of a process is read from /proc")
def test_the_largest_model_is_shown_in_little_memory() -> None:
    code = """
import sys
sys.argv = ["hornbook", "model", "show", "phi-4"]
from hornbook.cli import app
app(standalone_mode=False)
print(next(line.split()[1] for line in open("/proc/self/status") if line.startswith("VmHWM")))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "14,659,507,200" in done.stdout
    assert int(done.stdout.split()[-1]) < 1_000_000  # kilobytes


def test_the_verbs_have_help_with_an_example_and_one_line_for_a_mistake(tmp_path: Path) -> None:
    for verb in (["model"], ["model", "list"], ["model", "show"]):
        assert "Example: hornbook model" in " ".join(hornbook(*verb, "--help", cwd=tmp_path).stdout.split())
    done = hornbook("model", "show", "phi-5", cwd=tmp_path)
    assert done.returncode == 2 and "no model phi-5" in done.stderr and done.stderr.count("\n") == 1


def test_a_preset_is_a_published_architecture() -> None:
    types = {"gelu": "phi", "swiglu": "phi3", "geglu": "phi3small", "experts": "phimoe"}
    for name, config in PRESETS.items():
        if config.rope_scaling is None or config.rope_scaling.short_factor:
            assert describe(config, "bfloat16")["model_type"] == types[config.mlp], name
