"""Documents packed into one row: with a mask, each gets the logits that it gets alone."""

import shutil

import pytest
import torch

from hornbook.model.config import LongRope
from hornbook.model.decoder import Decoder
from hornbook.model.document_mask import attention, document_mask, document_numbers
from tests.model.tiny import SHAPES, tiny_model

BOS = 0
LENGTHS = ((5, 30, 1, 12), (48,), (20, 28))


def packed() -> torch.Tensor:
    """Rows [3, 48] of documents of LENGTHS, each after its BOS."""
    generator = torch.Generator().manual_seed(1)
    ids = torch.randint(1, 320, (3, 48), generator=generator)
    for row, lengths in zip(ids, LENGTHS, strict=True):
        row[torch.tensor(lengths).cumsum(0) - torch.tensor(lengths)] = BOS
    return ids


def alone(model: Decoder, ids_BT: torch.Tensor) -> torch.Tensor:
    """Logits of every document on its own, put together as in `ids_BT`."""
    rows = [
        torch.cat([model(document[None])[0] for document in row.split(lengths)])
        for row, lengths in zip(ids_BT, LENGTHS, strict=True)
    ]
    return torch.stack(rows)


def masked(model: Decoder, ids_BT: torch.Tensor) -> torch.Tensor:
    return model.head(model.hidden(ids_BT, documents_BT=document_numbers(ids_BT, BOS)))


@pytest.mark.parametrize("shape", SHAPES)
@torch.no_grad()
def test_packed_documents_have_the_logits_that_each_has_alone(shape):
    model, ids = tiny_model(**SHAPES[shape]), packed()
    torch.testing.assert_close(masked(model, ids), alone(model, ids), atol=1e-5, rtol=1e-5)
    assert (model(ids) - alone(model, ids)).abs().max() > 0.1  # without a mask they look at each other


@torch.no_grad()
def test_documents_of_a_long_row_keep_the_factors_of_short_ones():
    scaling = LongRope(24, (1.0,) * 8, (4.0,) * 8)  # rows have 48 tokens
    model, ids = tiny_model(rope_scaling=scaling), packed()
    torch.testing.assert_close(masked(model, ids), alone(model, ids), atol=1e-5, rtol=1e-5)


@torch.no_grad()
def test_in_bfloat16_too():
    model, ids = tiny_model().to(torch.bfloat16), packed()
    error = (masked(model, ids).float() - alone(model, ids).float()).abs().max()
    assert error < 0.02 * alone(model, ids).float().abs().max()


@pytest.mark.filterwarnings("ignore:flex_attention called without:UserWarning")
@pytest.mark.parametrize("window", [None, 7])
@pytest.mark.parametrize("compiled", [False, True])
def test_flex_attention_sees_what_the_mask_says(window, compiled):
    generator = torch.Generator().manual_seed(0)
    q, k, v = (torch.randn(3, heads, 48, 16, generator=generator) for heads in (4, 2, 2))

    def found(documents: torch.Tensor, flex: bool) -> torch.Tensor:
        mask = document_mask(documents, window, flex=flex)
        return attention(q, k, v, attn_mask=mask, is_causal=False, enable_gqa=True)

    traced = torch.compile(found, backend="aot_eager", dynamic=False) if compiled else found
    documents = document_numbers(packed(), BOS)
    torch.testing.assert_close(traced(documents, True), found(documents, False), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize(
    "backend",
    [
        "aot_eager",
        pytest.param(
            "inductor",
            marks=[pytest.mark.stress, pytest.mark.skipif(not shutil.which("g++"), reason="needs a C++ compiler")],
        ),
    ],
)
def test_compiled_gradients_are_those_of_the_eager_model(backend):
    model, ids = tiny_model(num_hidden_layers=1), packed()
    documents = document_numbers(ids, BOS)
    gradients = []
    for hidden in (model.hidden, torch.compile(model.hidden, backend=backend, dynamic=False)):
        model.zero_grad()
        hidden(ids, documents_BT=documents).square().mean().backward()
        gradients.append([p.grad.clone() for p in model.parameters() if p.grad is not None])
    for eager, compiled in zip(*gradients, strict=True):
        torch.testing.assert_close(eager, compiled, atol=1e-5, rtol=1e-3)
