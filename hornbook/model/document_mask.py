"""Attention that does not look across the documents of a row.

On a GPU by FlexAttention (Dong et al. 2024), which skips the blocks of the score matrix that no document reaches into;
elsewhere by a mask for torch's ordinary attention. Rotary embeddings see distances alone, so positions need not start
again at each document.

Shapes in names: B rows, T positions, H heads of queries, K heads of keys and values, C channels of a head, S keys.
"""

from functools import cache
from typing import Any

import torch
from torch.nn import functional as F
from torch.nn.attention.flex_attention import BlockMask, create_block_mask, flex_attention

Mask = torch.Tensor | BlockMask | None  # which positions each one sees; None: all up to itself


def document_numbers(ids_BT: torch.Tensor, bos_id: int) -> torch.Tensor:
    """Which document of its row each token belongs to [B, T]; documents begin with `bos_id`."""
    return (ids_BT == bos_id).cumsum(dim=1)


def document_lengths(documents_BT: torch.Tensor) -> torch.Tensor:
    """How long, within its row, the document of each token is [B, T]."""
    return (documents_BT[:, :, None] == documents_BT[:, None, :]).sum(dim=-1)


def document_mask(documents_BT: torch.Tensor, window: int | None = None, flex: bool | None = None) -> Mask:
    """Which positions each position sees: those of its document up to itself, at most `window` of them.

    A mask [B, 1, T, T] for torch's attention, or with `flex` (default: on CUDA) one for FlexAttention.
    """
    B, T = documents_BT.shape
    if documents_BT.is_cuda if flex is None else flex:

        def sees(b: torch.Tensor, h: torch.Tensor, q: torch.Tensor, k: torch.Tensor) -> torch.Tensor:
            mask = (documents_BT[b, q] == documents_BT[b, k]) & (q >= k)
            return mask if window is None else mask & (q - k < window)

        return create_block_mask(sees, B, None, T, T, device=documents_BT.device)
    mask = (documents_BT[:, :, None] == documents_BT[:, None, :]).tril()
    return (mask if window is None else mask.triu(1 - window)).unsqueeze(1)


def attention(
    q_BHTC: torch.Tensor,
    k_BKSC: torch.Tensor,
    v_BKSC: torch.Tensor,
    *,
    attn_mask: Mask,
    is_causal: bool,
    enable_gqa: bool,
) -> torch.Tensor:
    """What every head finds for each query [B, H, T, C], by the kind of attention that the mask is for."""
    if isinstance(attn_mask, BlockMask):
        # Only compiled is it fused; called from what is compiled, it is compiled with that.
        flex = _fused() if q_BHTC.is_cuda and not torch.compiler.is_compiling() else flex_attention
        return flex(q_BHTC, k_BKSC, v_BKSC, block_mask=attn_mask, enable_gqa=enable_gqa)
    return F.scaled_dot_product_attention(
        q_BHTC, k_BKSC, v_BKSC, attn_mask=attn_mask, is_causal=is_causal, enable_gqa=enable_gqa
    )


@cache
def _fused() -> Any:
    return torch.compile(flex_attention, dynamic=False)
