"""Make a model ready to generate fast on this machine, for a while.

On a CPU every product with a matrix in bfloat16 first puts the matrix in the order that the processor wants, which for
the few rows of generation takes longer than the product. oneDNN can do it once, beforehand. What it makes is a second
copy of the weights, and of no use for anything else.
"""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from torch import nn
from torch.nn import functional as F

from hornbook.model.decoder import Decoder, RMSNorm

# Below this size a step is dozens of tiny operations, and waking a second thread costs more than it brings.
ONE_THREAD_PARAMETERS = 20_000_000
# Above this size the second copy is not worth its memory.
PACKED_BYTES = 2_000_000_000
# Below this size a matrix times one row is faster without oneDNN, whose way to a product is longer than the product.
SMALL_MATRIX = 1 << 18
Map = Callable[[torch.Tensor], torch.Tensor]


@contextmanager
def prepared(model: Decoder) -> Iterator[None]:
    """While the block lasts, `model` generates with fitting threads and packed weights; do not change its weights.

    Models of more than 2 GB are not packed, nor those on a GPU. Products come out as before up to rounding.
    """
    with ExitStack() as undo:
        threads = torch.get_num_threads()
        undo.callback(torch.set_num_threads, threads)
        if model.num_parameters() < ONE_THREAD_PARAMETERS:
            torch.set_num_threads(1)
        is_prepared = "head" in vars(model)
        if not is_prepared and sum(weight.nbytes for weight in model.parameters()) <= PACKED_BYTES:
            for module in model.modules():
                replacement = None
                if isinstance(module, nn.Linear):
                    replacement = _packed(module.weight, module.bias)
                elif isinstance(module, RMSNorm):
                    replacement = _norm(module)
                if replacement is not None:
                    module.forward = replacement
                    undo.callback(delattr, module, "forward")
            if product := _packed(model.head_weight, model.head_bias):
                model.head = product  # type: ignore[method-assign, assignment]
                undo.callback(delattr, model, "head")
        yield


@torch.no_grad()
def _packed(weight: torch.Tensor, bias: torch.Tensor | None) -> Map | None:
    """The product with a matrix that is packed; None where torch cannot, or computes something else.

    The operations are those that torch's own compiler uses. They are not promised to stay, hence the trial.
    """
    if weight.device.type != "cpu" or weight.dtype != torch.bfloat16:
        return None
    try:
        packed = torch.ops.mkldnn._reorder_linear_weight(weight.detach(), 1)
        multiply = torch.ops.mkldnn._linear_pointwise.default
        x = torch.linspace(-1, 1, weight.shape[1]).to(weight.dtype)[None]
        wanted, found = F.linear(x, weight, bias), multiply(x, packed, bias, "none", [], "")
    except (AttributeError, RuntimeError, NotImplementedError):
        return None
    if not torch.allclose(found, wanted, rtol=0.02, atol=0.02 * float(wanted.abs().max())):
        return None
    one_row = weight.shape[1] if weight.numel() < SMALL_MATRIX else 0
    backend: Any = torch.backends.mkldnn

    def product(x: torch.Tensor) -> torch.Tensor:
        if x.numel() != one_row:
            return multiply(x, packed, bias, "none", [], "")
        backend.enabled = False
        try:
            return F.linear(x, weight, bias)
        finally:
            backend.enabled = True

    return product


def _norm(norm: RMSNorm) -> Map | None:
    """RMSNorm in three operations instead of eight: a LayerNorm of x and -x together, whose mean is 0."""
    if norm.weight.device.type != "cpu":
        return None
    D, eps = norm.weight.shape[0], norm.eps
    shape, weight = (2 * D,), torch.cat((norm.weight, norm.weight)).detach()

    def normalised(x: torch.Tensor) -> torch.Tensor:
        return F.layer_norm(torch.cat((x, -x), dim=-1), shape, weight, None, eps)[..., :D]

    return normalised
