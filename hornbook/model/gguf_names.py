"""What GGUF files call architectures and tensors, and what llama.cpp computes under these names.

From llama.cpp's src/models/phi2.cpp and phi3.cpp: `phi2` has parallel blocks, LayerNorm, a GELU and biases everywhere;
`phi3` sequential blocks, RMSNorm, SwiGLU and fused matrices without biases. Both turn the first
`rope.dimension_count` channels of a head.
"""

from hornbook.model.config import PARALLEL, ModelConfig

SWITCHES = {
    "phi2": PARALLEL,
    "phi3": {"block": "sequential", "norm": "rms", "mlp": "swiglu", "projections": "fused", "bias": False},
}
NORM_EPS = {"phi2": "attention.layer_norm_epsilon", "phi3": "attention.layer_norm_rms_epsilon"}
SHORT_FACTORS, LONG_FACTORS = "rope_factors_short.weight", "rope_factors_long.weight"
_NAMES = {
    "model.embed_tokens": "token_embd",
    "model.norm": "output_norm",
    "model.final_layernorm": "output_norm",
    "lm_head": "output",
    "input_layernorm": "attn_norm",
    "self_attn.qkv_proj": "attn_qkv",
    "self_attn.q_proj": "attn_q",
    "self_attn.k_proj": "attn_k",
    "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output",
    "self_attn.dense": "attn_output",
    "post_attention_layernorm": "ffn_norm",
    "mlp.gate_up_proj": "ffn_up",
    "mlp.gate_proj": "ffn_gate",  # this and the next: in files of architecture `llama`
    "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down",
    "mlp.fc1": "ffn_up",
    "mlp.fc2": "ffn_down",
}


def architecture(config: ModelConfig) -> str | None:
    """The architecture that computes blocks like these; None where llama.cpp has none that is known here."""
    return next(
        (
            name
            for name, switches in SWITCHES.items()
            if all(getattr(config, key, None) == value for key, value in switches.items())
        ),
        None,
    )


def tensor_name(name: str) -> str:
    """The GGUF name of a parameter: `model.layers.3.mlp.down_proj.weight` is `blk.3.ffn_down.weight`."""
    stem, _, suffix = name.rpartition(".")
    if stem.startswith("model.layers."):
        layer, _, part = stem.removeprefix("model.layers.").partition(".")
        return f"blk.{layer}.{_NAMES[part]}.{suffix}"
    return f"{_NAMES[stem]}.{suffix}"
