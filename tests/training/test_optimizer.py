"""The loss in pieces, and the optimiser."""

import pytest
import torch

from hornbook.model.config import PARALLEL, ModelConfig
from hornbook.model.decoder import Decoder
from hornbook.training import muon
from hornbook.training.config import AdamWConfig, OptimizerConfig
from hornbook.training.loss import linear_cross_entropy
from hornbook.training.muon import NEWTON_SCHULZ, orthogonalize
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


@pytest.mark.parametrize("decay", [0.0, 0.1])
def test_muon_equals_torch_on_a_matrix_that_is_not_fused(monkeypatch, decay):
    ours, theirs = tiny(), tiny()
    name = "model.layers.0.mlp.down_proj.weight"
    optimizer = Optimizer(ours, OptimizerConfig(muon_lr=0.05, weight_decay=decay))
    reference = torch.optim.Muon(
        [dict(theirs.named_parameters())[name]],
        lr=0.05,
        momentum=0.9,
        weight_decay=decay,
        ns_coefficients=NEWTON_SCHULZ,
    )
    monkeypatch.setattr(torch.Tensor, "bfloat16", torch.Tensor.float)  # theirs computes in bfloat16, come what may
    generator = torch.Generator().manual_seed(1)
    for _ in range(3):
        for a, b in zip(ours.parameters(), theirs.parameters(), strict=True):
            a.grad = torch.randn(a.shape, generator=generator)
            b.grad = a.grad.clone()
        optimizer.step(1.0)
        reference.step()
    assert torch.allclose(ours.state_dict()[name], theirs.state_dict()[name], atol=1e-5)


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


def give_gradients(model: Decoder, seed: int = 1, value: float | None = None) -> None:
    generator = torch.Generator().manual_seed(seed)
    for p in model.parameters():
        p.grad = torch.randn(p.shape, generator=generator) if value is None else torch.full_like(p, value)


@pytest.mark.parametrize("decays", ["all", "matrices", "hidden"])
def test_adamw_alone_equals_torch_and_spares_what_is_not_to_decay(decays):
    ours, theirs = tiny(), tiny()
    adamw = AdamWConfig(lr=0.01, betas=(0.9, 0.98), eps=1e-7, weight_decay=0.1, decays=decays)
    optimizer = Optimizer(ours, OptimizerConfig(name="adamw", adamw=adamw))
    groups: dict[bool, list] = {True: [], False: []}
    for name, p in theirs.named_parameters():
        groups[decays == "all" or (p.ndim == 2 and (decays == "matrices" or "embed" not in name))].append(p)
    reference = torch.optim.AdamW(
        [{"params": groups[True], "weight_decay": 0.1}, {"params": groups[False], "weight_decay": 0.0}],
        lr=0.01, betas=(0.9, 0.98), eps=1e-7,
    )  # fmt: skip
    for step in range(4):
        give_gradients(ours, step)
        give_gradients(theirs, step)
        optimizer.step(1.0)
        reference.step()
    for name, weight in ours.state_dict().items():
        assert torch.allclose(weight, theirs.state_dict()[name], atol=1e-6), name


def test_gradients_are_clipped_to_a_length_over_all_weights():
    ours, theirs = tiny(), tiny()
    config = {"name": "adamw", "adamw": {"eps": 1.0}}  # so that the length of a gradient matters
    clipped, whole = (
        Optimizer(ours, OptimizerConfig(**config, clip_norm=0.5)),
        Optimizer(theirs, OptimizerConfig(**config)),
    )
    give_gradients(ours)
    give_gradients(theirs)
    wanted = torch.nn.utils.clip_grad_norm_(theirs.parameters(), 0.5)
    assert clipped.step(1.0) == pytest.approx(wanted.item(), rel=1e-5)
    whole.step(1.0)
    for name, weight in ours.state_dict().items():
        assert torch.allclose(weight, theirs.state_dict()[name], atol=1e-6), name


@pytest.mark.parametrize("name", ["muon", "adamw"])
@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_step_without_finite_gradients_changes_nothing(name, value):
    ours, undisturbed = tiny(), tiny()
    optimizer, other = Optimizer(ours, OptimizerConfig(name=name)), Optimizer(undisturbed, OptimizerConfig(name=name))
    for step in range(3):
        for model, its in ((ours, optimizer), (undisturbed, other)):
            give_gradients(model, step)
            its.step(1.0)
        give_gradients(ours, 9)
        next(ours.parameters()).grad[0] = value
        assert not optimizer.step(1.0) < float("inf")
    assert optimizer.updates == other.updates == 3
    for (name, tensor), wanted in zip(optimizer.state().items(), other.state().values(), strict=True):
        assert torch.equal(tensor, wanted), name


def test_matrices_that_do_not_fit_into_one_batch_learn_the_same(monkeypatch):
    ours, theirs = tiny(), tiny()
    whole = Optimizer(theirs, OptimizerConfig())
    give_gradients(ours)
    give_gradients(theirs)
    whole.step(1.0)
    monkeypatch.setattr(muon, "AT_ONCE", 1)
    Optimizer(ours, OptimizerConfig()).step(1.0)
    for name, weight in ours.state_dict().items():
        assert torch.allclose(weight, theirs.state_dict()[name], atol=1e-6), name
