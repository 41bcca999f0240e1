"""The decoder computes what transformers computes, on the same files, both ways."""

from pathlib import Path
from typing import Any

import pytest
import torch
from torch.nn import functional as F
from transformers import AutoModelForCausalLM, Phi3Config, Phi3ForCausalLM

from hornbook.core.errors import HornbookError
from hornbook.model import huggingface
from hornbook.model.config import PARALLEL
from hornbook.model.decoder import KVCache, LayerNorm, RMSNorm
from tests.model.tiny import SHAPES, tiny_config, tiny_model


def some_ids(rows: int = 2, length: int = 64) -> torch.Tensor:
    return torch.randint(0, 320, (rows, length), generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("changes", SHAPES.values(), ids=SHAPES)
def test_transformers_computes_the_same_with_our_files(tmp_path: Path, changes: dict[str, Any]) -> None:
    ours, ids = tiny_model(**changes), some_ids()
    huggingface.save(ours, tmp_path)
    theirs = AutoModelForCausalLM.from_pretrained(tmp_path)
    assert theirs.dtype == torch.float32
    with torch.no_grad():
        torch.testing.assert_close(ours(ids), theirs(ids).logits, atol=1e-4, rtol=0)


@pytest.mark.parametrize("tied", [True, False])
def test_we_compute_the_same_with_files_of_transformers(tmp_path: Path, tied: bool) -> None:
    shape = Phi3Config(
        vocab_size=320,
        hidden_size=64,
        intermediate_size=96,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=128,
        tie_word_embeddings=tied,
        rope_parameters={"rope_type": "default", "rope_theta": 500.0, "partial_rotary_factor": 0.5},
        bos_token_id=1,
        eos_token_id=[2, 3],
        pad_token_id=None,
    )
    theirs = Phi3ForCausalLM(shape).eval()
    theirs.save_pretrained(tmp_path)
    ours, ids = huggingface.load(tmp_path), some_ids()
    assert (ours.config.bos_token_id, ours.config.eos_token_id, ours.config.pad_token_id) == (1, 2, None)
    assert ours.config.rope_theta == 500 and ours.config.rotary_dim == 8
    with torch.no_grad():
        torch.testing.assert_close(ours(ids), theirs(ids).logits, atol=1e-4, rtol=0)


def test_gradients_are_those_of_transformers(tmp_path: Path) -> None:
    ours, ids = tiny_model(), some_ids()
    huggingface.save(ours, tmp_path)
    theirs = AutoModelForCausalLM.from_pretrained(tmp_path)
    for logits in (ours(ids), theirs(ids).logits):
        F.cross_entropy(logits[:, :-1].flatten(0, 1), ids[:, 1:].flatten()).backward()
    wanted = dict(theirs.named_parameters())
    for name, weight in ours.named_parameters():
        torch.testing.assert_close(weight.grad, wanted[name].grad, atol=1e-4, rtol=1e-4, msg=name)


@torch.no_grad()
@pytest.mark.parametrize("changes", SHAPES.values(), ids=SHAPES)
def test_with_a_cache_in_pieces_is_without_a_cache_in_one(changes: dict[str, Any]) -> None:
    model, ids = tiny_model(**changes), some_ids(3)
    cache = KVCache(model.config)
    pieces = [model(piece, cache) for piece in ids.split([20, 11, *[1] * 33], dim=1)]
    torch.testing.assert_close(torch.cat(pieces, 1), model(ids), atol=1e-4, rtol=0)
    assert cache.length == 64


def test_hidden_states_times_the_head_are_the_logits() -> None:
    for model in (tiny_model(), tiny_model(tie_word_embeddings=False)):
        assert model.head_bias is None
        torch.testing.assert_close(model.hidden(some_ids()) @ model.head_weight.T, model(some_ids()))
    model = tiny_model(**SHAPES["parallel blocks"])
    torch.nn.init.normal_(model.lm_head.bias)
    torch.testing.assert_close(model.head(model.hidden(some_ids())), model(some_ids()))
    assert (model(some_ids()) - model.hidden(some_ids()) @ model.head_weight.T).abs().max() > 1


def test_weights_follow_the_seed_and_blocks_start_as_the_identity() -> None:
    first, same, other = tiny_model(3), tiny_model(3), tiny_model(4)
    assert all(torch.equal(a, b) for a, b in zip(first.parameters(), same.parameters(), strict=True))
    assert not torch.equal(first.head_weight, other.head_weight)
    model = tiny_model().init_weights(0)
    embedded = model.model.norm(model.model.embed_tokens(some_ids()))
    torch.testing.assert_close(model.hidden(some_ids()), embedded)
    parallel = tiny_model(**SHAPES["parallel blocks"]).init_weights(0)
    embedded = parallel.model.final_layernorm(parallel.model.embed_tokens(some_ids()))
    torch.testing.assert_close(parallel.hidden(some_ids()), embedded)


def test_norms_start_at_one_and_biases_at_zero() -> None:
    for name, weight in tiny_model(**SHAPES["parallel blocks"]).named_parameters():
        if weight.ndim == 1:
            assert torch.all(weight == (0 if name.endswith("bias") else 1)), name


def test_the_names_of_a_parallel_block_are_those_of_the_published_checkpoints() -> None:
    names = set(tiny_model(**SHAPES["parallel blocks"], num_hidden_layers=1).state_dict())
    layer = ("self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj", "self_attn.dense", "mlp.fc1", "mlp.fc2")
    stems = {"lm_head", "model.final_layernorm", "model.layers.0.input_layernorm"}
    stems |= {f"model.layers.0.{part}" for part in layer}
    assert names == {f"{stem}.{kind}" for stem in stems for kind in ("weight", "bias")} | {"model.embed_tokens.weight"}


@torch.no_grad()
@pytest.mark.parametrize("positions", [1, 64])
def test_large_queries_and_keys_do_not_overflow_in_float16(positions: int) -> None:
    model, ids = tiny_model(**SHAPES["parallel blocks"]), some_ids()
    for layer in model.model.layers:
        for projection in (layer.self_attn.q_proj, layer.self_attn.k_proj):
            projection.weight.mul_(100)  # entries of a few hundred, as in phi-2: their products pass 65,504
    exact, half = model(ids), model.half()
    cache = KVCache(model.config)
    logits = torch.cat([half(piece, cache) for piece in ids.split(positions, dim=1)], dim=1)
    assert torch.isfinite(logits).all()
    assert (logits.argmax(-1) == exact.argmax(-1)).float().mean() > 0.9


@pytest.mark.parametrize("kind", [RMSNorm, LayerNorm])
def test_norms_are_taken_in_float32(kind: type[RMSNorm] | type[LayerNorm]) -> None:
    norm = kind(tiny_config(hidden_size=4096))
    x = torch.randn(8, 4096, generator=torch.Generator().manual_seed(0)).bfloat16() * 100
    torch.testing.assert_close(norm.bfloat16()(x).float(), norm.float()(x.float()), rtol=2**-8, atol=0)


def test_a_shared_embedding_counts_once() -> None:
    layer = 64 * (64 + 2 * 32) + 64 * 64 + 64 * 2 * 96 + 96 * 64 + 2 * 64
    assert tiny_model().num_parameters() == 320 * 64 + 2 * layer + 64
    assert tiny_model(tie_word_embeddings=False).num_parameters() == 2 * 320 * 64 + 2 * layer + 64


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"hidden_size": 66}, "width of 66"),
        ({"num_key_value_heads": 3}, "keys and values"),
        ({"partial_rotary_factor": 0.2}, "turn 3 channels"),
        ({"partial_rotary_factor": 2.0}, "turn 32 channels"),
        ({"num_hidden_layers": 0}, "num_hidden_layers 0"),
        ({"head_dim": 7}, "turn 7 channels"),
        ({"sliding_window": 0}, "sliding_window of 0"),
        (PARALLEL, "head with a bias"),
    ],
)
def test_a_shape_that_cannot_be_is_one_clear_error(changes: dict[str, Any], named: str) -> None:
    with pytest.raises(HornbookError, match=named) as caught:
        tiny_config(**changes)
    assert caught.value.remedy
