"""Training on sources in a mixture, on packed rows and within documents, from start to end."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from torch.nn import functional as F

from hornbook.core.errors import HornbookError
from hornbook.training.batches import DataOrder
from hornbook.training.config import TrainConfig
from hornbook.training.loss import IGNORED, linear_cross_entropy
from hornbook.training.rows import PADDING
from hornbook.training.trainer import train_arm_step
from tests.training.stores import config

OPTIONS = {
    "packed": {"packing": "best_fit", "packing_window": 16},
    "masked": {"document_masks": True},
    "packed and masked": {"packing": "best_fit", "document_masks": True},
    "mixed": {"mixture": [{"corpus": 2, "lessons": 1}, {"lessons": 1}], "max_epochs": {"lessons": 3}},
    "longer in the decay": {"decay_context": 64, "document_masks": True},
}


def train(inputs: dict[str, Path], out: Path, settings: TrainConfig) -> dict:
    out.mkdir(exist_ok=True)
    return train_arm_step(inputs, out, settings)


@pytest.fixture
def interrupted(monkeypatch) -> Callable[[int], None]:
    """Let a training be killed when it asks for its n-th batch."""

    def kill_at(n: int) -> None:
        batch, asked = DataOrder.batch, iter(range(10**6))

        def batch_or_end(*args):
            if next(asked) == n:
                raise KeyboardInterrupt
            return batch(*args)

        monkeypatch.setattr(DataOrder, "batch", batch_or_end)

    return kill_at


@pytest.mark.parametrize("name", OPTIONS)
def test_a_model_learns_and_ends_with_the_same_bits_after_a_kill(inputs_with_lessons, tmp_path, interrupted, name):
    settings = config(budgets=(1280,), data=OPTIONS[name])
    counters = train(inputs_with_lessons, tmp_path / "whole", settings)
    assert counters["epochs"].keys() == ({"corpus", "lessons"} if name == "mixed" else {"corpus"})
    assert ("padding" in counters) == ("packed" in name)
    interrupted(9)  # in the decay; batches are asked for anew after that
    with pytest.raises(KeyboardInterrupt):
        train(inputs_with_lessons, tmp_path / "parts", settings)
    train(inputs_with_lessons, tmp_path / "parts", settings)
    whole, parts = (load_file(tmp_path / out / "1280" / "model.safetensors") for out in ("whole", "parts"))
    assert all(torch.equal(whole[key], parts[key]) for key in whole)


def test_a_run_does_not_go_on_with_rows_of_another_kind(inputs, tmp_path, interrupted):
    interrupted(9)
    with pytest.raises(KeyboardInterrupt):
        train(inputs, tmp_path / "out", config(budgets=(1280,)))
    with pytest.raises(HornbookError):
        train(inputs, tmp_path / "out", config(budgets=(1280,), data={"packing": "best_fit"}))


def test_padding_counts_nothing_in_the_loss():
    assert PADDING == IGNORED
    generator = torch.Generator().manual_seed(0)
    h, weight = (torch.randn(n, 16, generator=generator).requires_grad_() for n in (40, 90))
    target = torch.randint(90, (40,), generator=generator)
    target[::3] = IGNORED
    expected = F.cross_entropy(F.linear(h, weight), target, ignore_index=IGNORED)
    counted = int((target != IGNORED).sum())
    found = linear_cross_entropy(h, weight, target, divisor=counted, masked=True)
    wanted, gradients = (torch.autograd.grad(loss, (h, weight)) for loss in (expected, found))
    torch.testing.assert_close(found, expected)
    for a, b in zip(gradients, wanted, strict=True):
        torch.testing.assert_close(a, b, atol=1e-6, rtol=1e-4)
