"""The card says what the model is."""

from hornbook.deployment.model_card import model_card
from tests.model.tiny import SHAPES, tiny_config

AGREEMENT = {"F16": {"positions": 60, "top_token": 1.0, "logprob_difference": 1e-3, "kl_divergence": 1e-6}}


def test_a_card_tells_the_architectures_apart() -> None:
    sequential = model_card(tiny_config(sliding_window=64), 1234, AGREEMENT)
    assert "Phi3ForCausalLM" in sequential and "of which a token sees 64" in sequential
    assert "16 of 16, theta 10000" in sequential and "the embedding is also the head" in sequential
    parallel = model_card(tiny_config(**SHAPES["parallel blocks"]), 1234, AGREEMENT)
    assert "PhiForCausalLM" in parallel and "phi-2" in parallel and "Phi-3" not in parallel
    assert "8 of 16" in parallel and "embedding and head are apart" in parallel
    assert "| F16 | 60 | 100.0% |" in parallel and "1,234" in parallel
