"""phi-3-small once more, written as the descriptions read: position by position, in float64, with no attention call.

Weights are a plain dictionary with the names of the checkpoint. Nothing of ours is used but the numbers of the config.
"""

import math

import torch

from hornbook.model.config import Phi3SmallConfig

Weights = dict[str, torch.Tensor]


def is_visible(config: Phi3SmallConfig, head: int, query: int, key: int) -> bool:
    """Whether position `query` sees position `key` in a sparse layer."""
    q, k = query // config.blocksparse_block_size, key // config.blocksparse_block_size
    step = max(1, int(config.blocksparse_vert_stride / config.num_attention_heads))
    is_far_one = (k + 1 + head * step) % config.blocksparse_vert_stride == 0
    return key <= query and (q - k < config.blocksparse_num_local_blocks or is_far_one)


def logits(config: Phi3SmallConfig, weights: Weights, ids: list[int]) -> torch.Tensor:
    """Logits [positions, vocabulary] of one text."""
    x = weights["model.embed_tokens.weight"][ids] * config.mup_embedding_multiplier
    for layer in range(config.num_hidden_layers):
        w = {name.split(".", 3)[3]: tensor for name, tensor in weights.items() if f".layers.{layer}." in name}
        x = x + _attention(config, w, _norm(x, w, "input_layernorm"), dense=(layer + 1) % 2 == 0)
        x = x + _mlp(config, w, _norm(x, w, "post_attention_layernorm"))
    top = {name.removeprefix("model."): tensor for name, tensor in weights.items()}
    head = weights.get("lm_head.weight", weights["model.embed_tokens.weight"])
    scores = _norm(x, top, "final_layernorm") @ head.T / config.mup_width_multiplier
    never = torch.zeros(config.vocab_size, dtype=torch.bool)
    never[list(config.dummy_token_indices)] = True
    return scores.masked_fill(never, -math.inf)


def _norm(x: torch.Tensor, w: Weights, name: str) -> torch.Tensor:
    centred = x - x.mean(-1, keepdim=True)
    return centred / (centred.square().mean(-1, keepdim=True) + 1e-5).sqrt() * w[f"{name}.weight"] + w[f"{name}.bias"]


def _linear(x: torch.Tensor, w: Weights, name: str) -> torch.Tensor:
    return x @ w[f"{name}.weight"].T + w[f"{name}.bias"]


def _turned(config: Phi3SmallConfig, x: torch.Tensor, position: int, length: int) -> torch.Tensor:
    """Rotate a head [channels]: channel i goes with channel i + half."""
    half, scaling = len(x) // 2, config.rope_scaling
    frequency = [config.rope_theta ** (-i / half) for i in range(half)]
    stretch = 1.0
    if scaling:
        original = scaling.original_max_position_embeddings
        factors = scaling.long_factor if length > original else scaling.short_factor
        frequency = [f / factor for f, factor in zip(frequency, factors, strict=True)]
        stretch = math.sqrt(1 + math.log(config.max_position_embeddings / original) / math.log(original))
    cos = torch.tensor([stretch * math.cos(position * f) for f in frequency], dtype=x.dtype)
    sin = torch.tensor([stretch * math.sin(position * f) for f in frequency], dtype=x.dtype)
    a, b = x[:half], x[half:]
    return torch.cat((a * cos - b * sin, b * cos + a * sin))


def _attention(config: Phi3SmallConfig, w: Weights, x: torch.Tensor, dense: bool) -> torch.Tensor:
    length, channels = len(x), config.head_dim
    queries = config.num_attention_heads // config.num_key_value_heads
    heads = _linear(x, w, "self_attn.query_key_value").split(channels, dim=-1)
    found = []
    for head in range(config.num_attention_heads):
        first = head // queries * (queries + 2)  # of the group: its queries, then a key, then a value
        q, k, v = heads[first + head % queries], heads[first + queries], heads[first + queries + 1]
        q = torch.stack([_turned(config, row, t, length) for t, row in enumerate(q)])
        k = torch.stack([_turned(config, row, t, length) for t, row in enumerate(k)])
        rows = []
        for t in range(length):
            seen = [s for s in range(t + 1) if dense or is_visible(config, head, t, s)]
            share = (k[seen] @ q[t] / channels).softmax(0)
            rows.append(share @ v[seen])
        found.append(torch.stack(rows))
    return _linear(torch.cat(found, dim=-1), w, "self_attn.dense")


def _mlp(config: Phi3SmallConfig, w: Weights, x: torch.Tensor) -> torch.Tensor:
    columns = _linear(x, w, "mlp.up_proj").unflatten(-1, (-1, 2))
    gate = columns[..., 0].minimum(torch.tensor(config.gegelu_limit))
    linear = columns[..., 1].minimum(torch.tensor(config.gegelu_limit)).maximum(torch.tensor(-config.gegelu_limit))
    return _linear(gate / (1 + (-1.702 * gate).exp()) * (linear + 1), w, "mlp.down_proj")
