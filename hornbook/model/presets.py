"""Shapes of models by name, in the words of Hugging Face's config.json. Parameters are counted with 4,096 tokens."""

from typing import Any


def _shape(hidden_size: int, num_hidden_layers: int, intermediate_size: int) -> dict[str, Any]:
    """A decoder with heads 64 wide, each with its own keys and values."""
    heads = hidden_size // 64
    return {
        "hidden_size": hidden_size,
        "num_hidden_layers": num_hidden_layers,
        "num_attention_heads": heads,
        "num_key_value_heads": heads,
        "intermediate_size": intermediate_size,
    }


# Depth and width grow together; the intermediate size is about 2.7 times the width, and a multiple of 32.
LADDER = {
    "0.3M": _shape(64, 2, 192),  # 0.37 M, of which 0.26 M are the embedding
    "1M": _shape(128, 4, 352),  # 1.3 M; the model of the laptop recipe
    "3M": _shape(192, 6, 512),  # 3.4 M
    "10M": _shape(320, 8, 864),  # 11 M
    "30M": _shape(512, 10, 1376),  # 34 M
}
