"""Llama checkpoints in our decoder: the same computation, with its matrices cut differently.

A Llama block (Touvron et al. 2023) has matrices of their own for queries, keys, values, gate and up, where the
Phi-3 block has one for the first three and one for the last two. Stacked in that order they are ours, so a model
that is opened here and saved again is a Phi-3 checkpoint with equal logits.
"""

from pathlib import Path
from typing import Any

import torch

from hornbook.core.errors import HornbookError
from hornbook.model.config import ModelConfig
from hornbook.model.config_json import REMEDY, checked_config, read_json
from hornbook.model.decoder import Decoder
from hornbook.model.huggingface import check_tokenizer
from hornbook.model.weights import read_weights

# Names inside a layer: what is stacked, in this order, to what.
_FUSED = {
    "self_attn.qkv_proj": ("self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj"),
    "mlp.gate_up_proj": ("mlp.gate_proj", "mlp.up_proj"),
}
# What transformers takes where config.json is silent.
_DEFAULTS = {
    "max_position_embeddings": 2048,
    "rms_norm_eps": 1e-6,
    "tie_word_embeddings": False,
    "bos_token_id": 1,
    "eos_token_id": 2,
}
_WANTED = ("vocab_size", "hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads")
_REMEDY = "Use another checkpoint."


def load(folder: Path) -> Decoder:
    """The decoder of a Hugging Face folder of `LlamaForCausalLM`, in float32 and ready to evaluate.

    Raises HornbookError when a file is missing or damaged, or describes what our decoder does not compute.
    """
    folder = Path(folder)
    config = load_config(folder)
    check_tokenizer(folder, config)
    return build(config, fuse(config, read_weights(folder, shapes(config))))


def build(config: ModelConfig, weights: dict[str, torch.Tensor]) -> Decoder:
    """A decoder that holds these weights, in float32, ready to evaluate."""
    with torch.device("meta"):  # names and shapes without memory
        model = Decoder(config)
    model.load_state_dict({name: weight.float() for name, weight in weights.items()}, assign=True)
    return model.eval()


def fuse(config: ModelConfig, weights: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Replace Llama's matrices in `weights` by our stacked ones, layer by layer, so that few exist twice."""
    for layer in range(config.num_hidden_layers):
        prefix = f"model.layers.{layer}."
        for fused, parts in _FUSED.items():
            stacked = torch.cat([weights.pop(f"{prefix}{part}.weight").float() for part in parts])
            weights[f"{prefix}{fused}.weight"] = stacked
    return weights


def shapes(config: ModelConfig) -> dict[str, tuple[int, ...]]:
    """Names and shapes of all weights of a Llama checkpoint."""
    width, inner = config.hidden_size, config.intermediate_size
    kv_width = config.num_key_value_heads * config.head_dim
    layer = {
        "input_layernorm": (width,),
        "self_attn.q_proj": (width, width),
        "self_attn.k_proj": (kv_width, width),
        "self_attn.v_proj": (kv_width, width),
        "self_attn.o_proj": (width, width),
        "post_attention_layernorm": (width,),
        "mlp.gate_proj": (inner, width),
        "mlp.up_proj": (inner, width),
        "mlp.down_proj": (width, inner),
    }
    result: dict[str, tuple[int, ...]] = {"model.embed_tokens.weight": (config.vocab_size, width)}
    for number in range(config.num_hidden_layers):
        result |= {f"model.layers.{number}.{name}.weight": shape for name, shape in layer.items()}
    result["model.norm.weight"] = (width,)
    if not config.tie_word_embeddings:
        result["lm_head.weight"] = (config.vocab_size, width)
    return result


def load_config(folder: Path) -> ModelConfig:
    """What config.json of a folder says. Raises HornbookError as `load` does."""
    path = Path(folder) / "config.json"
    described = read_json(path)
    if missing := [name for name in _WANTED if not isinstance(described.get(name), int)]:
        raise HornbookError(f"{path} is not complete: {missing[0]} is missing or no number.", REMEDY)
    if reasons := _unsupported(described):
        raise HornbookError(f"Hornbook cannot run the model in {folder}: {reasons[0]}.", _REMEDY)
    described = _DEFAULTS | {
        key: value for key, value in described.items() if value is not None or key == "bos_token_id"
    }
    end = described["eos_token_id"]
    values = {name: described[name] for name in (*_WANTED, "max_position_embeddings", "rms_norm_eps", "bos_token_id")}
    values |= {
        "num_key_value_heads": described.get("num_key_value_heads") or described["num_attention_heads"],
        "tie_word_embeddings": bool(described["tie_word_embeddings"]),
        "rope_theta": float(_rope(described).get("rope_theta") or described.get("rope_theta") or 10_000.0),
        "initializer_range": described.get("initializer_range", 0.02),
        "eos_token_id": end[0] if isinstance(end, list) else end,
        "pad_token_id": described.get("pad_token_id"),
    }
    return checked_config(values, path)


def _rope(described: dict[str, Any]) -> dict[str, Any]:
    """What belongs to rotary embeddings: newer files keep it together, and transformers prefers the older place."""
    return described.get("rope_scaling") or described.get("rope_parameters") or {}


def _unsupported(described: dict[str, Any]) -> list[str]:
    """Reasons why our decoder would compute something else than the model that is described."""
    rope = _rope(described)
    kind = rope.get("rope_type", rope.get("type", "default"))
    width, heads = described["hidden_size"], max(described["num_attention_heads"], 1)
    findings = {
        f"its model_type is {described.get('model_type')!r}, not 'llama'": described.get("model_type") != "llama",
        f"its rotary embeddings are scaled ({kind})": kind != "default",
        "its rotary embeddings turn a part of a head": rope.get("partial_rotary_factor", 1.0) != 1.0,
        f"its activation is {described.get('hidden_act')!r}, not 'silu'": described.get("hidden_act", "silu") != "silu",
        "its attention has biases (attention_bias)": bool(described.get("attention_bias")),
        "its MLP has biases (mlp_bias)": bool(described.get("mlp_bias")),
        f"its heads have {described.get('head_dim')} channels, not hidden_size / num_attention_heads": (
            (described.get("head_dim") or width // heads) * heads != width
        ),
        "its weights are quantised": bool(described.get("quantization_config")),
        "it names no eos_token_id": described.get("eos_token_id", 2) in (None, []),
    }
    return [reason for reason, found in findings.items() if found]
