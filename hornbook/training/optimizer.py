"""Muon for hidden matrices and AdamW for everything else, or AdamW alone; both on float32 master weights.

Muon is explained where it is defined; AdamW is that of Loshchilov and Hutter 2019. Gradients are clipped, if at all, by
their length over all weights together.
"""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import torch

from hornbook.model.decoder import Decoder
from hornbook.training.config import OptimizerConfig
from hornbook.training.muon import Muon, matrices_by_shape

EPS = 1e-10  # of AdamW beside Muon
EMBEDDING_WIDTH = 128  # up to which `embedding_lr` holds as it is


@dataclass(frozen=True)
class AdamW:
    """How one weight learns."""

    lr: float
    betas: tuple[float, float]
    eps: float
    weight_decay: float


class Optimizer:
    """Updates a decoder in place. `masters` are its weights in float32, whatever type it computes in."""

    def __init__(self, model: Decoder, config: OptimizerConfig) -> None:
        self.config = config
        self.updates = 0  # steps that changed the weights
        self._parameters = dict(model.named_parameters())
        self.masters = {name: p.detach().float() for name, p in self._parameters.items()}  # float32: the same
        hidden = {name: w for name, w in self.masters.items() if _is_hidden_matrix(name, w)}
        by_shape = matrices_by_shape(hidden, model.config) if config.name == "muon" else {}
        device = model.head_weight.device
        self.muon = [Muon(shape, places, config, device) for shape, places in by_shape.items()]
        if config.name == "muon":
            others = {name: w for name, w in self.masters.items() if name not in hidden}
            self._adam = _beside_muon(others, config, model.config.hidden_size)
        else:
            self._adam = _alone(self.masters, config)
        # Not zeros_like: to plan memory on the meta device, torch would import sympy for a second.
        self._mean = {name: torch.zeros(self.masters[name].shape, device=device) for name in self._adam}
        self._square = {name: torch.zeros(self.masters[name].shape, device=device) for name in self._adam}

    @torch.no_grad()
    def step(self, factor: float) -> float:
        """Apply the gradients at `factor` times the peak rates, and forget them; returns their norm over all weights.

        Where the norm is no number, weights and state stay as they are.
        """
        gradients = {name: p.grad for name, p in self._parameters.items() if p.grad is not None}
        norm = _norm(gradients.values())
        if math.isfinite(norm):
            if self.config.clip_norm is not None and norm > self.config.clip_norm:
                for gradient in gradients.values():
                    gradient.mul_(self.config.clip_norm / norm)
            self._update(gradients, factor)
        for p in self._parameters.values():
            p.grad = None
        return norm

    def _update(self, gradients: Mapping[str, torch.Tensor], factor: float) -> None:
        for muon in self.muon:
            fast = torch.bfloat16 if muon.momentum_NRC.is_cuda else self._parameters[muon.places[0][0]].dtype
            muon.step(gradients, self.masters, self.config.muon_lr * factor, fast)
        for name, how in self._adam.items():
            self._adamw(name, how, gradients[name].float(), factor)
        self.updates += 1
        self._refresh()

    def _adamw(self, name: str, how: AdamW, grad: torch.Tensor, factor: float) -> None:
        (first, second), lr = how.betas, how.lr * factor
        mean, square = self._mean[name].lerp_(grad, 1 - first), self._square[name]
        square.mul_(second).addcmul_(grad, grad, value=1 - second)
        root = (square / (1 - second ** (self.updates + 1))).sqrt_().add_(how.eps)
        if how.weight_decay:
            self.masters[name].mul_(1 - lr * how.weight_decay)
        self.masters[name].addcdiv_(mean, root, value=-lr / (1 - first ** (self.updates + 1)))

    def state(self) -> dict[str, torch.Tensor]:
        """Every tensor that the next steps depend on, by name: master weights included. They are live, not copies."""
        state = {f"weight.{name}": tensor for name, tensor in self.masters.items()}
        state |= {f"momentum.{m.shape[0]}x{m.shape[1]}": m.momentum_NRC for m in self.muon}
        state |= {f"mean.{name}": tensor for name, tensor in self._mean.items()}
        return state | {f"square.{name}": tensor for name, tensor in self._square.items()}

    @torch.no_grad()
    def restart(self, weights: Mapping[str, torch.Tensor]) -> None:
        """Begin anew from these weights: no step has been taken."""
        for name, tensor in self.state().items():
            tensor.copy_(weights[name.removeprefix("weight.")]) if name.startswith("weight.") else tensor.zero_()
        self.resume(0)

    @torch.no_grad()
    def resume(self, updates: int) -> None:
        """Go on from the tensors that have been written into `state`, after so many updates."""
        self.updates = updates
        self._refresh()

    def _refresh(self) -> None:
        """The model's weights follow the masters; in float32 they are the same tensors."""
        for name, p in self._parameters.items():
            if p.dtype != torch.float32:
                p.copy_(self.masters[name])


def _is_hidden_matrix(name: str, weight: torch.Tensor) -> bool:
    return weight.ndim == 2 and "embed_tokens" not in name and "lm_head" not in name


def _beside_muon(weights: Mapping[str, torch.Tensor], config: OptimizerConfig, width: int) -> dict[str, AdamW]:
    """Embedding, head, norms and biases."""
    # A logit is a sum over the width, so the same step of embedding or head moves it the more, the wider the model
    # (Yang et al. 2022, "Tensor Programs V"; docs/LOG.md has what happens without).
    embedding_lr = config.embedding_lr * min(1.0, EMBEDDING_WIDTH / width)
    return {
        name: AdamW(embedding_lr if weight.ndim == 2 else config.norm_lr, config.betas, EPS, 0.0)
        for name, weight in weights.items()
    }


def _alone(weights: Mapping[str, torch.Tensor], config: OptimizerConfig) -> dict[str, AdamW]:
    """All weights at one learning rate; which of them decay is for the config to say."""
    adamw = config.adamw
    decays = {
        name: adamw.decays == "all"
        or (weight.ndim == 2 if adamw.decays == "matrices" else _is_hidden_matrix(name, weight))
        for name, weight in weights.items()
    }
    return {
        name: AdamW(adamw.lr, adamw.betas, adamw.eps, adamw.weight_decay if decays[name] else 0.0) for name in weights
    }


def _norm(gradients: Iterable[torch.Tensor]) -> float:
    """Length of all gradients together, summed in float32."""
    return torch.stack([torch.linalg.vector_norm(g, dtype=torch.float32) for g in gradients]).norm().item()
