"""The chunked loss is the usual one: same values, same gradients, compiled or not."""

import shutil

import pytest
import torch
from torch.nn import functional as F

from hornbook.training import loss as loss_module
from hornbook.training.loss import linear_cross_entropy

COMPILER = pytest.param(True, marks=pytest.mark.skipif(shutil.which("g++") is None, reason="needs a C++ compiler"))


@pytest.mark.parametrize("compiled", [False, COMPILER])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("biased", [False, True])
def test_the_loss_in_pieces_equals_cross_entropy_and_its_gradients(monkeypatch, dtype, compiled, biased):
    monkeypatch.setattr(loss_module, "CPU_CHUNK_BYTES", 4 * 300 * 16)  # pieces of 16, the last one shorter
    monkeypatch.setattr(loss_module, "MIN_CHUNK", 16)
    generator = torch.Generator().manual_seed(0)
    h = torch.randn(50, 32, generator=generator).to(dtype).requires_grad_()
    weight = torch.randn(300, 32, generator=generator).to(dtype).requires_grad_()
    target = torch.randint(300, (50,), generator=generator)
    bias = torch.randn(300, generator=generator).to(dtype).requires_grad_() if biased else None
    leaves = [h, weight, *([bias] if biased else [])]
    expected = F.cross_entropy(F.linear(h.double(), weight.double(), bias.double() if biased else None), target)
    wanted = torch.autograd.grad(expected, leaves)
    loss = linear_cross_entropy(h, weight, target, compiled, bias)
    found = torch.autograd.grad(3 * loss, leaves)
    tolerance = 1e-5 if dtype == torch.float32 else 3e-2
    assert loss.item() == pytest.approx(expected.item(), rel=tolerance)
    for a, b in zip(found, wanted, strict=True):
        assert ((a / 3 - b).norm() / b.norm()).item() < tolerance


def test_a_hopeless_token_has_a_finite_loss():
    h, weight = torch.tensor([[100.0]]), torch.tensor([[1.0], [-5.0]])
    assert torch.isfinite(linear_cross_entropy(h, weight, torch.tensor([1])))


@pytest.mark.parametrize("compiled", [False, COMPILER])
def test_targets_that_are_ignored_count_nothing_and_have_no_gradient(monkeypatch, compiled):
    monkeypatch.setattr(loss_module, "CPU_CHUNK_BYTES", 4 * 300 * 16)
    monkeypatch.setattr(loss_module, "MIN_CHUNK", 16)
    generator = torch.Generator().manual_seed(0)
    h = torch.randn(50, 32, generator=generator).requires_grad_()
    weight = torch.randn(300, 32, generator=generator).requires_grad_()
    target = torch.randint(300, (50,), generator=generator)
    target[::3] = loss_module.IGNORED
    logits = F.linear(h, weight)
    z = (torch.logsumexp(logits, -1) ** 2)[target >= 0].mean()
    expected = F.cross_entropy(logits, target, ignore_index=loss_module.IGNORED)
    wanted = torch.autograd.grad(expected + 1e-2 * z, [h, weight])
    counted = int((target >= 0).sum())
    loss = linear_cross_entropy(h, weight, target, compiled, z_loss=1e-2, divisor=counted, masked=True)
    found = torch.autograd.grad(loss, [h, weight])
    assert loss.item() == pytest.approx(expected.item(), rel=1e-5)
    assert (found[0][::3] == 0).all()
    for a, b in zip(found, wanted, strict=True):
        assert ((a - b).norm() / b.norm()).item() < 1e-5
