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

from hornbook.model.decoder import Decoder, FusedAttention, RMSNorm, SequentialBlock, SwiGLU
from hornbook.model.kv_cache import KVCache
from hornbook.model.rope import Tables

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
                if (replacement := _replacement(module)) is not None:
                    module.forward = replacement
                    undo.callback(delattr, module, "forward")
            if product := _packed(model.head_weight, model.head_bias):
                model.head = product  # type: ignore[method-assign, assignment]
                undo.callback(delattr, model, "head")
            wide_tables = _WideTables()
            for layer in model.model.layers:
                if (step := _block_step(layer, wide_tables)) is not None:
                    layer.forward = step
                    undo.callback(delattr, layer, "forward")
        yield


def _replacement(module: nn.Module) -> Map | None:
    if isinstance(module, nn.Linear):
        return _packed(module.weight, module.bias)
    return _norm(module) if isinstance(module, RMSNorm) else None


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


class _WideTables:
    """Rotary tables of a call as wide as a head, made once for all layers."""

    def __init__(self) -> None:
        self._of: Tables | None = None
        self._wide: Tables | None = None

    def __call__(self, tables: Tables) -> Tables:
        if self._wide is None or tables is not self._of:
            cos, sin = tables
            self._of, self._wide = tables, (torch.cat((cos, cos), dim=-1), torch.cat((-sin, sin), dim=-1))
        return self._wide


def _block_step(block: nn.Module, wide_tables: _WideTables) -> Callable[..., torch.Tensor] | None:
    """A Phi-3 block for one new position in a row, in half as many operations; None for other blocks.

    In a small model, the operations cost more than what they compute.
    """
    if type(block) is not SequentialBlock or "forward" not in vars(block.input_layernorm):
        return None
    attention, mlp, whole = block.self_attn, block.mlp, block.forward
    if type(attention) is not FusedAttention or type(mlp) is not SwiGLU:
        return None
    H, K, C, layer = attention.heads, attention.kv_heads, attention.head_dim, attention.layer
    norm_1, norm_2 = block.input_layernorm.forward, block.post_attention_layernorm.forward
    qkv_proj, o_proj = attention.qkv_proj.forward, attention.o_proj.forward
    gate_up_proj, down_proj = mlp.gate_up_proj.forward, mlp.down_proj.forward
    inner = mlp.down_proj.in_features

    def step(x_BTD: torch.Tensor, rope: Tables, mask: torch.Tensor | None, cache: KVCache | None) -> torch.Tensor:
        if x_BTD.shape[1] != 1 or cache is None or 2 * rope[0].shape[-1] != C:
            return whole(x_BTD, rope, mask, cache)
        cos, sin = wide_tables(rope)
        qkv_BTHC = qkv_proj(norm_1(x_BTD)).view(-1, 1, H + 2 * K, C)
        qk = qkv_BTHC[:, :, : H + K]
        qk = torch.addcmul(qk * cos, qk.roll(C // 2, -1), sin).transpose(1, 2)
        k, v = cache.append(layer, qk[:, H:], qkv_BTHC[:, :, H + K :].transpose(1, 2))
        y_BHTC = F.scaled_dot_product_attention(qk[:, :H], k, v, attn_mask=mask, enable_gqa=H != K)
        x_BTD = o_proj(y_BHTC.reshape(-1, 1, H * C)).add_(x_BTD)
        gate_up = gate_up_proj(norm_2(x_BTD))
        return down_proj(F.silu(gate_up[..., :inner]).mul_(gate_up[..., inner:])).add_(x_BTD)

    return step
