"""Rotary position embeddings (Su et al. 2021), in the half-split layout of the Hugging Face checkpoints.

Shapes in names: B rows, T positions, H heads, C channels of a head, R = rotary channels (the first of the C).
"""

from dataclasses import dataclass

import torch


@dataclass(frozen=True)
class Rope:
    """Turns channel i and i + rotary_dim / 2 of a head together, by position * theta^(-2i / rotary_dim)."""

    rotary_dim: int
    theta: float

    def tables(
        self, start: int, length: int, device: torch.device, dtype: torch.dtype
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Cosines and sines [T, 1, R / 2] for positions `start` ... `start + length - 1`.

        Angles are computed in float32, whatever `dtype` is: bfloat16 cannot count positions.
        """
        exponent = torch.arange(0, self.rotary_dim, 2, dtype=torch.float32, device=device) / self.rotary_dim
        position_T = torch.arange(start, start + length, dtype=torch.float32, device=device)
        angle = position_T[:, None, None] * (1.0 / self.theta**exponent)
        return angle.cos().to(dtype), angle.sin().to(dtype)


def rotate(x_BTHC: torch.Tensor, cos: torch.Tensor, sin: torch.Tensor) -> torch.Tensor:
    """Turn the first rotary channels of every head, leave the others as they are."""
    half = cos.shape[-1]
    a, b, rest = x_BTHC.split((half, half, x_BTHC.shape[-1] - 2 * half), dim=-1)
    return torch.cat((a * cos - b * sin, b * cos + a * sin, rest), dim=-1)
