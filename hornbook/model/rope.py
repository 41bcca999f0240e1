"""Rotary position embeddings (Su et al. 2021), in the half-split layout of the Hugging Face checkpoints.

Plain, over the first channels of a head only, or stretched by LongRoPE (Ding et al. 2024): a long text is read with
slower frequencies than a short one, so keys of the two do not go together.

Shapes in names: B rows, T positions, H heads, C channels of a head, R = half of the rotary channels.
"""

import math
from dataclasses import dataclass
from typing import Self

import torch

from hornbook.core.errors import HornbookError
from hornbook.model.config import Factors, ModelConfig

Tables = tuple[torch.Tensor, torch.Tensor]


@dataclass(frozen=True)
class Rope:
    """Turns channel i and i + rotary_dim / 2 of a head together, by position * theta^(-2i / rotary_dim) / factor_i.

    The factors are 1 when `original_length` is None. Otherwise they are those of `short` for sequences of at most
    that many tokens and those of `long` for longer ones, and cosines and sines are multiplied by `attention_factor`.
    """

    rotary_dim: int
    theta: float
    original_length: int | None = None
    short: Factors = ()
    long: Factors = ()
    attention_factor: float = 1.0

    @classmethod
    def of(cls, config: ModelConfig) -> Self:
        """The embeddings of a model."""
        scaling = config.rope_scaling
        if scaling is None:
            return cls(config.rotary_dim, config.rope_theta)
        original, factor = scaling.original_max_position_embeddings, scaling.attention_factor
        if factor is None:
            factor = attention_factor(original, config.max_position_embeddings / original)
        return cls(config.rotary_dim, config.rope_theta, original, scaling.short_factor, scaling.long_factor, factor)

    def tables(
        self, start: int, length: int, device: torch.device, dtype: torch.dtype, lengths_B: torch.Tensor | None = None
    ) -> Tables:
        """Cosines and sines [T, 1, R] for positions `start` ... `start + length - 1` of a sequence that ends there.

        Where rows of a batch are padded to the right, `lengths_B` holds their true lengths: with LongRoPE every row
        then has tables of its own, [B, T, 1, R], and does not depend on its neighbours. It may hold [B, T] lengths as
        well, those of the document of each token. Angles are computed in
        float32, whatever `dtype` is: bfloat16 cannot count positions. Raises HornbookError without the factors.
        """
        exponent_R = torch.arange(0, self.rotary_dim, 2, dtype=torch.float32, device=device) / self.rotary_dim
        period = self.theta**exponent_R
        if self.original_length is not None:
            if not self.short:
                raise HornbookError(
                    "This model has no factors for its rotary embeddings.", "Load it from a checkpoint."
                )
            if lengths_B is None:
                chosen = self.long if start + length > self.original_length else self.short
                period = torch.tensor(chosen, device=device) * period
            else:
                short, long = (torch.tensor(factors, device=device) for factors in (self.short, self.long))
                is_long = lengths_B.to(device).view(len(lengths_B), -1, 1, 1) > self.original_length
                period = torch.where(is_long, long, short) * period
        position_T = torch.arange(start, start + length, dtype=torch.float32, device=device)
        angle = position_T[:, None, None] * (1.0 / period)
        cos, sin = angle.cos(), angle.sin()
        if self.attention_factor != 1.0:
            cos, sin = cos * self.attention_factor, sin * self.attention_factor
        return cos.to(dtype), sin.to(dtype)

    def last_tables(self, length: int, device: torch.device, dtype: torch.dtype) -> Tables:
        """Cosines and sines [T, 1, R] for positions 0 ... `length - 1`, each the last of a sequence."""
        if self.original_length is None or length <= self.original_length:
            return self.tables(0, length, device, dtype)
        short = self.tables(0, self.original_length, device, dtype)
        long = self.tables(self.original_length, length - self.original_length, device, dtype)
        cos, sin = (torch.cat(parts) for parts in zip(short, long, strict=True))
        return cos, sin

    def outgrows(self, before: int, after: int) -> bool:
        """Whether a sequence of `before` tokens that grows to `after` changes its factors, so that keys turned with
        the old ones must be computed again."""
        return self.original_length is not None and 0 < before <= self.original_length < after


def attention_factor(original: int, stretch: float) -> float:
    """LongRoPE's factor of cosines and sines for a context `stretch` times as long: attention over more positions
    must be sharper. The formula is that of Phi-3's checkpoints (Abdin et al. 2024, section 2)."""
    return math.sqrt(1 + math.log(stretch) / math.log(original)) if stretch > 1 else 1.0


def rotate(x_BTHC: torch.Tensor, cos: torch.Tensor, sin: torch.Tensor) -> torch.Tensor:
    """Turn the first rotary channels of every head, leave the others as they are."""
    half = cos.shape[-1]
    a, b, rest = x_BTHC.split((half, half, x_BTHC.shape[-1] - 2 * half), dim=-1)
    return torch.cat((a * cos - b * sin, b * cos + a * sin, rest), dim=-1)
