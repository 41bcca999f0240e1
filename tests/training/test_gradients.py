"""One batch, in one piece or in several, gives one gradient."""

import pytest
import torch

from hornbook.model.config import ModelConfig
from hornbook.model.decoder import Decoder
from hornbook.training.gradients import gradient_function
from hornbook.training.loss import IGNORED
from hornbook.training.machine import Choices
from tests.training.stores import SHAPE

CHOICES = Choices(1, False, "float32", "cpu")


def batch(masked: bool) -> tuple[torch.Tensor, torch.Tensor]:
    """Six rows; where masked, the rows have very different numbers of targets, and one has none."""
    generator = torch.Generator().manual_seed(0)
    ids = torch.randint(300, (6, 33), generator=generator)
    inputs, targets = ids[:, :-1].contiguous(), ids[:, 1:].clone()
    if masked:
        targets[0, 1:], targets[1] = IGNORED, IGNORED
        targets[2:][torch.rand(4, 32, generator=generator) < 0.3] = IGNORED
    return inputs, targets


def gradients(dtype: torch.dtype = torch.float32, masked: bool = False, **how: object) -> tuple[float, torch.Tensor]:
    """Loss and all gradients in one vector."""
    model = Decoder(ModelConfig(vocab_size=300, **SHAPE.model_dump())).init_weights(0, zero_outputs=False).to(dtype)
    loss = gradient_function(model, CHOICES, **how)(*batch(masked))  # type: ignore[arg-type]
    return loss, torch.cat([p.grad.flatten().double() for p in model.parameters()])


def distance(a: torch.Tensor, b: torch.Tensor) -> float:
    return ((a - b).norm() / b.norm()).item()


@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("rows", [1, 2, 3])
def test_gradients_of_micro_batches_add_up_to_that_of_the_batch(rows, masked):
    loss, whole = gradients(masked=masked)
    same_loss, added = gradients(masked=masked, micro_rows=rows)
    assert same_loss == pytest.approx(loss, rel=1e-5)
    assert distance(added, whole) < 1e-5


def test_micro_batches_of_a_model_in_bfloat16_add_up_in_float32():
    exact = gradients()[1]
    rounded, added = gradients(torch.bfloat16)[1], gradients(torch.bfloat16, micro_rows=1)[1]
    assert distance(added, exact) < 1.1 * distance(rounded, exact)


def test_the_loss_is_the_mean_over_the_targets_that_count():
    inputs, targets = batch(masked=True)
    model = Decoder(ModelConfig(vocab_size=300, **SHAPE.model_dump())).init_weights(0, zero_outputs=False)
    wanted = torch.nn.functional.cross_entropy(model(inputs).flatten(0, 1), targets.flatten(), ignore_index=IGNORED)
    assert gradients(masked=True)[0] == pytest.approx(wanted.item(), rel=1e-5)
    wanted.backward()
    autograd = torch.cat([p.grad.flatten().double() for p in model.parameters()])
    assert distance(gradients(masked=True)[1], autograd) < 1e-5


def test_activation_checkpointing_changes_no_gradient():
    (loss, wanted), (same, found) = gradients(), gradients(activation_checkpointing=True)
    assert same == loss and torch.equal(found, wanted)


def test_the_z_loss_pulls_the_logits_towards_a_sum_of_one():
    model = Decoder(ModelConfig(vocab_size=300, **SHAPE.model_dump())).init_weights(0, zero_outputs=False)
    inputs, targets = batch(masked=True)
    logits, counts = model(inputs).flatten(0, 1), targets.flatten() != IGNORED
    loss = torch.nn.functional.cross_entropy(logits, targets.flatten(), ignore_index=IGNORED)
    (loss + 0.5 * (torch.logsumexp(logits, -1) ** 2)[counts].mean()).backward()
    wanted = torch.cat([p.grad.flatten().double() for p in model.parameters()])
    value, found = gradients(masked=True, z_loss=0.5)
    assert value == pytest.approx(loss.item(), rel=1e-5)  # what is reported stays the cross-entropy
    assert distance(found, wanted) < 1e-5
