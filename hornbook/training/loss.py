"""Cross-entropy over the vocabulary without ever holding all logits.

At small widths the head is a large part of the work, and its logits do not fit into any cache. So the head,
the softmax and both gradients are computed for a few hundred positions at a time, in one visit; the backward
pass only hands the gradients on (the idea of Liger's fused linear cross-entropy, Hsu et al. 2024).

Shapes in names: N positions, D width, V vocabulary.
"""

from typing import Any

import torch

CPU_CHUNK_BYTES = 4 << 20  # logits of a chunk stay in the cache
GPU_CHUNK_BYTES = 512 << 20


class _LinearCrossEntropy(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, h_ND: torch.Tensor, weight_VD: torch.Tensor, target_N: torch.Tensor) -> torch.Tensor:
        N, V = len(h_ND), len(weight_VD)
        chunk = max(1, (CPU_CHUNK_BYTES if h_ND.device.type == "cpu" else GPU_CHUNK_BYTES) // (4 * V))
        grad_h = torch.empty_like(h_ND)
        grad_weight = torch.zeros_like(weight_VD, dtype=torch.float32)
        loss_N = h_ND.new_empty(N, dtype=torch.float32)
        for i in range(0, N, chunk):
            h, target = h_ND[i : i + chunk], target_N[i : i + chunk, None]
            p_NV = torch.softmax((h @ weight_VD.T).float(), dim=-1)
            p_target = p_NV.gather(1, target)
            # Underflow would make the printed loss infinite, though its gradient is right.
            loss_N[i : i + chunk] = -p_target.clamp_min(1e-37).log().squeeze(1)
            p_NV.scatter_(1, target, p_target - 1)  # from here on: the gradient by the logits, times N
            grad = p_NV.to(h.dtype)
            grad_h[i : i + chunk] = grad @ weight_VD
            grad_weight += grad.T @ h
        ctx.save_for_backward(grad_h.div_(N), grad_weight.div_(N).to(weight_VD.dtype))
        return loss_N.mean()

    @staticmethod
    def backward(ctx: Any, grad: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, None]:
        grad_h, grad_weight = ctx.saved_tensors
        return grad_h * grad, grad_weight * grad, None


def linear_cross_entropy(h_ND: torch.Tensor, weight_VD: torch.Tensor, target_N: torch.Tensor) -> torch.Tensor:
    """Mean of -log softmax(h @ weight.T)[target] in nats, a float32 scalar that can be differentiated once.

    For training only: gradients are computed even where autograd is switched off.
    """
    return _LinearCrossEntropy.apply(h_ND, weight_VD, target_N)
