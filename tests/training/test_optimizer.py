"""The loss in pieces, and the optimiser."""

import pytest
import torch

from hornbook.model.config import PARALLEL, ModelConfig
from hornbook.model.decoder import Decoder
from hornbook.training.config import OptimizerConfig
from hornbook.training.loss import linear_cross_entropy
from hornbook.training.muon import orthogonalize
from hornbook.training.optimizer import Optimizer
from tests.training.stores import SHAPE


def tiny(kv_heads: int = 2) -> Decoder:
    shape = SHAPE.model_dump() | {"num_key_value_heads": kv_heads}
    return Decoder(ModelConfig(vocab_size=300, **shape)).init_weights(0)


@pytest.mark.parametrize("shape", [(3, 32, 32), (2, 64, 32), (2, 32, 64)])
def test_orthogonalize_brings_singular_values_near_one_and_keeps_the_directions(shape):
    g = torch.randn(shape, generator=torch.Generator().manual_seed(0))
    x = orthogonalize(g)
    values = torch.linalg.svdvals(x)
    assert values.min() > 0.3 and values.max() < 1.3
    u, _, vh = torch.linalg.svd(g, full_matrices=False)
    aligned = torch.einsum("nrk,nrc,nkc->nk", u, x, vh)  # the same singular vectors
    assert aligned.min() > 0.3 and aligned.max() < 1.3


def test_muon_equals_torch_on_a_matrix_that_is_not_fused():
    ours, theirs = tiny(), tiny()
    name = "model.layers.0.mlp.down_proj.weight"
    optimizer = Optimizer(ours, OptimizerConfig(muon_lr=0.05))
    reference = torch.optim.Muon([dict(theirs.named_parameters())[name]], lr=0.05, weight_decay=0.0)
    generator = torch.Generator().manual_seed(1)
    for _ in range(3):
        for a, b in zip(ours.parameters(), theirs.parameters(), strict=True):
            a.grad = torch.randn(a.shape, generator=generator)
            b.grad = a.grad.clone()
        optimizer.step(1.0)
        reference.step()
    difference = (ours.state_dict()[name] - theirs.state_dict()[name]).norm()
    assert difference / theirs.state_dict()[name].norm() < 0.05  # theirs computes in bfloat16


@pytest.mark.parametrize(("width", "moved"), [(32, 0.01), (128, 0.01), (512, 0.0025)])
def test_the_embedding_of_a_wide_model_takes_smaller_steps(width, moved):
    shape = SHAPE.model_dump() | {"hidden_size": width}
    model = Decoder(ModelConfig(vocab_size=300, **shape)).init_weights(0)
    before = model.model.embed_tokens.weight.detach().clone()
    for p in model.parameters():
        p.grad = torch.ones_like(p)
    Optimizer(model, OptimizerConfig(embedding_lr=0.01)).step(1.0)
    change = (model.model.embed_tokens.weight - before).abs()
    assert torch.allclose(change, torch.full_like(change, moved), rtol=1e-3)


def test_adam_equals_torch_on_the_embedding():
    ours, theirs = tiny(), tiny()
    name = "model.embed_tokens.weight"
    optimizer = Optimizer(ours, OptimizerConfig(embedding_lr=0.01, betas=(0.8, 0.95)))
    embedding = dict(theirs.named_parameters())[name]
    reference = torch.optim.Adam([embedding], lr=0.01, betas=(0.8, 0.95), eps=1e-10)
    generator = torch.Generator().manual_seed(1)
    for _ in range(4):
        for a, b in zip(ours.parameters(), theirs.parameters(), strict=True):
            a.grad = torch.randn(a.shape, generator=generator)
            b.grad = a.grad.clone()
        optimizer.step(1.0)
        reference.step()
    assert torch.allclose(ours.state_dict()[name], embedding, atol=1e-6)


def test_fused_projections_are_orthogonalised_piece_by_piece():
    model = tiny(kv_heads=1)
    optimizer = Optimizer(model, OptimizerConfig(muon_lr=1.0))
    for p in model.parameters():
        p.grad = torch.randn(p.shape, generator=torch.Generator().manual_seed(p.numel()))
    before = {name: p.detach().clone() for name, p in model.named_parameters()}
    optimizer.step(1.0)
    for piece, rows in (("qkv_proj", (32, 16, 16)), ("gate_up_proj", (64, 64))):
        name = next(n for n in before if piece in n)
        change = before[name] - dict(model.named_parameters())[name].detach()
        for part in change.split(rows):
            values = torch.linalg.svdvals(part) / max(1, part.shape[0] / part.shape[1]) ** 0.5
            assert values.min() > 0.3 and values.max() < 1.3


def test_bfloat16_weights_follow_float32_masters():
    model = tiny()
    optimizer = Optimizer(model, OptimizerConfig())
    model.to(torch.bfloat16)
    for step in range(3):
        ids = torch.randint(300, (2, 33), generator=torch.Generator().manual_seed(step))
        h = model.hidden(ids[:, :-1]).flatten(0, 1)
        linear_cross_entropy(h, model.head_weight, ids[:, 1:].flatten()).backward()
        optimizer.step(0.1)
    for name, p in model.named_parameters():
        assert p.dtype == torch.bfloat16 and optimizer.masters[name].dtype == torch.float32
        assert torch.equal(p, optimizer.masters[name].bfloat16())


@pytest.mark.parametrize("style", [{}, {**PARALLEL, "tie_word_embeddings": False}], ids=["sequential", "parallel"])
def test_both_styles_of_blocks_train_norms_and_biases_included(style):
    config = ModelConfig(vocab_size=300, **SHAPE.model_dump() | style)
    model = Decoder(config).init_weights(0)
    optimizer = Optimizer(model, OptimizerConfig())
    before = {name: p.detach().clone() for name, p in model.named_parameters()}
    ids = torch.randint(300, (4, 33), generator=torch.Generator().manual_seed(0))
    losses = []
    for _ in range(12):
        h = model.hidden(ids[:, :-1]).flatten(0, 1)
        loss = linear_cross_entropy(h, model.head_weight, ids[:, 1:].flatten(), bias_V=model.head_bias)
        loss.backward()
        losses.append(loss.item())
        optimizer.step(1.0)
    assert losses[-1] < 0.5 * losses[0]
    for name, p in model.named_parameters():
        moved = (p.detach() - before[name]).abs().max()
        assert moved > 1e-6 or "k_proj.bias" in name, name  # the same for all keys, so that attention does not see it
        assert moved < 1, name


def test_the_matrices_of_a_parallel_block_are_orthogonalised_and_its_vectors_are_not():
    config = ModelConfig(vocab_size=300, **SHAPE.model_dump() | PARALLEL | {"tie_word_embeddings": False})
    state = Optimizer(Decoder(config).init_weights(0), OptimizerConfig()).state()
    with_mean = {name.removeprefix("mean.") for name in state if name.startswith("mean.")}
    vectors = {name for name, p in Decoder(config).named_parameters() if p.ndim == 1}
    assert with_mean == vectors | {"model.embed_tokens.weight", "lm_head.weight"}
    assert any("bias" in name for name in vectors)
