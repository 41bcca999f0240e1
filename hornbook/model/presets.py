"""Shapes of models by name, one row each, in the words of Hugging Face's config.json.

Numbers of the published ones are those of the config.json beside their weights. LongRoPE's factors are known here for
phi-4-mini only. The others were revised under the same name more than once, so they have to be read from the checkpoint
that one runs: `huggingface.load` does that.
"""

from typing import Any

from hornbook.model.config import (
    PARALLEL,
    PHI_3_SMALL_DUMMIES,
    LongRope,
    ModelConfig,
    Phi3SmallConfig,
    PhimoeConfig,
)


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


# Depth and width grow together; the intermediate size is about 2.7 times the width, and a multiple of 32. The names
# are about the parameters with 4,096 tokens.
LADDER = {
    "0.3M": _shape(64, 2, 192),  # 0.37 M, of which 0.26 M are the embedding
    "1M": _shape(128, 4, 352),  # 1.3 M; the model of the laptop recipe
    "3M": _shape(192, 6, 512),  # 3.4 M
    "4M": _shape(192, 7, 512),  # 3.9 M
    "10M": _shape(320, 8, 864),  # 11 M
    "30M": _shape(512, 10, 1376),  # 34 M
    "100M": _shape(768, 14, 2048),  # 102 M
    "350M": _shape(1024, 27, 2752),  # 346 M
}


def _phi(width: int, layers: int, heads: int, rotary: float, context: int = 2048) -> ModelConfig:
    """Blocks of phi-1: an MLP four times as wide as the model, every head with its own keys and values."""
    return ModelConfig(
        **PARALLEL,
        vocab_size=51_200,
        hidden_size=width,
        intermediate_size=4 * width,
        num_hidden_layers=layers,
        num_attention_heads=heads,
        num_key_value_heads=heads,
        max_position_embeddings=context,
        tie_word_embeddings=False,
        partial_rotary_factor=rotary,
        bos_token_id=50_256,
        eos_token_id=50_256,
    )


def _phi3(
    width: int, layers: int, heads: int, kv_heads: int, mlp: int, vocabulary: int, context: int, **changes: Any
) -> ModelConfig:
    """Blocks of Phi-3."""
    ids = {32_064: (1, 32_000), 100_352: (100_257, 100_257), 200_064: (199_999, 199_999)}  # BOS and EOS
    return ModelConfig(
        vocab_size=vocabulary,
        hidden_size=width,
        intermediate_size=mlp,
        num_hidden_layers=layers,
        num_attention_heads=heads,
        num_key_value_heads=kv_heads,
        max_position_embeddings=context,
        bos_token_id=ids[vocabulary][0],
        eos_token_id=ids[vocabulary][1],
        **{"tie_word_embeddings": False, **changes},
    )


def _phi3_small(context: int, rope_scaling: LongRope | None = None) -> ModelConfig:
    """Block-sparse attention in every second layer."""
    return Phi3SmallConfig(
        vocab_size=100_352,
        hidden_size=4096,
        intermediate_size=14_336,
        num_hidden_layers=32,
        num_attention_heads=32,
        num_key_value_heads=8,
        max_position_embeddings=context,
        rope_scaling=rope_scaling,
        bos_token_id=100_257,
        eos_token_id=100_257,
        dummy_token_indices=PHI_3_SMALL_DUMMIES,
    )


def _ladder(shape: dict[str, Any], **changes: Any) -> ModelConfig:
    return ModelConfig(vocab_size=4096, max_position_embeddings=512, eos_token_id=0, **shape, **changes)


def _parallel_ladder(shape: dict[str, Any]) -> ModelConfig:
    """The same width and depth in blocks of phi-1; two matrices of four widths are as large as three of 2.7."""
    wide = {**shape, "intermediate_size": 4 * shape["hidden_size"]}
    return _ladder(wide, **PARALLEL, tie_word_embeddings=False, partial_rotary_factor=0.5)


_FROM_CHECKPOINT = LongRope(4096)
_PHI_4_MINI = LongRope(
    4096,
    short_factor=(1.0,) * 48,
    long_factor=(
        *(round(1.118320672**i, 9) for i in range(31)),
        *(32.03, 32.1, 32.13, 32.23, 32.6, 32.61, 32.64, 32.66, 32.7, 32.71, 32.93, 32.97, 33.28, 33.49, 33.5),
        *(44.16, 47.77),
    ),
)

PRESETS: dict[str, ModelConfig] = {
    # width, layers, heads, share of rotary channels
    "phi-1-small": _phi(1024, 20, 16, 0.5),
    "phi-1": _phi(2048, 24, 32, 0.5),
    "phi-1.5": _phi(2048, 24, 32, 0.5),
    "phi-2": _phi(2560, 32, 32, 0.4),
    # width, layers, heads, heads of keys and values, MLP, vocabulary, context
    "phi-3-mini-4k": _phi3(3072, 32, 32, 32, 8192, 32_064, 4096, sliding_window=2047),
    "phi-3-mini-128k": _phi3(3072, 32, 32, 32, 8192, 32_064, 131_072, rope_scaling=_FROM_CHECKPOINT),
    "phi-3.5-mini": _phi3(3072, 32, 32, 32, 8192, 32_064, 131_072, rope_scaling=_FROM_CHECKPOINT),
    "phi-3-small-8k": _phi3_small(8192),
    "phi-3-small-128k": _phi3_small(131_072, LongRope(8192)),
    "phi-3-medium-4k": _phi3(5120, 40, 40, 10, 17_920, 32_064, 4096, sliding_window=2047),
    "phi-3-medium-128k": _phi3(5120, 40, 40, 10, 17_920, 32_064, 131_072, rope_scaling=_FROM_CHECKPOINT),
    "phi-3.5-moe": PhimoeConfig(
        vocab_size=32_064,
        hidden_size=4096,
        intermediate_size=6400,
        num_hidden_layers=32,
        num_attention_heads=32,
        num_key_value_heads=8,
        max_position_embeddings=131_072,
        rope_scaling=LongRope(4096, attention_factor=1.243163121016122),
        input_jitter_noise=0.01,
        bos_token_id=1,
        eos_token_id=32_000,
    ),
    "phi-4": _phi3(5120, 40, 40, 10, 17_920, 100_352, 16_384, rope_theta=250_000.0),
    "phi-4-mini": _phi3(
        *(3072, 32, 24, 8, 8192, 200_064, 131_072),
        tie_word_embeddings=True,
        partial_rotary_factor=0.75,
        rope_scaling=_PHI_4_MINI,
    ),
    "phi-4-reasoning": _phi3(5120, 40, 40, 10, 17_920, 100_352, 32_768, rope_theta=500_000.0),
    **{name: _ladder(shape) for name, shape in LADDER.items()},
    **{f"{name}-parallel": _parallel_ladder(shape) for name, shape in LADDER.items()},
}

# The form of conversations that published models were tuned on; the base models take questions in the form `qa`.
CHAT_TEMPLATES = {
    **dict.fromkeys(("phi-1", "phi-1.5", "phi-2"), "qa"),
    **{name: "phi-3" for name in PRESETS if name.startswith("phi-3")},
    **dict.fromkeys(("phi-4", "phi-4-reasoning"), "phi-4"),
    "phi-4-mini": "phi-4-mini",
}
