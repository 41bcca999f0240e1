"""Forward and backward pass of one batch, in as many pieces as memory asks for.

Shapes in names: B rows, T positions, D width.
"""

from collections.abc import Callable
from functools import partial

import torch
from torch.utils.checkpoint import checkpoint

from hornbook.model.decoder import Decoder
from hornbook.model.document_mask import document_numbers
from hornbook.training.loss import IGNORED, linear_cross_entropy
from hornbook.training.machine import Choices

GradientFunction = Callable[[torch.Tensor, torch.Tensor], float]


def gradient_function(
    model: Decoder,
    choices: Choices,
    *,
    micro_rows: int | None = None,
    activation_checkpointing: bool = False,
    z_loss: float = 0.0,
    document_masks: bool = False,
) -> GradientFunction:
    """A function of token ids and targets [B, T] that adds gradients to the model and returns the mean loss in nats.

    The mean is over all targets of the batch that are not IGNORED, however they are spread over its pieces of
    `micro_rows` rows. Gradients of several pieces are added up in float32, whatever type the model computes in. With
    `document_masks` attention does not look across documents, which begin with BOS.
    """
    hidden = model.hidden
    if activation_checkpointing:
        for layer in model.model.layers:  # in place, so that names and the state of the model stay as they are
            layer.forward = partial(checkpoint, layer.forward, use_reentrant=False)
    # The loss goes piece by piece through the cache; compiled as a whole, the pieces would be put together again.
    if choices.compile:
        hidden = torch.compile(hidden, dynamic=False)

    def gradients(ids_BT: torch.Tensor, targets_BT: torch.Tensor) -> float:
        counted = int((targets_BT != IGNORED).sum())
        rows = micro_rows or len(ids_BT)
        if rows < len(ids_BT):
            for parameter in model.parameters():
                parameter.grad_dtype = torch.float32
        total = torch.zeros((), device=choices.device)
        for ids, targets in zip(ids_BT.split(rows), targets_BT.split(rows), strict=True):
            ids = ids.to(choices.device)
            documents_BT = document_numbers(ids, model.config.bos_token_id or 0) if document_masks else None
            loss = linear_cross_entropy(
                hidden(ids, documents_BT=documents_BT).flatten(0, 1),
                model.head_weight,
                targets.flatten().to(choices.device),
                choices.compile,
                model.head_bias,
                z_loss=z_loss,
                divisor=max(1, counted),
                masked=counted < targets_BT.numel(),
            )
            loss.backward()
            total += loss.detach()
        return total.item()

    return gradients
