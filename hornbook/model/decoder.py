"""The decoder of the Phi family, in both of its block styles.

phi-1, phi-1.5 and phi-2 (Gunasekar et al. 2023, section 2.3): one LayerNorm, then attention and MLP side by side.
Phi-3 and Phi-4 (Abdin et al. 2024, section 2): attention, then a gated MLP, each after an RMSNorm of its own.

Parameters are named as in Hugging Face checkpoints, so `state_dict()` is the checkpoint. What differs between models
is chosen once, in constructors, by the switches of `ModelConfig`. The file knows nothing of training, parallelism or
files.

Shapes in names: B rows, T positions, D width, H heads of queries, K heads of keys and values, C channels of a
head, V vocabulary.
"""

from typing import Self

import torch
from torch import nn
from torch.nn import functional as F

from hornbook.model.config import ModelConfig
from hornbook.model.document_mask import Mask, attention, document_lengths, document_mask
from hornbook.model.kv_cache import KVCache, causal_mask
from hornbook.model.rope import Rope, Tables, rotate

# Projections back into the residual stream.
OUTPUTS = ("o_proj.weight", "dense.weight", "down_proj.weight", "fc2.weight", "w2.weight")


class RMSNorm(nn.Module):
    """x / rms(x) * weight; the mean square is taken in float32 whatever the type of x."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(config.hidden_size))
        self.eps = config.rms_norm_eps

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return F.rms_norm(x, self.weight.shape, self.weight, self.eps)


class LayerNorm(nn.LayerNorm):
    """(x - mean(x)) / deviation(x) * weight + bias; both are taken in float32 whatever the type of x."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__(config.hidden_size, eps=config.layer_norm_eps)


class Attention(nn.Module):
    """Causal attention. What differs between models is which matrices queries, keys and values come from.

    In float16 the products of queries and keys of phi-2 would overflow; torch takes them in float32 for every type.
    """

    def __init__(self, config: ModelConfig, layer: int) -> None:
        super().__init__()
        self.layer = layer
        self.heads, self.kv_heads = config.num_attention_heads, config.num_key_value_heads
        self.head_dim = config.head_dim

    def project(self, x_BTD: torch.Tensor, rope: Tables) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Queries [B, T, H, C], keys and values [B, T, K, C]; queries and keys are turned by their position."""
        raise NotImplementedError

    def output(self, y_BTD: torch.Tensor) -> torch.Tensor:
        """What all heads found, back in the width of the model."""
        raise NotImplementedError

    def forward(self, x_BTD: torch.Tensor, rope: Tables, mask: Mask, cache: KVCache | None) -> torch.Tensor:
        q, k, v = (part.transpose(1, 2) for part in self.project(x_BTD, rope))
        if cache is not None:
            k, v = cache.append(self.layer, k, v)
        return self.output(self.attend(q, k, v, mask).transpose(1, 2).flatten(2))

    def attend(self, q_BHTC: torch.Tensor, k_BKSC: torch.Tensor, v_BKSC: torch.Tensor, mask: Mask) -> torch.Tensor:
        """What every head finds for each query [B, H, T, C]; the last of S keys is of the last query's position."""
        return attention(
            q_BHTC,
            k_BKSC,
            v_BKSC,
            attn_mask=mask,
            is_causal=mask is None and q_BHTC.shape[2] > 1,
            enable_gqa=self.heads != self.kv_heads,
        )


class FusedAttention(Attention):
    """Queries, keys and values from one matrix, in this order."""

    def __init__(self, config: ModelConfig, layer: int) -> None:
        super().__init__(config, layer)
        D, width = config.hidden_size, self.heads * self.head_dim
        self.qkv_proj = nn.Linear(D, width + 2 * self.kv_heads * self.head_dim, bias=config.bias)
        self.o_proj = nn.Linear(width, D, bias=config.bias)

    def project(self, x_BTD: torch.Tensor, rope: Tables) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        qkv = self.qkv_proj(x_BTD).unflatten(-1, (-1, self.head_dim))
        qk, v = qkv.split((self.heads + self.kv_heads, self.kv_heads), dim=2)
        q, k = rotate(qk, *rope).split((self.heads, self.kv_heads), dim=2)
        return q, k, v

    def output(self, y_BTD: torch.Tensor) -> torch.Tensor:
        return self.o_proj(y_BTD)


class SplitAttention(Attention):
    """Queries, keys and values from a matrix each."""

    def __init__(self, config: ModelConfig, layer: int) -> None:
        super().__init__(config, layer)
        D, width, kv_width = config.hidden_size, self.heads * self.head_dim, self.kv_heads * self.head_dim
        self.q_proj = nn.Linear(D, width, bias=config.bias)
        self.k_proj = nn.Linear(D, kv_width, bias=config.bias)
        self.v_proj = nn.Linear(D, kv_width, bias=config.bias)
        self.dense = nn.Linear(width, D, bias=config.bias)

    def project(self, x_BTD: torch.Tensor, rope: Tables) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        q, k, v = (
            projection(x_BTD).unflatten(-1, (-1, self.head_dim))
            for projection in (self.q_proj, self.k_proj, self.v_proj)
        )
        return rotate(q, *rope), rotate(k, *rope), v

    def output(self, y_BTD: torch.Tensor) -> torch.Tensor:
        return self.dense(y_BTD)


class SwiGLU(nn.Module):
    """Gated MLP (Shazeer 2020); gate and up come from one fused projection in this order."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.gate_up_proj = nn.Linear(config.hidden_size, 2 * config.intermediate_size, bias=config.bias)
        self.down_proj = nn.Linear(config.intermediate_size, config.hidden_size, bias=config.bias)

    def forward(self, x_BTD: torch.Tensor) -> torch.Tensor:
        gate, up = self.gate_up_proj(x_BTD).chunk(2, dim=-1)
        return self.down_proj(F.silu(gate) * up)


class GELU(nn.Module):
    """Two matrices and the GELU between them, in the approximation by tanh (Hendrycks and Gimpel 2016)."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.fc1 = nn.Linear(config.hidden_size, config.intermediate_size, bias=config.bias)
        self.fc2 = nn.Linear(config.intermediate_size, config.hidden_size, bias=config.bias)

    def forward(self, x_BTD: torch.Tensor) -> torch.Tensor:
        return self.fc2(F.gelu(self.fc1(x_BTD), approximate="tanh"))


ATTENTIONS: dict[str, type[Attention]] = {"fused": FusedAttention, "split": SplitAttention}
MLPS: dict[str, type[SwiGLU] | type[GELU]] = {"swiglu": SwiGLU, "gelu": GELU}
NORMS: dict[str, type[RMSNorm] | type[LayerNorm]] = {"rms": RMSNorm, "layer": LayerNorm}


class SequentialBlock(nn.Module):
    """Attention, then the MLP on what attention has added to."""

    final_norm = "norm"  # what the checkpoints call the norm after the last block

    def __init__(self, config: ModelConfig, layer: int) -> None:
        super().__init__()
        self.input_layernorm = NORMS[config.norm](config)
        self.self_attn = ATTENTIONS[config.projections](config, layer)
        self.post_attention_layernorm = NORMS[config.norm](config)
        self.mlp: nn.Module = MLPS[config.mlp](config)

    def forward(self, x_BTD: torch.Tensor, rope: Tables, mask: Mask, cache: KVCache | None) -> torch.Tensor:
        x_BTD = x_BTD + self.self_attn(self.input_layernorm(x_BTD), rope, mask, cache)
        return x_BTD + self.mlp(self.post_attention_layernorm(x_BTD))


class ParallelBlock(nn.Module):
    """Attention and MLP side by side on the same input, after one norm."""

    final_norm = "final_layernorm"

    def __init__(self, config: ModelConfig, layer: int) -> None:
        super().__init__()
        self.input_layernorm = NORMS[config.norm](config)
        self.self_attn = ATTENTIONS[config.projections](config, layer)
        self.mlp = MLPS[config.mlp](config)

    def forward(self, x_BTD: torch.Tensor, rope: Tables, mask: Mask, cache: KVCache | None) -> torch.Tensor:
        h_BTD = self.input_layernorm(x_BTD)
        return x_BTD + self.self_attn(h_BTD, rope, mask, cache) + self.mlp(h_BTD)


BLOCKS: dict[str, type[SequentialBlock] | type[ParallelBlock]] = {
    "sequential": SequentialBlock,
    "parallel": ParallelBlock,
}


class Backbone(nn.Module):
    """Everything below the head: token ids to hidden states. The checkpoints call it `model`."""

    def __init__(self, config: ModelConfig, block: type[SequentialBlock] | type[ParallelBlock] | None = None) -> None:
        super().__init__()
        self.window = config.sliding_window
        self.rope = Rope.of(config)
        block = block or BLOCKS[config.block]
        # Zeros: to draw the usual random numbers on the meta device, torch imports its compiler for a second.
        zeros_VD = torch.zeros(config.vocab_size, config.hidden_size)
        self.embed_tokens = nn.Embedding.from_pretrained(zeros_VD, freeze=False)
        self.layers = nn.ModuleList(block(config, layer) for layer in range(config.num_hidden_layers))
        self.add_module(block.final_norm, NORMS[config.norm](config))
        self._final_norm = block.final_norm

    def forward(
        self,
        ids_BT: torch.Tensor,
        cache: KVCache | None = None,
        lengths_B: torch.Tensor | None = None,
        documents_BT: torch.Tensor | None = None,
    ) -> torch.Tensor:
        T = ids_BT.shape[1]
        dtype = self.embed_tokens.weight.dtype
        mask: Mask
        if cache is not None:  # it may ask for earlier tokens again
            ids_BT, rope, mask = cache.open(ids_BT, lengths_B, dtype)
        elif documents_BT is not None:
            if self.rope.original_length is not None:
                lengths_B = document_lengths(documents_BT)
            rope = self.rope.tables(0, T, ids_BT.device, dtype, lengths_B)
            mask = document_mask(documents_BT, self.window)
        else:
            rope = self.rope.tables(0, T, ids_BT.device, dtype, lengths_B)
            mask = causal_mask(0, T, self.window, ids_BT.device)
        x_BTD = self.embed(ids_BT)
        for layer in self.layers:
            x_BTD = layer(x_BTD, rope, mask, cache)
        if cache is not None:
            cache.advance(ids_BT)
        return getattr(self, self._final_norm)(x_BTD[:, -T:])

    def embed(self, ids_BT: torch.Tensor) -> torch.Tensor:
        """What the first block reads [B, T, D]."""
        return self.embed_tokens(ids_BT)


class Decoder(nn.Module):
    """A language model: token ids to scores of the next token. Fresh weights are to be filled: see `init_weights`."""

    backbone: type[Backbone] = Backbone
    ragged = True  # a cache may hold rows of unequal length

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.config = config
        self.model = self.backbone(config)
        if not config.tie_word_embeddings:
            self.lm_head = nn.Linear(config.hidden_size, config.vocab_size, bias=config.has_head_bias)

    def forward(
        self, ids_BT: torch.Tensor, cache: KVCache | None = None, lengths_B: torch.Tensor | None = None
    ) -> torch.Tensor:
        """Logits [B, T, V] of the token after each position.

        With a cache, `ids_BT` goes on where it ends. Where nothing was seen before, rows may be padded to the right,
        and `lengths_B` holds their true lengths; without a cache, only LongRoPE needs to know them.
        """
        return self.head(self.model(ids_BT, cache, lengths_B))

    def hidden(
        self,
        ids_BT: torch.Tensor,
        cache: KVCache | None = None,
        lengths_B: torch.Tensor | None = None,
        documents_BT: torch.Tensor | None = None,
    ) -> torch.Tensor:
        """Hidden states [B, T, D] after the last norm; `head` makes logits of them.

        With `documents_BT`, the number of each token's document in its row, attention stays within documents.
        """
        return self.model(ids_BT, cache, lengths_B, documents_BT)

    def head(self, h: torch.Tensor) -> torch.Tensor:
        """Logits [..., V] of hidden states [..., D]."""
        return F.linear(h, self.head_weight, self.head_bias)

    @property
    def head_weight(self) -> torch.Tensor:
        """The output matrix [V, D]: the embedding itself when the two are tied."""
        return self.model.embed_tokens.weight if self.config.tie_word_embeddings else self.lm_head.weight

    @property
    def head_bias(self) -> torch.Tensor | None:
        """What is added to the logits [V]; most models have none."""
        return self.lm_head.bias if self.config.has_head_bias else None

    @torch.no_grad()
    def init_weights(self, seed: int, *, zero_outputs: bool = True) -> Self:
        """Fill the weights from a seed, equally on every device; returns the model.

        Embedding and head are normal with `initializer_range`, other matrices with 1 / sqrt(inputs), norms 1, biases
        0. With `zero_outputs` the projections back into the residual stream start at 0, so that every block starts as
        the identity.
        """
        generator = torch.Generator().manual_seed(seed)
        for name, weight in self.named_parameters():
            if weight.ndim == 1:
                weight.fill_(0.0 if name.endswith("bias") else 1.0)
                continue
            narrow = name in ("model.embed_tokens.weight", "lm_head.weight")
            std = self.config.initializer_range if narrow else weight.shape[1] ** -0.5
            if zero_outputs and name.endswith(OUTPUTS):
                std = 0.0
            weight.copy_(torch.randn(weight.shape, generator=generator) * std)
        return self

    def num_parameters(self) -> int:
        """Number of weights; a tied head counts once."""
        return sum(weight.numel() for weight in self.parameters())

    def num_active_parameters(self) -> int:
        """Number of weights that one token meets: all but those of experts that it does not go to."""
        return self.num_parameters()
