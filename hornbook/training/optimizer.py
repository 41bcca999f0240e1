"""Muon (Jordan et al. 2024) for hidden matrices, AdamW for everything else, on float32 master weights.

Momentum of a hidden matrix is replaced by the nearest matrix with equal singular values before it is applied.
Matrices of one shape are orthogonalised together in one batch, which is what makes Muon cheap at small widths
(torch.optim.Muon goes one by one, and always in bfloat16, which many CPUs only emulate). Fused projections are taken
apart first: queries, keys, values, gate and up are matrices of their own. Norms and biases learn by AdamW.
"""

from collections import defaultdict

import torch

from hornbook.model.config import ModelConfig
from hornbook.model.decoder import Decoder
from hornbook.training.config import OptimizerConfig

NEWTON_SCHULZ = (3.4445, -4.7750, 2.0315)
NEWTON_SCHULZ_STEPS = 5
EPS = 1e-10
EMBEDDING_WIDTH = 128  # up to which `embedding_lr` holds as it is


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


class Optimizer:
    """Updates a decoder in place. `masters` are its weights in float32, whatever type it computes in."""

    def __init__(self, model: Decoder, config: OptimizerConfig) -> None:
        self.config = config
        # A logit is a sum over the width, so the same step of embedding or head moves it the more, the wider the model
        # (Yang et al. 2022, "Tensor Programs V"; docs/LOG.md has what happens without).
        self._embedding_lr = config.embedding_lr * min(1.0, EMBEDDING_WIDTH / model.config.hidden_size)
        self._parameters = dict(model.named_parameters())
        self.masters = {name: p.detach().float() for name, p in self._parameters.items()}  # float32: the same
        self._others = []
        pieces = defaultdict(list)  # shape -> (parameter, first row) of the matrices that have it
        for name, p in self._parameters.items():
            if p.ndim < 2 or "embed_tokens" in name or "lm_head" in name:
                self._others.append(name)
                continue
            first = 0
            for rows in _rows_of_pieces(name, p.shape[0], model.config):
                pieces[rows, p.shape[1]].append((name, first))
                first += rows
        self._pieces = dict(sorted(pieces.items()))
        device = model.head_weight.device
        self._momentum = {
            shape: torch.zeros(len(places), *shape, device=device) for shape, places in self._pieces.items()
        }
        self._mean = {name: torch.zeros_like(self.masters[name]) for name in self._others}
        self._square = {name: torch.zeros_like(self.masters[name]) for name in self._others}

    @torch.no_grad()
    def step(self, number: int, factor: float) -> None:
        """Apply the gradients of step `number` (from 0) at `factor` times the peak rates, and forget them."""
        for shape in self._pieces:
            self._muon(shape, self.config.muon_lr * factor)
        for name in self._others:
            peak = self._embedding_lr if self.masters[name].ndim == 2 else self.config.norm_lr
            self._adam(name, number, peak * factor)
        for name, p in self._parameters.items():
            if p.dtype != torch.float32:
                p.copy_(self.masters[name])
            p.grad = None

    def _muon(self, shape: tuple[int, int], lr: float) -> None:
        rows, columns = shape
        grads = [self._parameters[name].grad[at : at + rows] for name, at in self._pieces[shape]]  # type: ignore[index]
        grad, momentum = torch.stack(grads).float(), self._momentum[shape]
        momentum.lerp_(grad, 1 - self.config.muon_momentum)
        update = grad.lerp_(momentum, self.config.muon_momentum)  # Nesterov
        fast = torch.bfloat16 if update.is_cuda else self._parameters[self._pieces[shape][0][0]].dtype
        update = orthogonalize(update.to(fast)).float()  # the iteration forgives rounding
        scale = max(1.0, rows / columns) ** 0.5  # the same change of the output for every shape
        for (name, at), piece in zip(self._pieces[shape], update, strict=True):
            master = self.masters[name][at : at + rows]
            master.mul_(1 - lr * self.config.weight_decay).sub_(piece, alpha=lr * scale)

    def _adam(self, name: str, number: int, lr: float) -> None:
        grad = self._parameters[name].grad.float()  # type: ignore[union-attr]
        first, second = self.config.betas
        mean, square = self._mean[name].lerp_(grad, 1 - first), self._square[name]
        square.mul_(second).addcmul_(grad, grad, value=1 - second)
        root = (square / (1 - second ** (number + 1))).sqrt_().add_(EPS)
        self.masters[name].addcdiv_(mean, root, value=-lr / (1 - first ** (number + 1)))

    def state(self) -> dict[str, torch.Tensor]:
        """Every tensor that the next steps depend on, by name: master weights included."""
        state = {f"weight.{name}": tensor for name, tensor in self.masters.items()}
        state |= {f"momentum.{r}x{c}": tensor for (r, c), tensor in self._momentum.items()}
        state |= {f"mean.{name}": tensor for name, tensor in self._mean.items()}
        return state | {f"square.{name}": tensor for name, tensor in self._square.items()}

    @torch.no_grad()
    def load(self, state: dict[str, torch.Tensor]) -> None:
        """Take over what `state` returned; the model's weights follow."""
        for name, tensor in self.state().items():
            tensor.copy_(state[name])
        for name, p in self._parameters.items():
            p.copy_(self.masters[name])


def _rows_of_pieces(name: str, rows: int, config: ModelConfig) -> tuple[int, ...]:
    """How many rows each of the matrices that are fused into one parameter has."""
    if "qkv_proj" in name:
        keys = config.num_key_value_heads * config.head_dim
        return rows - 2 * keys, keys, keys
    if "query_key_value" in name:  # of each group of heads its queries, its key, its value
        groups, channels = config.num_key_value_heads, config.head_dim
        return (rows // groups - 2 * channels, channels, channels) * groups
    return (rows // 2, rows // 2) if "gate_up_proj" in name else (rows,)
