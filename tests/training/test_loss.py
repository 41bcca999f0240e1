"""The chunked loss is the usual one: same values, same gradients, compiled or not."""

import shutil

import pytest
import torch
from torch.nn.functional import cross_entropy

from hornbook.training import loss

COMPILER = pytest.param(True, marks=pytest.mark.skipif(shutil.which("g++") is None, reason="needs a C++ compiler"))


@pytest.mark.parametrize("compiled", [False, COMPILER])
def test_loss_and_gradients_are_those_of_cross_entropy_over_all_logits(compiled, monkeypatch):
    monkeypatch.setattr(loss, "CPU_CHUNK_BYTES", 4 * 97 * 16)  # 16 positions at a time, the last chunk shorter
    generator = torch.Generator().manual_seed(0)
    h, weight = (torch.randn(size, 24, generator=generator, requires_grad=True) for size in (40, 97))
    target = torch.randint(97, (40,), generator=generator)
    expected = cross_entropy(h @ weight.T, target)
    wanted = torch.autograd.grad(expected, (h, weight))
    found = loss.linear_cross_entropy(h, weight, target, compiled)
    torch.testing.assert_close(found, expected)
    for a, b in zip(torch.autograd.grad(found, (h, weight)), wanted, strict=True):
        torch.testing.assert_close(a, b)


def test_a_hopeless_token_has_a_finite_loss():
    h, weight = torch.tensor([[100.0]]), torch.tensor([[1.0], [-5.0]])
    assert torch.isfinite(loss.linear_cross_entropy(h, weight, torch.tensor([1])))
