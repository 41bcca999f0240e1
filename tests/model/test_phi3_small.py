"""phi-3-small: the whole model against a plain one, its mask and its gate against known numbers, and its files."""

import json
from dataclasses import replace
from io import StringIO
from itertools import product
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.nn import functional as F
from torch.nn.attention.flex_attention import flex_attention

from hornbook.core.errors import HornbookError
from hornbook.deployment.complete import complete
from hornbook.deployment.engines import Ask
from hornbook.model import gguf, huggingface
from hornbook.model.build import build
from hornbook.model.config import PHI_3_SMALL_DUMMIES, LongRope, Phi3SmallConfig
from hornbook.model.decoder import Decoder, KVCache
from hornbook.model.generate import generate
from hornbook.model.load import load_any
from hornbook.model.phi3_small import flex_mask, geglu, sees
from hornbook.model.presets import PRESETS
from hornbook.model.sampling import SamplingOptions
from hornbook.model.sizes import measure
from hornbook.tokenization.config import TokenizerConfig
from hornbook.tokenization.train import train_bpe, write_folder
from hornbook.training.config import OptimizerConfig
from hornbook.training.gradients import gradient_function
from hornbook.training.machine import Choices
from hornbook.training.optimizer import Optimizer
from tests.model import phi3_small_reference as reference
from tests.model.tiny import TEXT

DUMMIES = (5, 300, 319)
PUBLISHED = PRESETS["phi-3-small-8k"]
SCALING = LongRope(24, tuple(1 + 0.1 * i for i in range(8)), tuple(1 + 1.5 * i for i in range(8)))
SHAPES: dict[str, dict[str, Any]] = {
    "as published": {},
    "all heads keys of their own": {"num_key_value_heads": 4},
    "head of its own": {"tie_word_embeddings": False},
    "LongRoPE below": {"rope_scaling": replace(SCALING, original_max_position_embeddings=64)},
    "LongRoPE at": {"rope_scaling": replace(SCALING, original_max_position_embeddings=45)},
    "LongRoPE above": {"rope_scaling": SCALING},
}


def tiny_config(**changes: Any) -> Phi3SmallConfig:
    """Blocks of 4 positions, of which two near ones and one in three of the others are seen."""
    values: dict[str, Any] = {
        "vocab_size": 320,
        "hidden_size": 64,
        "intermediate_size": 96,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "max_position_embeddings": 128,
        "blocksparse_block_size": 4,
        "blocksparse_num_local_blocks": 2,
        "blocksparse_vert_stride": 3,
        "initializer_range": 0.1,
        "dummy_token_indices": DUMMIES,
    }
    return Phi3SmallConfig(**(values | changes))


def tiny_model(**changes: Any) -> Decoder:
    """Random weights, biases and norms; the gate is wide enough to meet its limit."""
    model = build(tiny_config(**changes)).init_weights(0, zero_outputs=False).eval()
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if weight.ndim == 1:
                weight.add_(0.2 * torch.randn(weight.shape, generator=torch.Generator().manual_seed(len(name))))
            if name.endswith("up_proj.weight"):
                weight.mul_(8)
    return model


def some_ids(rows: int, length: int) -> torch.Tensor:
    return torch.randint(6, 300, (rows, length), generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("changes", SHAPES.values(), ids=SHAPES)
def test_logits_and_gradients_are_those_of_a_plain_reference(changes: dict[str, Any]) -> None:
    ours, ids = tiny_model(**changes), some_ids(1, 45)
    weights = {name: weight.detach().double().requires_grad_() for name, weight in ours.named_parameters()}
    wanted = reference.logits(ours.config, weights, ids[0].tolist())  # type: ignore[arg-type]
    found = ours(ids)[0]
    torch.testing.assert_close(found, wanted.float(), atol=1e-5, rtol=1e-5)
    for logits in (found, wanted):
        F.cross_entropy(logits[:-1], ids[0, 1:]).backward()
    for name, weight in ours.named_parameters():
        torch.testing.assert_close(weight.grad, weights[name].grad.float(), atol=1e-4, rtol=1e-4, msg=name)


@torch.no_grad()
@pytest.mark.parametrize("pieces", [[7, 5, *[1] * 33], [20, 25], [45]])
@pytest.mark.parametrize("changes", SHAPES.values(), ids=SHAPES)
def test_with_a_cache_it_computes_the_same(changes: dict[str, Any], pieces: list[int]) -> None:
    model, ids = tiny_model(**changes), some_ids(2, 45)
    cache = KVCache(model.config)
    logits = torch.cat([model(piece, cache) for piece in ids.split(pieces, dim=1)], dim=1)
    same = slice(24 if changes.get("rope_scaling") == SCALING else 0, None)  # before, other factors hold
    torch.testing.assert_close(logits[:, same], model(ids)[:, same], atol=1e-5, rtol=1e-5)


@torch.no_grad()
def test_many_queries_see_what_few_see() -> None:
    model, ids = tiny_model(max_position_embeddings=2048), some_ids(1, 1300)
    cache = KVCache(model.config)
    few = torch.cat([model(piece, cache) for piece in ids.split(100, dim=1)], dim=1)
    torch.testing.assert_close(model(ids), few, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize(
    ("gate", "linear", "wanted"),
    [(1, 0, 0.845796), (1, 1, 1.691592), (-1, 2, -0.462613), (25, 30, 420.0), (0.5, -1, 0.0), (25, -30, -380.0)],
)
def test_the_gate_has_the_values_of_the_published_model(gate: float, linear: float, wanted: float) -> None:
    assert geglu(torch.tensor([gate, linear, 0.0, 0.0]), 20.0).tolist() == pytest.approx([wanted, 0.0], abs=1e-6)


def test_the_published_mask() -> None:
    assert isinstance(PUBLISHED, Phi3SmallConfig)
    head = torch.arange(32)[:, None, None]
    for tokens, blocks, density in [(2048, None, 0.76), (4096, None, 0.50), (8192, 30, 0.32)]:
        block = torch.arange(tokens // 64)
        see = sees(PUBLISHED, head, block[:, None], block)
        if blocks:
            assert see[:, -1].sum(1).tolist() == [blocks] * 32
        share = see[0].sum().item() / (len(block) * (len(block) + 1) / 2)
        assert share == pytest.approx(density, abs=0.005)
    last = torch.tensor([[131_072 // 64 - 1]])
    assert sees(PUBLISHED, head, last, torch.arange(2048)).sum((1, 2)).tolist() == [270] * 32
    for h, query, key, wanted in [(0, 40, 24, False), (0, 40, 25, True), (0, 40, 23, True), (1, 40, 22, True)]:
        assert bool(sees(PUBLISHED, torch.tensor(h), torch.tensor(query), torch.tensor(key))) is wanted
    assert sees(PUBLISHED, head, last, torch.arange(2048)).any(0).all()  # some head sees it


def test_the_mask_for_graphics_cards_is_the_same() -> None:
    model, config = tiny_model(), tiny_config()
    generator = torch.Generator().manual_seed(0)
    q, k, v = (torch.randn(2, heads, 300, 16, generator=generator) for heads in (4, 2, 2))
    found = flex_attention(q, k, v, block_mask=flex_mask(config, 300, q.device), enable_gqa=True)
    torch.testing.assert_close(found, model.model.layers[0].self_attn.attend(q, k, v, None), atol=1e-5, rtol=1e-5)
    for length, head in product((45, 129, 300), range(4)):  # a tile is computed just where a position sees another
        tiles = flex_mask(config, length, q.device).to_dense()[0, head].nonzero().tolist()
        pairs = ((query, key) for query in range(length) for key in range(query + 1))
        seen = {(query // 128, key // 128) for query, key in pairs if reference.is_visible(config, head, query, key)}
        assert {tuple(tile) for tile in tiles} == seen


def test_the_mean_of_seen_positions_is_that_of_the_mask() -> None:
    for changes in ({}, {"blocksparse_homo_head_pattern": True}, {"dense_attention_every_n_layers": 0}):
        config = tiny_config(max_position_embeddings=90, **changes)
        head, position = torch.arange(4)[:, None, None], torch.arange(90)
        see = sees(config, head, (position // 4)[:, None], position // 4) & (position[:, None] >= position)
        sparse = see.sum().item() / (4 * 90)
        assert config.mean_seen == pytest.approx(sparse if config.is_dense(1) is False else (sparse + 45.5) / 2)


def test_what_is_no_token_is_never_sampled_and_never_learned() -> None:
    model = tiny_model()
    with torch.no_grad():
        model.head_weight[list(DUMMIES)] *= 100  # they would win
    assert set(generate(model, [7, 8, 9], max_new_tokens=60)).isdisjoint(DUMMIES)
    drawn = set(generate(model, [7, 8, 9], max_new_tokens=60, temperature=5.0))
    assert drawn.isdisjoint(DUMMIES) and len(drawn) > 10
    assert len(PHI_3_SMALL_DUMMIES) == 91 and PHI_3_SMALL_DUMMIES[-1] == 100_351
    assert not {100_257, 100_261, 100_262, 100_263, 100_266} & set(PHI_3_SMALL_DUMMIES)  # end of text, turns of a chat


def test_it_trains_as_every_decoder() -> None:
    model = build(tiny_config()).init_weights(0)
    optimizer, ids = Optimizer(model, OptimizerConfig(muon_lr=0.02)), some_ids(4, 60)
    gradients = gradient_function(model, Choices(threads=1, compile=False, dtype="float32", device="cpu"))
    losses = []
    for _ in range(12):
        losses.append(gradients(ids[:, :-1], ids[:, 1:]))
        optimizer.step(1.0)
    logits = model(ids[:, :-1]).flatten(0, 1)
    assert gradients(ids[:, :-1], ids[:, 1:]) == pytest.approx(
        F.cross_entropy(logits, ids[:, 1:].flatten()).item(), abs=1e-5
    )
    assert losses[-1] < 0.7 * losses[0]
    assert losses[0] == pytest.approx(torch.tensor(320 - len(DUMMIES)).log().item(), abs=0.1)


def test_memory_to_train_is_what_the_optimiser_holds() -> None:
    model = build(tiny_config()).init_weights(0)
    state = sum(tensor.nbytes for tensor in Optimizer(model, OptimizerConfig()).state().values())
    assert measure(model.config).train_bytes == state + 2 * 2 * model.num_parameters()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    huggingface.save(tiny_model(bos_token_id=6, eos_token_id=6), tmp_path)
    write_folder(train_bpe(iter([TEXT] * 2), TokenizerConfig(vocab_size=300)), tmp_path)
    return tmp_path


@pytest.mark.parametrize("changes", SHAPES.values(), ids=SHAPES)
def test_a_folder_comes_back_as_it_was(tmp_path: Path, changes: dict[str, Any]) -> None:
    model = tiny_model(**changes)
    huggingface.save(model, tmp_path)
    back = huggingface.load(tmp_path)
    if scaling := changes.get("rope_scaling"):
        assert back.config.rope_scaling is not None and back.config.rope_scaling.long_factor == scaling.long_factor
    else:
        assert back.config == model.config
    for name, weight in model.state_dict().items():
        assert torch.equal(back.state_dict()[name], weight), name
    assert torch.equal(back(some_ids(1, 40)), model(some_ids(1, 40)))


def test_config_json_is_that_of_the_published_model(tmp_path: Path) -> None:
    huggingface.save(tiny_model(), tmp_path)
    path = tmp_path / "config.json"
    described = json.loads(path.read_text())
    known = {"model_type": "phi3small", "hidden_act": "gegelu", "layer_norm_epsilon": 1e-5, "gegelu_limit": 20.0}
    known |= {"ff_intermediate_size": 96, "rope_embedding_base": 1_000_000.0, "mup_width_multiplier": 8.0}
    assert known.items() <= described.items() and "auto_map" not in described
    for changes, reason in [
        ({"rope_position_scale": 2.0}, "rope_position_scale is 2.0"),
        ({"hidden_act": "silu"}, "silu"),
        ({"ff_intermediate_size": None}, "ff_intermediate_size is None"),
        ({"blocksparse_vert_stride": 0}, "blocksparse_vert_stride 0"),
        ({"dummy_token_indices": [320]}, "dummy_token_indices holds 320"),
        ({"partial_rotary_factor": 0.5, "rope_parameters": None}, "partial_rotary_factor"),
    ]:
        path.write_text(json.dumps(described | changes))
        with pytest.raises(HornbookError, match=reason):
            huggingface.load(tmp_path)


def test_the_published_config_json_is_the_preset(tmp_path: Path) -> None:
    published = {
        "architectures": ["Phi3SmallForCausalLM"],
        "model_type": "phi3small",
        "attention_bias": False,
        "attention_dropout_prob": 0.0,
        "embedding_dropout_prob": 0.1,
        "blocksparse_block_size": 64,
        "blocksparse_homo_head_pattern": False,
        "blocksparse_num_local_blocks": 16,
        "blocksparse_triton_kernel_block_size": 64,
        "blocksparse_vert_stride": 8,
        "bos_token_id": 100257,
        "dense_attention_every_n_layers": 2,
        "eos_token_id": 100257,
        "ff_dim_multiplier": None,
        "ff_intermediate_size": 14336,
        "ffn_dropout_prob": 0.1,
        "gegelu_limit": 20.0,
        "gegelu_pad_to_256": True,
        "hidden_act": "gegelu",
        "hidden_size": 4096,
        "initializer_range": 0.02,
        "layer_norm_epsilon": 1e-05,
        "max_position_embeddings": 8192,
        "mup_attn_multiplier": 1.0,
        "mup_embedding_multiplier": 10.0,
        "mup_use_scaling": True,
        "mup_width_multiplier": 8.0,
        "num_attention_heads": 32,
        "num_hidden_layers": 32,
        "num_key_value_heads": 8,
        "pad_sequence_to_multiple_of_64": True,
        "reorder_and_upcast_attn": False,
        "rope_embedding_base": 1000000,
        "rope_position_scale": 1.0,
        "use_cache": True,
        "vocab_size": 100352,
    }
    (tmp_path / "config.json").write_text(json.dumps(published))
    assert huggingface.read_config(tmp_path) == PUBLISHED


def test_complete_runs_it_and_llama_cpp_cannot(folder: Path, tmp_path: Path) -> None:
    model, tokenizer = load_any(folder)
    assert type(model).__name__ == "Phi3Small" and tokenizer.get_vocab_size() <= 300
    out = StringIO()
    complete("def", model=folder, ask=Ask(5, SamplingOptions(temperature=0.0)), out=out)
    assert out.getvalue().startswith("def") and len(out.getvalue()) > 4
    with pytest.raises(HornbookError, match="cannot become"):
        gguf.export(folder, tmp_path / "model.gguf", "F32")
    assert not list(tmp_path.glob("*.gguf"))
