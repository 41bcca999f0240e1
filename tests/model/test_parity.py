"""Our decoder and transformers compute the same, from the same files, for every kind of model of the family.

The files are ours: transformers reads them, and what it writes in turn comes back to us bit by bit.
"""

from itertools import product
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.nn import functional as F
from transformers import AutoModelForCausalLM, Phi3ForCausalLM, PhiForCausalLM

from hornbook.model import huggingface
from hornbook.model.config import PARALLEL, LongRope
from hornbook.model.decoder import KVCache
from tests.model.tiny import tiny_model

ORIGINAL = 24  # the length at which LongRoPE changes its factors
LENGTHS = {"plain": 40, "partial": 40, "LongRoPE below": ORIGINAL - 1, "LongRoPE at": ORIGINAL, "LongRoPE above": 40}
ARCHITECTURES: dict[str, dict[str, Any]] = {"phi": PARALLEL, "phi3": {}}
KV_HEADS = {"MHA": 4, "GQA": 2}
TIED = {"tied": True, "untied": False}
WINDOWS = {"window": 9, "no window": None}


def _changes(family: str, rope: str, heads: str, tied: str, window: str) -> dict[str, Any]:
    changes = {
        **ARCHITECTURES[family],
        "num_key_value_heads": KV_HEADS[heads],
        "tie_word_embeddings": TIED[tied],
        "sliding_window": WINDOWS[window],
        "pad_token_id": None,  # transformers gives the row of a padding token no gradient
    }
    if rope != "plain":
        changes["partial_rotary_factor"] = 0.75
    if rope.startswith("LongRoPE"):
        short, long = (tuple(1 + i * step for i in range(6)) for step in (0.1, 1.5))
        changes["rope_scaling"] = LongRope(ORIGINAL, short, long)
    return changes


def _matrix() -> list[Any]:
    cases = []
    for case in product(ARCHITECTURES, LENGTHS, KV_HEADS, TIED, WINDOWS):
        marks = []
        if case[0] == "phi" and "tied" in case:
            marks = [pytest.mark.skip(reason="the head of phi has a bias, so it is never the embedding")]
        elif case[0] == "phi" and "window" in case:
            marks = [pytest.mark.skip(reason="PhiForCausalLM of transformers has no window")]
        cases.append(pytest.param(*case, id=", ".join(case), marks=marks))
    return cases


@pytest.mark.parametrize(("family", "rope", "heads", "tied", "window"), _matrix())
def test_logits_gradients_cache_and_files_are_those_of_transformers(
    tmp_path: Path, family: str, rope: str, heads: str, tied: str, window: str
) -> None:
    ours = tiny_model(**_changes(family, rope, heads, tied, window))
    with torch.no_grad():
        for name, weight in ours.named_parameters():  # norms of 1 and biases of 0 would hide a mistake
            if weight.ndim == 1:
                weight.add_(0.2 * torch.randn(weight.shape, generator=torch.Generator().manual_seed(len(name))))
    huggingface.save(ours, tmp_path / "ours")
    theirs = AutoModelForCausalLM.from_pretrained(tmp_path / "ours", attn_implementation="sdpa")
    assert type(theirs) is {"phi": PhiForCausalLM, "phi3": Phi3ForCausalLM}[family]
    ids = torch.randint(320, (2, LENGTHS[rope]), generator=torch.Generator().manual_seed(1))

    found, wanted = ours(ids), theirs(ids).logits
    torch.testing.assert_close(found, wanted, atol=1e-5, rtol=1e-5)
    for logits in (found, wanted):
        F.cross_entropy(logits[:, :-1].flatten(0, 1), ids[:, 1:].flatten()).backward()
    gradients = dict(theirs.named_parameters())
    for name, weight in ours.named_parameters():
        torch.testing.assert_close(weight.grad, gradients[name].grad, atol=1e-4, rtol=1e-4, msg=name)

    with torch.no_grad():
        cache = KVCache(ours.config)
        pieces = [ours(piece, cache) for piece in ids.split([7, 5, *[1] * (LENGTHS[rope] - 12)], dim=1)]
        # Before LongRoPE changes its factors, a shorter sequence has other ones.
        same = slice(ORIGINAL if rope == "LongRoPE above" else 0, None)
        torch.testing.assert_close(torch.cat(pieces, 1)[:, same], wanted[:, same], atol=1e-5, rtol=1e-5)

    theirs.save_pretrained(tmp_path / "theirs")
    back = huggingface.load(tmp_path / "theirs")
    assert back.config == ours.config
    for name, weight in ours.state_dict().items():
        assert torch.equal(back.state_dict()[name], weight), name
