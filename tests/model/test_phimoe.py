"""Phi-3.5-MoE: logits, gradients and files are those of transformers; the router draws as it should."""

import json
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.nn import functional as F
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode
from transformers import AutoModelForCausalLM
from transformers.models.phimoe.modeling_phimoe import PhimoeForCausalLM, sparsemixer

from hornbook.core.errors import HornbookError
from hornbook.deployment.complete import complete
from hornbook.deployment.engines import Ask
from hornbook.model import gguf, huggingface
from hornbook.model.build import build
from hornbook.model.config import LongRope, PhimoeConfig
from hornbook.model.decoder import Decoder, KVCache
from hornbook.model.generate import generate
from hornbook.model.phimoe import sparse_mixer
from hornbook.model.presets import PRESETS
from hornbook.model.sampling import SamplingOptions
from hornbook.model.sizes import measure
from hornbook.tokenization.config import TokenizerConfig
from hornbook.tokenization.train import train_bpe, write_folder
from hornbook.training.config import OptimizerConfig
from hornbook.training.gradients import gradient_function
from hornbook.training.machine import Choices
from hornbook.training.optimizer import Optimizer
from tests.model.tiny import TEXT

SHORT, LONG = tuple(1 + 0.1 * i for i in range(8)), tuple(1 + 1.5 * i for i in range(8))
SHAPES: dict[str, dict[str, Any]] = {
    "plain": {},
    "all heads keys of their own": {"num_key_value_heads": 4},
    "many experts": {"num_local_experts": 16, "intermediate_size": 32},
    "experts that compete": {"router_jitter_noise": 0.3},
    "window": {"sliding_window": 9},
    "LongRoPE below": {"rope_scaling": LongRope(64, SHORT, LONG, 1.243163121016122)},
    "LongRoPE at": {"rope_scaling": LongRope(40, SHORT, LONG, 1.243163121016122)},
    # transformers knows no long list here, so both are the same
    "LongRoPE above": {"rope_scaling": LongRope(24, SHORT, SHORT, 1.243163121016122)},
}


def tiny_config(**changes: Any) -> PhimoeConfig:
    values: dict[str, Any] = {
        "vocab_size": 320,
        "hidden_size": 64,
        "intermediate_size": 48,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "max_position_embeddings": 128,
        "num_local_experts": 4,
        "initializer_range": 0.3,
    }
    return PhimoeConfig(**(values | changes))


def tiny_model(**changes: Any) -> Decoder:
    """Random weights, biases and norms."""
    model = build(tiny_config(**changes)).init_weights(0, zero_outputs=False).eval()
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if weight.ndim == 1:
                weight.add_(0.2 * torch.randn(weight.shape, generator=torch.Generator().manual_seed(len(name))))
    return model


def some_ids(rows: int, length: int) -> torch.Tensor:
    return torch.randint(320, (rows, length), generator=torch.Generator().manual_seed(1))


def theirs_of(folder: Path) -> Any:
    theirs = AutoModelForCausalLM.from_pretrained(folder, attn_implementation="sdpa", experts_implementation="eager")
    assert type(theirs) is PhimoeForCausalLM
    return theirs


def by_our_names(theirs: Any, gradients: bool = False) -> dict[str, torch.Tensor]:
    """transformers keeps all experts of a layer in two tensors; taken apart, and named as in the checkpoint."""
    named: dict[str, torch.Tensor] = {}
    for name, parameter in theirs.named_parameters():
        value = parameter.grad if gradients else parameter.detach()
        layer, found, part = name.partition(".mlp.")
        if not found:
            named[name] = value
        elif part == "router.weight":
            named[f"{layer}.block_sparse_moe.gate.weight"] = value
        else:
            for expert, matrix in enumerate(value):
                pieces = {"w2": matrix}
                if part == "experts.gate_up_proj":
                    pieces = dict(zip(("w1", "w3"), matrix.chunk(2), strict=True))
                for piece, weight in pieces.items():
                    named[f"{layer}.block_sparse_moe.experts.{expert}.{piece}.weight"] = weight
    return named


@pytest.mark.parametrize("changes", SHAPES.values(), ids=SHAPES)
def test_logits_gradients_cache_and_files_are_those_of_transformers(tmp_path: Path, changes: dict[str, Any]) -> None:
    ours, ids = tiny_model(**changes), some_ids(2, 40)
    huggingface.save(ours, tmp_path / "ours")
    theirs = theirs_of(tmp_path / "ours")
    found, wanted = ours(ids), theirs(ids).logits
    torch.testing.assert_close(found, wanted, atol=1e-5, rtol=1e-5)
    for logits in (found, wanted):
        F.cross_entropy(logits[:, :-1].flatten(0, 1), ids[:, 1:].flatten()).backward()
    gradients = by_our_names(theirs, gradients=True)
    for name, weight in ours.named_parameters():
        torch.testing.assert_close(weight.grad, gradients[name], atol=1e-4, rtol=1e-4, msg=name)

    with torch.no_grad():
        cache = KVCache(ours.config)
        pieces = [ours(piece, cache) for piece in ids.split([7, 5, *[1] * 28], dim=1)]
        torch.testing.assert_close(torch.cat(pieces, 1), wanted, atol=1e-5, rtol=1e-5)

    theirs.save_pretrained(tmp_path / "theirs")
    for folder in ("ours", "theirs"):
        back = huggingface.load(tmp_path / folder)
        assert back.config == ours.config
        for name, weight in ours.state_dict().items():
            assert torch.equal(back.state_dict()[name], weight), name


def test_in_training_without_jitter_it_is_transformers_too(tmp_path: Path) -> None:
    ours, ids = tiny_model(router_jitter_noise=0.0), some_ids(2, 40)
    huggingface.save(ours, tmp_path)
    theirs = theirs_of(tmp_path)
    found, wanted = ours.train()(ids), theirs.train()(ids).logits
    torch.testing.assert_close(found, wanted, atol=1e-5, rtol=1e-5)
    for logits in (found, wanted):
        F.cross_entropy(logits[:, :-1].flatten(0, 1), ids[:, 1:].flatten()).backward()
    gradients = by_our_names(theirs, gradients=True)
    for name, weight in ours.named_parameters():
        torch.testing.assert_close(weight.grad, gradients[name], atol=1e-4, rtol=1e-4, msg=name)


def test_greedy_generation_is_that_of_transformers(tmp_path: Path) -> None:
    ours, prompt = tiny_model(), some_ids(1, 10)
    huggingface.save(ours, tmp_path)
    wanted = theirs_of(tmp_path).generate(prompt, max_new_tokens=30, do_sample=False, eos_token_id=None)[0, 10:]
    assert list(generate(ours, prompt[0].tolist(), max_new_tokens=30)) == wanted.tolist()


def test_above_the_original_length_the_long_factors_hold() -> None:
    ids = some_ids(1, 40)
    first, second, third = (
        tiny_model(rope_scaling=LongRope(24, short, LONG, 1.2))(ids) for short in (SHORT, LONG, SHORT[::-1])
    )
    assert torch.equal(first, second) and torch.equal(first, third)


def test_the_router_picks_the_two_best_and_weighs_each_among_its_rivals() -> None:
    scores = torch.tensor([[1.0, 0.99, 0.5, -3.0], [4.0, 1.0, 2.0, 0.0], [-1.0, -1.01, -5.0, -2.0]])
    expert, weight = sparse_mixer(scores, 0.01, training=False)
    assert expert.tolist() == [[0, 1], [0, 2], [0, 1]]
    near = torch.tensor([1.0, 0.99]).softmax(0)[0].item()
    assert weight[0].tolist() == pytest.approx([near, 1.0]) and weight[1].tolist() == [1.0, 1.0]
    for jitter in (0.0, 0.01, 0.3):
        many = torch.randn(500, 16, generator=torch.Generator().manual_seed(0))
        wanted_weight, wanted = sparsemixer(many, jitter, False)
        expert, weight = sparse_mixer(many, jitter, training=False)
        assert torch.equal(expert, wanted)
        torch.testing.assert_close(weight, wanted_weight)


def test_in_training_the_router_draws_as_that_of_transformers() -> None:
    torch.manual_seed(0)
    scores = torch.tensor([[1.0, 0.9, 0.6, -3.0]]).repeat(40_000, 1)
    found, wanted = [], []
    for outcome, (expert, weight) in (
        (found, sparse_mixer(scores, 0.3, training=True)),
        (wanted, sparsemixer(scores, 0.3, True)[::-1]),
    ):
        pairs = expert[:, 0] * 4 + expert[:, 1]
        outcome += (torch.bincount(pairs, minlength=16) / len(scores)).tolist()
        outcome += [weight[pairs == pair].mean(0).tolist() for pair in (1, 2, 4, 6, 8, 9)]
    assert found[:16] == pytest.approx(wanted[:16], abs=0.015)
    for mine, other in zip(found[16:], wanted[16:], strict=True):
        assert mine == pytest.approx(other, abs=0.015)


def test_the_gradient_of_a_drawn_expert_is_that_of_its_whole_weight() -> None:
    scores = torch.tensor([[1.0, 0.9, -3.0]]).repeat(200, 1).requires_grad_()
    torch.manual_seed(0)
    expert, weight = sparse_mixer(scores, 0.3, training=True)
    whole = scores[:, :2].softmax(1).gather(1, expert[:, :1])[:, 0]
    assert sorted({round(ratio, 4) for ratio in (weight[:, 0] / whole).tolist()}) == [0.3333, 1.0]
    (found,) = torch.autograd.grad(weight[:, 0].sum(), scores, retain_graph=True)
    (wanted,) = torch.autograd.grad(whole.sum(), scores)
    torch.testing.assert_close(found, wanted)


def test_it_trains_as_every_decoder() -> None:
    model = build(tiny_config(initializer_range=0.02, input_jitter_noise=0.01)).init_weights(0).train()
    optimizer, ids = Optimizer(model, OptimizerConfig(muon_lr=0.02)), some_ids(1, 12)  # experts stay without a token
    gradients = gradient_function(model, Choices(threads=1, compile=False, dtype="float32", device="cpu"))
    losses = []
    for _ in range(12):
        losses.append(gradients(ids[:, :-1], ids[:, 1:]))
        optimizer.step(1.0)
    assert losses[-1] < 0.7 * losses[0]


def test_costs_are_those_that_torch_counts() -> None:
    config = tiny_config(router_jitter_noise=0.0)
    model = build(config).init_weights(0)
    state = sum(tensor.nbytes for tensor in Optimizer(model, OptimizerConfig()).state().values())
    assert measure(config).train_bytes == state + 2 * 2 * model.num_parameters()
    with torch.no_grad(), FlopCounterMode(display=False) as counter, sdpa_kernel(SDPBackend.MATH):
        model(torch.zeros(1, 1, dtype=torch.long))
    attention = 4 * 2 * 4 * 16  # of the one position that the token sees
    assert measure(config).forward_flops == counter.get_total_flops() - attention


def test_active_parameters_are_the_published_ones() -> None:
    with torch.device("meta"):
        model = build(PRESETS["phi-3.5-moe"])
    assert model.num_active_parameters() == 6_640_999_744
    assert model.num_parameters() == 41_873_153_344


def test_config_json_is_that_of_the_published_model(tmp_path: Path) -> None:
    huggingface.save(tiny_model(rope_scaling=LongRope(24, SHORT, LONG)), tmp_path)
    path = tmp_path / "config.json"
    described = json.loads(path.read_text())
    known = {"model_type": "phimoe", "attention_bias": True, "lm_head_bias": True, "num_experts_per_tok": 2}
    assert known.items() <= described.items() and "auto_map" not in described
    rope = described["rope_scaling"]
    assert rope["short_mscale"] == rope["long_mscale"] and rope["original_max_position_embeddings"] == 24
    for changes, reason in [
        ({"attention_bias": False}, "attention_bias is False"),
        ({"rope_scaling": rope | {"long_mscale": 1.0}}, "short_mscale and long_mscale are not equal"),
        ({"num_experts_per_tok": 3}, "3 of 4 experts"),
        ({"num_local_experts": 5}, r"experts\.4\.w1"),
    ]:
        path.write_text(json.dumps(described | changes))
        with pytest.raises(HornbookError, match=reason):
            huggingface.load(tmp_path)


def test_complete_runs_it_and_an_export_is_refused(tmp_path: Path) -> None:
    huggingface.save(tiny_model(bos_token_id=0, eos_token_id=0), tmp_path)
    write_folder(train_bpe(iter([TEXT] * 2), TokenizerConfig(vocab_size=300)), tmp_path)
    out = StringIO()
    complete("def", model=tmp_path, ask=Ask(5, SamplingOptions(temperature=0.0)), out=out)
    assert out.getvalue().startswith("def") and len(out.getvalue()) > 4
    with pytest.raises(HornbookError, match="cannot become"):
        gguf.export(tmp_path, tmp_path / "model.gguf", "F32")
    assert not list(tmp_path.glob("*.gguf"))
