"""The decoder: the Phi-3 block (RMSNorm, rotary attention, SwiGLU; Abdin et al. 2024, section 2).

Parameters are named as in Hugging Face checkpoints, so `state_dict()` is the checkpoint. The file knows
nothing of training, parallelism or files.

Shapes in names: B rows, T positions, D width, H heads of queries, K heads of keys and values, C channels of a
head, V vocabulary.
"""

from typing import Self

import torch
from torch import nn
from torch.nn import functional as F

from hornbook.model.config import ModelConfig
from hornbook.model.rope import Rope, rotate

Tables = tuple[torch.Tensor, torch.Tensor]


class KVCache:
    """Keys and values of the positions that a decoder has seen; give the same one to every call."""

    def __init__(self, config: ModelConfig) -> None:
        self.length = 0  # positions seen by all layers
        self._context = config.max_position_embeddings
        self._kv: list[torch.Tensor | None] = [None] * config.num_hidden_layers  # each [2, B, K, room, C]

    def append(self, layer: int, k_BKTC: torch.Tensor, v_BKTC: torch.Tensor) -> Tables:
        """Add positions to one layer; all its keys and values. `length` is for the caller to move on."""
        end = self.length + k_BKTC.shape[2]
        kv = self._kv[layer]
        if kv is None or end > kv.shape[3]:  # room doubles, so that copying stays a small share
            B, K, _, C = k_BKTC.shape
            room = max(end, min(2 * end, self._context))
            grown = k_BKTC.new_empty(2, B, K, room, C)
            if kv is not None:
                grown[..., : self.length, :] = kv[..., : self.length, :]
            self._kv[layer] = kv = grown
        kv[0, :, :, self.length : end] = k_BKTC
        kv[1, :, :, self.length : end] = v_BKTC
        return kv[0, :, :, :end], kv[1, :, :, :end]


class RMSNorm(nn.Module):
    """x / rms(x) * weight; the mean square is taken in float32 whatever the type of x."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(config.hidden_size))
        self.eps = config.rms_norm_eps

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return F.rms_norm(x, self.weight.shape, self.weight, self.eps)


class Attention(nn.Module):
    """Causal attention; queries, keys and values come from one fused projection in this order."""

    def __init__(self, config: ModelConfig, layer: int) -> None:
        super().__init__()
        self.layer = layer
        self.heads, self.kv_heads = config.num_attention_heads, config.num_key_value_heads
        self.head_dim = config.head_dim
        width = (self.heads + 2 * self.kv_heads) * self.head_dim
        self.qkv_proj = nn.Linear(config.hidden_size, width, bias=False)
        self.o_proj = nn.Linear(config.hidden_size, config.hidden_size, bias=False)

    def forward(
        self, x_BTD: torch.Tensor, rope: Tables, mask: torch.Tensor | None, cache: KVCache | None
    ) -> torch.Tensor:
        qkv = self.qkv_proj(x_BTD).unflatten(-1, (-1, self.head_dim))
        qk, v = qkv.split((self.heads + self.kv_heads, self.kv_heads), dim=2)
        q, k = rotate(qk, *rope).split((self.heads, self.kv_heads), dim=2)
        q, k, v = q.transpose(1, 2), k.transpose(1, 2), v.transpose(1, 2)
        if cache is not None:
            k, v = cache.append(self.layer, k, v)
        y_BHTC = F.scaled_dot_product_attention(
            q,
            k,
            v,
            attn_mask=mask,
            is_causal=mask is None and q.shape[2] > 1,
            enable_gqa=self.heads != self.kv_heads,
        )
        return self.o_proj(y_BHTC.transpose(1, 2).flatten(2))


class MLP(nn.Module):
    """SwiGLU (Shazeer 2020); gate and up come from one fused projection in this order."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.gate_up_proj = nn.Linear(config.hidden_size, 2 * config.intermediate_size, bias=False)
        self.down_proj = nn.Linear(config.intermediate_size, config.hidden_size, bias=False)

    def forward(self, x_BTD: torch.Tensor) -> torch.Tensor:
        gate, up = self.gate_up_proj(x_BTD).chunk(2, dim=-1)
        return self.down_proj(F.silu(gate) * up)


class Block(nn.Module):
    def __init__(self, config: ModelConfig, layer: int) -> None:
        super().__init__()
        self.input_layernorm = RMSNorm(config)
        self.self_attn = Attention(config, layer)
        self.post_attention_layernorm = RMSNorm(config)
        self.mlp = MLP(config)

    def forward(
        self, x_BTD: torch.Tensor, rope: Tables, mask: torch.Tensor | None, cache: KVCache | None
    ) -> torch.Tensor:
        x_BTD = x_BTD + self.self_attn(self.input_layernorm(x_BTD), rope, mask, cache)
        return x_BTD + self.mlp(self.post_attention_layernorm(x_BTD))


class Backbone(nn.Module):
    """Everything below the head: token ids to hidden states. The checkpoints call it `model`."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.window = config.sliding_window
        self.rope = Rope(config.rotary_dim, config.rope_theta)
        self.embed_tokens = nn.Embedding(config.vocab_size, config.hidden_size)
        self.layers = nn.ModuleList(Block(config, layer) for layer in range(config.num_hidden_layers))
        self.norm = RMSNorm(config)

    def forward(self, ids_BT: torch.Tensor, cache: KVCache | None = None) -> torch.Tensor:
        x_BTD = self.embed_tokens(ids_BT)
        start, T = (cache.length if cache is not None else 0), ids_BT.shape[1]
        rope = self.rope.tables(start, T, x_BTD.device, x_BTD.dtype)
        mask = self._mask(start, T, x_BTD.device)
        for layer in self.layers:
            x_BTD = layer(x_BTD, rope, mask, cache)
        if cache is not None:
            cache.length += T
        return self.norm(x_BTD)

    def _mask(self, start: int, T: int, device: torch.device) -> torch.Tensor | None:
        """Which positions [T, start + T] each new one sees; None where it is all up to itself.

        None lets attention take its fast causal way: with a cache it holds for one new position, or for none
        seen before.
        """
        windowed = self.window is not None and start + T > self.window
        if not windowed and (start == 0 or T == 1):
            return None
        mask = torch.ones(T, start + T, dtype=torch.bool, device=device).tril(start)
        return mask.triu(start - self.window + 1) if windowed and self.window else mask


class Decoder(nn.Module):
    """A language model: token ids to scores of the next token. Fresh weights are random: see `init_weights`."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.config = config
        self.model = Backbone(config)
        if not config.tie_word_embeddings:
            self.lm_head = nn.Linear(config.hidden_size, config.vocab_size, bias=False)

    def forward(self, ids_BT: torch.Tensor, cache: KVCache | None = None) -> torch.Tensor:
        """Logits [B, T, V] of the token after each position. With a cache, `ids_BT` goes on where it ends."""
        return F.linear(self.model(ids_BT, cache), self.head_weight)

    def hidden(self, ids_BT: torch.Tensor, cache: KVCache | None = None) -> torch.Tensor:
        """Hidden states [B, T, D] after the last norm; times `head_weight` transposed they are the logits."""
        return self.model(ids_BT, cache)

    @property
    def head_weight(self) -> torch.Tensor:
        """The output matrix [V, D]: the embedding itself when the two are tied."""
        return self.model.embed_tokens.weight if self.config.tie_word_embeddings else self.lm_head.weight

    @torch.no_grad()
    def init_weights(self, seed: int, *, zero_outputs: bool = True) -> Self:
        """Fill the weights from a seed, equally on every device; returns the model.

        Embedding and head are normal with `initializer_range`, other matrices with 1 / sqrt(inputs), norms 1.
        With `zero_outputs` the projections back into the residual stream start at 0, so that every block
        starts as the identity.
        """
        generator = torch.Generator().manual_seed(seed)
        for name, weight in self.named_parameters():
            if weight.ndim == 1:
                weight.fill_(1.0)
                continue
            narrow = name in ("model.embed_tokens.weight", "lm_head.weight")
            std = self.config.initializer_range if narrow else weight.shape[1] ** -0.5
            if zero_outputs and name.endswith(("o_proj.weight", "down_proj.weight")):
                std = 0.0
            weight.copy_(torch.randn(weight.shape, generator=generator) * std)
        return self

    def num_parameters(self) -> int:
        """Number of weights; a tied head counts once."""
        return sum(weight.numel() for weight in self.parameters())
