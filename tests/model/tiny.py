"""A tiny random model with a byte-level BPE, as a Hugging Face folder; and shapes to try."""

from pathlib import Path
from typing import Any

from hornbook.model import huggingface
from hornbook.model.config import PARALLEL, ModelConfig
from hornbook.model.decoder import Decoder
from hornbook.tokenization.config import TokenizerConfig
from hornbook.tokenization.train import train_bpe, write_folder

TEXT = '''def fibonacci(n):
    """Return the n-th Fibonacci number: naïve, but clear. 🙂 漢字"""
    return n if n < 2 else fibonacci(n - 1) + fibonacci(n - 2)
'''
SHAPES: dict[str, dict[str, Any]] = {
    "plain": {"num_key_value_heads": 4},
    "grouped queries": {},
    "head of its own": {"tie_word_embeddings": False},
    "partial rotary": {"partial_rotary_factor": 0.5},
    "window": {"sliding_window": 16},
    "heads wider than the model": {"head_dim": 32},
    "parallel blocks": {**PARALLEL, "tie_word_embeddings": False, "partial_rotary_factor": 0.5},
}


def tiny_config(**changes: Any) -> ModelConfig:
    """A shape of 2 layers, 64 wide; embeddings large enough for clear preferences between tokens."""
    values: dict[str, Any] = {
        "vocab_size": 320,
        "hidden_size": 64,
        "intermediate_size": 96,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "max_position_embeddings": 128,
        "initializer_range": 0.3,
        "bos_token_id": 0,
        "eos_token_id": 0,
        "pad_token_id": 0,
    }
    return ModelConfig(**(values | changes))


def tiny_model(seed: int = 0, **changes: Any) -> Decoder:
    """Random weights in every matrix, none of them zero."""
    return Decoder(tiny_config(**changes)).init_weights(seed, zero_outputs=False).eval()


def tiny_folder(folder: Path, seed: int = 0, **changes: Any) -> Path:
    """Write model and tokenizer to `folder`; returns it."""
    huggingface.save(tiny_model(seed, **changes), folder)
    write_folder(train_bpe(iter([TEXT] * 2), TokenizerConfig(vocab_size=300)), folder)
    return folder
