"""Muon (Jordan et al. 2024): the momentum of a matrix is replaced by the nearest matrix with equal singular values.

Matrices of one shape are orthogonalised together in one batch, which is what makes Muon cheap at small widths
(torch.optim.Muon goes one by one, and always in bfloat16, which many CPUs only emulate). Fused projections are taken
apart first: queries, keys, values, gate and up are matrices of their own.

Shapes in names: N matrices, R rows, C columns.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping

import torch

from hornbook.model.config import ModelConfig
from hornbook.training.config import OptimizerConfig

NEWTON_SCHULZ = (3.4445, -4.7750, 2.0315)
NEWTON_SCHULZ_STEPS = 5
AT_ONCE = 1 << 26  # weights that are orthogonalised together at most; a few copies of them are held for it

Places = list[tuple[str, int]]  # parameter and first row of each matrix of one shape


def orthogonalize(g_NRC: torch.Tensor) -> torch.Tensor:
    """Bring all singular values of every matrix [N, rows, columns] near 1 (within about 0.7 and 1.2).

    Newton-Schulz iteration with the coefficients of Jordan et al. 2024, in the type of its argument.
    """
    a, b, c = NEWTON_SCHULZ
    tall = g_NRC.shape[1] > g_NRC.shape[2]
    x = g_NRC.mT if tall else g_NRC
    x = x / x.norm(dim=(1, 2), keepdim=True).clamp_min(1e-12)
    for _ in range(NEWTON_SCHULZ_STEPS):
        gram = x @ x.mT
        x = torch.baddbmm(x, torch.baddbmm(gram, gram, gram, beta=b, alpha=c), x, beta=a)
    return x.mT if tall else x


def matrices_by_shape(names: Mapping[str, torch.Tensor], config: ModelConfig) -> dict[tuple[int, int], Places]:
    """Where the matrices of each shape lie in these weights of a decoder, fused ones taken apart."""
    places: dict[tuple[int, int], Places] = defaultdict(list)
    for name, weight in names.items():
        first = 0
        for rows in _rows_of_pieces(name, weight.shape[0], config):
            places[rows, weight.shape[1]].append((name, first))
            first += rows
    return dict(sorted(places.items()))


class Muon:
    """Momentum and update of the matrices of one shape."""

    def __init__(self, shape: tuple[int, int], places: Places, config: OptimizerConfig, device: torch.device) -> None:
        self.shape, self.places, self.config = shape, places, config
        self.momentum_NRC = torch.zeros(len(places), *shape, device=device)

    def step(
        self, gradients: Mapping[str, torch.Tensor], masters: Mapping[str, torch.Tensor], lr: float, fast: torch.dtype
    ) -> None:
        """Move the float32 `masters` against their gradients; the iteration computes in the type `fast`."""
        rows, columns = self.shape
        scale = max(1.0, rows / columns) ** 0.5  # the same change of the output for every shape
        for batch in self._batches():
            places, momentum = self.places[batch], self.momentum_NRC[batch]
            grad = torch.stack([gradients[name][at : at + rows] for name, at in places]).float()
            momentum.lerp_(grad, 1 - self.config.muon_momentum)
            update = grad.lerp_(momentum, self.config.muon_momentum)  # Nesterov
            update = orthogonalize(update.to(fast)).float()  # the iteration forgives rounding
            for (name, at), piece in zip(places, update, strict=True):
                master = masters[name][at : at + rows]
                master.mul_(1 - lr * self.config.weight_decay).sub_(piece, alpha=lr * scale)

    def _batches(self) -> Iterator[slice]:
        count = max(1, AT_ONCE // (self.shape[0] * self.shape[1]))
        return (slice(at, at + count) for at in range(0, len(self.places), count))


def _rows_of_pieces(name: str, rows: int, config: ModelConfig) -> tuple[int, ...]:
    """How many rows each of the matrices that are fused into one parameter has."""
    if "qkv_proj" in name:
        keys = config.num_key_value_heads * config.head_dim
        return rows - 2 * keys, keys, keys
    if "query_key_value" in name:  # of each group of heads its queries, its key, its value
        groups, channels = config.num_key_value_heads, config.head_dim
        return (rows // groups - 2 * channels, channels, channels) * groups
    return (rows // 2, rows // 2) if "gate_up_proj" in name else (rows,)
