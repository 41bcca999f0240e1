"""phi-3-small: the decoder of Phi-3 with block-sparse attention, a gate of GELU and muP's constants.

Abdin et al. 2024, section 2, and the published checkpoints, after which the parameters are named. In every second
layer a head sees the blocks of positions near by and one in eight of those further back, each head other ones.
Constants of muP (Yang et al. 2022) stand at the embedding, in attention and before the head. Rows of the embedding
that stand for no token are never sampled.

Shapes in names as in `decoder`, and S positions of keys, N blocks, G groups of heads that share keys and values.
"""

from collections.abc import Callable
from functools import cache, lru_cache
from math import lcm
from typing import Any

import torch
from torch import nn
from torch.nn.attention.flex_attention import BlockMask, flex_attention

from hornbook.core.errors import HornbookError
from hornbook.model.config import Phi3SmallConfig
from hornbook.model.decoder import Attention, Backbone, Decoder, KVCache, LayerNorm, SequentialBlock
from hornbook.model.document_mask import Mask
from hornbook.model.rope import Tables, rotate

QUERIES = 512  # positions that attend at a time: their masks and scores are all that is ever in memory
FLEX_TILE = 128  # positions of queries and of keys that FlexAttention computes or leaves out together


def sees(config: Phi3SmallConfig, head: torch.Tensor, query: torch.Tensor, key: torch.Tensor) -> torch.Tensor:
    """Whether, for a head of a sparse layer, block number `query` sees block number `key`; the three broadcast.

    It does when it does not lie before, and either lies less than `blocksparse_num_local_blocks` behind, or
    key + 1 + head * `head_step` is a multiple of `blocksparse_vert_stride`.
    """
    is_near = query - key < config.blocksparse_num_local_blocks
    is_far_one = (key + 1 + head * config.head_step) % config.blocksparse_vert_stride == 0
    return (key <= query) & (is_near | is_far_one)


@torch.compiler.disable  # traced by torch 2.13, it lists wrong tiles
@lru_cache(maxsize=4)  # all layers of a pass ask for the same one
@torch.inference_mode(False)  # whoever generates first may train later
def flex_mask(config: Phi3SmallConfig, length: int, device: torch.device) -> BlockMask:
    """The pattern of a sparse layer for FlexAttention, which leaves out tiles where no position sees another."""
    block = config.blocksparse_block_size
    tile = lcm(block, FLEX_TILE)
    ratio, tiles = tile // block, -(-length // tile)
    head_H = torch.arange(config.num_attention_heads, device=device)[:, None, None]
    block_N = torch.arange(tiles * ratio, device=device)
    see = sees(config, head_H, block_N[:, None], block_N).unflatten(2, (tiles, ratio)).unflatten(1, (tiles, ratio))
    tile_N = torch.arange(tiles, device=device)
    is_full = see.all(4).all(2) & (tile_N[:, None] > tile_N)  # the others are masked position by position
    is_partial = see.any(4).any(2) & ~is_full

    def visible(row: torch.Tensor, head: torch.Tensor, query: torch.Tensor, key: torch.Tensor) -> torch.Tensor:
        return sees(config, head, query // block, key // block) & (query >= key)

    def listed(tiles_HNN: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """How many tiles of each row are meant, and which: those that are come first."""
        order = tiles_HNN.int().argsort(dim=-1, descending=True, stable=True)
        return tiles_HNN.sum(-1, dtype=torch.int32)[None], order.int()[None]

    return BlockMask.from_kv_blocks(
        *listed(is_partial), *listed(is_full), BLOCK_SIZE=tile, mask_mod=visible, seq_lengths=(length, length)
    )


@cache
def _flex() -> Callable[..., Any]:
    return torch.compile(flex_attention)


class GroupedAttention(Attention):
    """Queries, keys and values from one matrix: for every head of keys its queries, its key and its value."""

    def __init__(self, config: Phi3SmallConfig, layer: int) -> None:
        super().__init__(config, layer)
        D, width = config.hidden_size, self.heads * self.head_dim
        self.query_key_value = nn.Linear(D, width + 2 * self.kv_heads * self.head_dim, bias=config.bias)
        self.dense = nn.Linear(width, D, bias=config.bias)
        # torch scales by 1 / sqrt(head_dim), and muP wants 1 / head_dim: queries carry the rest.
        self.query_scale = config.mup_attn_multiplier * self.head_dim**-0.5 if config.mup_use_scaling else 1.0

    def project(self, x_BTD: torch.Tensor, rope: Tables) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        queries = self.heads // self.kv_heads
        qkv_BTGPC = self.query_key_value(x_BTD).unflatten(-1, (self.kv_heads, queries + 2, self.head_dim))
        q, k, v = qkv_BTGPC.split((queries, 1, 1), dim=3)
        return rotate(q.flatten(2, 3), *rope) * self.query_scale, rotate(k.squeeze(3), *rope), v.squeeze(3)

    def output(self, y_BTD: torch.Tensor) -> torch.Tensor:
        return self.dense(y_BTD)


class SparseAttention(GroupedAttention):
    """Every head sees the blocks near by and, of those further back, one in `blocksparse_vert_stride`."""

    def __init__(self, config: Phi3SmallConfig, layer: int) -> None:
        super().__init__(config, layer)
        self.config = config

    def attend(self, q_BHTC: torch.Tensor, k_BKSC: torch.Tensor, v_BKSC: torch.Tensor, mask: Mask) -> torch.Tensor:
        T, S = q_BHTC.shape[2], k_BKSC.shape[2]
        block = self.config.blocksparse_block_size
        if block * self.config.blocksparse_num_local_blocks >= S:  # all of it is near by
            return super().attend(q_BHTC, k_BKSC, v_BKSC, mask)
        if isinstance(mask, BlockMask):
            raise HornbookError(
                "Documents cannot be masked in phi-3-small's sparse attention on a GPU.",
                "Set training.data.document_masks to false.",
            )
        if q_BHTC.is_cuda and T == S and mask is None:
            pattern = flex_mask(self.config, S, q_BHTC.device)
            grouped = self.heads != self.kv_heads
            return _flex()(q_BHTC, k_BKSC, v_BKSC, block_mask=pattern, enable_gqa=grouped)
        # FlexAttention has no backward on a CPU, and gains nothing where few queries meet many keys.
        head_H = torch.arange(self.heads, device=q_BHTC.device)[:, None, None]
        position_S = torch.arange(S, device=q_BHTC.device)
        parts = []
        for first in range(0, T, QUERIES):
            last = min(first + QUERIES, T)
            end = S - T + last  # keys after the last of these queries are of no use
            query, key = position_S[S - T + first : end, None], position_S[:end]
            see = sees(self.config, head_H, query // block, key // block) & (query >= key)
            if mask is not None:
                see = see & mask[..., first:last, :end]
            parts.append(super().attend(q_BHTC[:, :, first:last], k_BKSC[:, :, :end], v_BKSC[:, :, :end], see))
        return torch.cat(parts, dim=2)


def geglu(x: torch.Tensor, limit: float) -> torch.Tensor:
    """GELU(gate) * (linear + 1) of columns that take turns, gate first; [..., 2n] becomes [..., n].

    GELU is approximated by x * sigmoid(1.702 x) (Hendrycks and Gimpel 2016). The gate is at most `limit`, and the
    linear part lies between -`limit` and `limit`.
    """
    gate = x[..., ::2].clamp(max=limit)
    linear = x[..., 1::2].clamp(-limit, limit)
    return gate * torch.sigmoid(1.702 * gate) * (linear + 1)


class GEGLU(nn.Module):
    """Gated MLP (Shazeer 2020) with clamped GELU."""

    def __init__(self, config: Phi3SmallConfig) -> None:
        super().__init__()
        self.limit = config.gegelu_limit
        self.up_proj = nn.Linear(config.hidden_size, 2 * config.intermediate_size, bias=config.bias)
        self.down_proj = nn.Linear(config.intermediate_size, config.hidden_size, bias=config.bias)

    def forward(self, x_BTD: torch.Tensor) -> torch.Tensor:
        return self.down_proj(geglu(self.up_proj(x_BTD), self.limit))


class Phi3SmallBlock(SequentialBlock):
    """Attention, sparse or dense, then the MLP, each after a LayerNorm."""

    final_norm = "final_layernorm"

    def __init__(self, config: Phi3SmallConfig, layer: int) -> None:
        nn.Module.__init__(self)  # the parts are others
        self.input_layernorm = LayerNorm(config)
        self.self_attn = (GroupedAttention if config.is_dense(layer) else SparseAttention)(config, layer)
        self.post_attention_layernorm = LayerNorm(config)
        self.mlp = GEGLU(config)


class Phi3SmallBackbone(Backbone):
    """Hidden states are divided for the head, so that whoever multiplies them with it has the model's logits."""

    def __init__(self, config: Phi3SmallConfig) -> None:
        super().__init__(config, Phi3SmallBlock)
        self.embedding_multiplier = config.mup_embedding_multiplier
        self.width_multiplier = config.mup_width_multiplier

    def forward(
        self,
        ids_BT: torch.Tensor,
        cache: KVCache | None = None,
        lengths_B: torch.Tensor | None = None,
        documents_BT: torch.Tensor | None = None,
    ) -> torch.Tensor:
        return super().forward(ids_BT, cache, lengths_B, documents_BT) / self.width_multiplier

    def embed(self, ids_BT: torch.Tensor) -> torch.Tensor:
        return super().embed(ids_BT) * self.embedding_multiplier


class Phi3Small(Decoder):
    """phi-3-small; used as every `Decoder`."""

    config: Phi3SmallConfig
    ragged = False  # how far back a head sees is counted from the last key
    backbone = Phi3SmallBackbone

    @property
    def head_bias(self) -> torch.Tensor | None:
        """Minus infinity where a row stands for no token [V], so that it is never sampled nor learned."""
        if not self.config.dummy_token_indices:
            return None
        rows = torch.tensor(self.config.dummy_token_indices, device=self.head_weight.device)
        return self.head_weight.new_zeros(self.config.vocab_size).index_fill(0, rows, -torch.inf)
