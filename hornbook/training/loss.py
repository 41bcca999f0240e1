"""Cross-entropy over the vocabulary without ever holding all logits.

At small widths the head is a large part of the work, and its logits do not fit into any cache. So the head,
the softmax and both gradients are computed for a few hundred positions at a time, in one visit; the backward
pass only hands the gradients on (the idea of Liger's fused linear cross-entropy, Hsu et al. 2024).

Shapes in names: N positions, D width, V vocabulary.
"""

from collections.abc import Callable
from functools import cache
from typing import Any

import torch
from torch.nn import functional as F

IGNORED = -100  # a target that is not to be predicted, as everywhere in torch
CPU_CHUNK_BYTES = 8 << 20  # float32 logits of a chunk: about what stays in the cache
GPU_CHUNK_BYTES = 512 << 20
MIN_CHUNK = 64  # positions; fewer would read the whole head for too little work

Gradient = Callable[[torch.Tensor, torch.Tensor, float], tuple[torch.Tensor, torch.Tensor]]


def chunk_size(vocab_size: int, device_type: str) -> int:
    """How many positions have their logits computed at once."""
    return max(MIN_CHUNK, (CPU_CHUNK_BYTES if device_type == "cpu" else GPU_CHUNK_BYTES) // (4 * vocab_size))


def _gradient(logits_NV: torch.Tensor, target_N1: torch.Tensor, z_loss: float) -> tuple[torch.Tensor, torch.Tensor]:
    """-log softmax(logits)[target] in nats [N] float32, and its gradient by the logits [N, V] in their type.

    The gradient also holds that of z_loss * logsumexp(logits)^2.
    """
    x_NV = logits_NV.float()
    p_NV = torch.softmax(x_NV, dim=-1)
    p_target_N1 = p_NV.gather(1, target_N1)
    if z_loss:
        p_NV.mul_(1 + 2 * z_loss * torch.logsumexp(x_NV, dim=-1, keepdim=True))
    p_NV.scatter_(1, target_N1, p_NV.gather(1, target_N1) - 1)
    # Underflow would make the printed loss infinite, though its gradient is right.
    return -p_target_N1.clamp_min(1e-37).log().squeeze(1), p_NV.to(logits_NV.dtype)


def _gradient_to_compile(
    logits_NV: torch.Tensor, target_N1: torch.Tensor, z_loss: float
) -> tuple[torch.Tensor, torch.Tensor]:
    """The same without writing in place, which a compiler turns into two passes over the logits."""
    x_NV = logits_NV.float()
    log_sum_N1 = torch.logsumexp(x_NV, dim=-1, keepdim=True)
    is_target_NV = torch.arange(x_NV.shape[1], device=x_NV.device) == target_N1
    p_NV = (x_NV - log_sum_N1).exp()
    if z_loss:
        p_NV = p_NV * (1 + 2 * z_loss * log_sum_N1)
    grad_NV = (p_NV - is_target_NV.float()).to(logits_NV.dtype)
    return (log_sum_N1 - x_NV.gather(1, target_N1)).squeeze(1), grad_NV


@cache
def _compiled() -> Gradient:
    return torch.compile(_gradient_to_compile, dynamic=False)


class _LinearCrossEntropy(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        h_ND: torch.Tensor,
        weight_VD: torch.Tensor,
        bias_V: torch.Tensor | None,
        target_N: torch.Tensor,
        compiled: bool,
        z_loss: float,
        divisor: int,
        masked: bool,
    ) -> torch.Tensor:
        N, chunk = len(h_ND), chunk_size(len(weight_VD), h_ND.device.type)
        gradient: Gradient = _compiled() if compiled else _gradient
        grad_h = torch.empty_like(h_ND)
        grad_weight = torch.zeros_like(weight_VD, dtype=torch.float32)
        grad_bias = torch.zeros_like(bias_V, dtype=torch.float32) if bias_V is not None else None
        loss_N = h_ND.new_empty(N, dtype=torch.float32)
        for i in range(0, N, chunk):
            h, target = h_ND[i : i + chunk], target_N[i : i + chunk, None]
            loss, grad = gradient(F.linear(h, weight_VD, bias_V), target.clamp_min(0) if masked else target, z_loss)
            if masked:
                counts = target != IGNORED
                loss, grad = loss * counts.squeeze(1), grad.mul_(counts)
            loss_N[i : i + chunk] = loss
            grad_h[i : i + chunk] = grad @ weight_VD
            grad_weight += grad.T @ h
            if grad_bias is not None:
                grad_bias += grad.sum(dim=0, dtype=torch.float32)
            del grad  # or it would still be there beside the next logits
        if grad_bias is not None:
            grad_bias = grad_bias.div_(divisor).to(weight_VD.dtype)
        ctx.save_for_backward(grad_h.div_(divisor), grad_weight.div_(divisor).to(weight_VD.dtype), grad_bias)
        return loss_N.sum() / divisor

    @staticmethod
    def backward(ctx: Any, grad: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        # In place: the gradient of a large head is not to be held twice.
        grad_h, grad_weight, grad_bias = (g.mul_(grad) if g is not None else None for g in ctx.saved_tensors)
        return grad_h, grad_weight, grad_bias, None, None, None, None, None


def linear_cross_entropy(
    h_ND: torch.Tensor,
    weight_VD: torch.Tensor,
    target_N: torch.Tensor,
    compiled: bool = False,
    bias_V: torch.Tensor | None = None,
    *,
    z_loss: float = 0.0,
    divisor: int | None = None,
    masked: bool = False,
) -> torch.Tensor:
    """Sum of -log softmax(h @ weight.T + bias)[target] over positions, divided by `divisor` (default: their number).

    In nats, a float32 scalar that can be differentiated once. With `masked`, targets that are IGNORED count nothing.
    With `z_loss`, the gradient is that of the loss plus z_loss * logsumexp(logits)^2 (Chowdhery et al. 2022, section
    5), which keeps logits from drifting; the value stays the cross-entropy, so that curves can be compared.
    For training only: gradients are computed even where autograd is switched off. `compiled` fuses the softmax.
    """
    divisor = len(target_N) if divisor is None else divisor
    return _LinearCrossEntropy.apply(h_ND, weight_VD, bias_V, target_N, compiled, z_loss, divisor, masked)
