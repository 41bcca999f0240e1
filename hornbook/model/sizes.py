"""What a model of a given shape costs: weights, memory, arithmetic. Counted without making any weight."""

from dataclasses import dataclass
from pathlib import Path

import torch

from hornbook.core.errors import HornbookError
from hornbook.model.build import build
from hornbook.model.config import ModelConfig, Phi3SmallConfig
from hornbook.model.config_json import read_config
from hornbook.model.presets import PRESETS

# Bytes of a weight while training in bfloat16: the weight and its gradient, and a float32 master.
_TRAINED = 2 + 2 + 4
_MUON, _ADAMW = 4, 8  # bytes of momentum; of mean and mean square. All in float32


@dataclass(frozen=True)
class Size:
    """Costs of one model. Bytes to train hold no activations, which depend on the batch."""

    parameters: int  # a tied head counts once
    active_parameters: int  # that one token meets: of experts only those it goes to
    train_bytes: int
    run_bytes: int  # weights in bfloat16
    kv_bytes_per_token: int  # keys and values in bfloat16
    forward_flops: int  # of one token after an empty context
    train_flops: int  # of one token, forward and backward, on average over a full context


def measure(config: ModelConfig) -> Size:
    """Costs of a model of this shape, from the names and shapes of its weights.

    Each weight of a matrix that a token meets is one multiplication and one addition, and backward twice that; looking
    up an embedding is free. Attention adds two products of queries' width for every position that a token sees.
    """
    with torch.device("meta"):  # names and shapes without memory
        model = build(config)
    # As the optimiser divides them: Muon for hidden matrices, AdamW for embedding, head, norms and biases.
    muon = sum(p.numel() for name, p in model.model.layers.named_parameters() if p.ndim == 2)
    parameters = model.num_parameters()
    active = model.num_active_parameters()
    matrices = muon + model.head_weight.numel() - (parameters - active)
    attention = 4 * config.num_hidden_layers * config.num_attention_heads * config.head_dim
    return Size(
        parameters=parameters,
        active_parameters=active,
        train_bytes=_TRAINED * parameters + _MUON * muon + _ADAMW * (parameters - muon),
        run_bytes=2 * parameters,
        kv_bytes_per_token=2 * 2 * config.num_hidden_layers * config.num_key_value_heads * config.head_dim,
        forward_flops=2 * matrices,
        train_flops=round(3 * (2 * matrices + attention * config.mean_seen)),
    )


def list_models() -> None:
    """Print one line for every model that is known by name."""
    print(
        f"{'model':<18}{'blocks x width':>15}{'heads':>7}{'context':>9}{'parameters':>16}{'to train':>11}{'to run':>10}"
        f"{'KV / token':>12}{'FLOPs / token':>15}  blocks"
    )
    for name, config in PRESETS.items():
        size = measure(config)
        print(
            f"{name:<18}{f'{config.num_hidden_layers} x {config.hidden_size:,}':>15}"
            f"{f'{config.num_attention_heads}/{config.num_key_value_heads}':>7}{config.max_position_embeddings:>9,}"
            f"{size.parameters:>16,}{_bytes(size.train_bytes):>11}{_bytes(size.run_bytes):>10}"
            f"{_bytes(size.kv_bytes_per_token):>12}{size.forward_flops:>15.3g}  {config.block}"
        )


def show_model(name: str) -> None:
    """Print what is known of a model: one with a name, or the one in a Hugging Face folder."""
    for label, value in _facts(_config(name)).items():
        print(f"{label:<20}{value}")


def _config(name: str) -> ModelConfig:
    if name in PRESETS:
        return PRESETS[name]
    if Path(name).is_dir():
        return read_config(Path(name))
    raise HornbookError(
        f"There is no model {name}, and no folder of this name.", f"These have names: {', '.join(PRESETS)}."
    )


def _facts(config: ModelConfig) -> dict[str, str]:
    size = measure(config)
    is_sparse = isinstance(config, Phi3SmallConfig)
    window = f", of which a token sees {config.sliding_window:,}" if config.sliding_window else ""
    window = f", of which a token sees {config.mean_seen:,.0f} on average" if is_sparse else window
    met = f", of which a token meets {size.active_parameters:,}" if size.active_parameters < size.parameters else ""
    biases = " with biases" if config.bias else ""
    context_bytes = size.kv_bytes_per_token * config.max_position_embeddings
    return {
        "parameters": f"{size.parameters:,}{met}",
        "blocks": f"{config.num_hidden_layers}, {config.block}, {config.norm} norm, {config.mlp} MLP",
        "width, MLP": f"{config.hidden_size:,}, {config.intermediate_size:,}",
        "heads": f"{config.num_attention_heads} of {config.head_dim} channels, {config.num_key_value_heads} of keys "
        f"and values, {config.projections} projections{biases}",
        "vocabulary": f"{config.vocab_size:,}, {'tied' if config.tie_word_embeddings else 'untied'} head",
        "context": f"{config.max_position_embeddings:,} tokens{window}",
        "rotary embeddings": _rotary(config),
        "memory to train": f"{_bytes(size.train_bytes)} = 2 weight + 2 gradient + 4 float32 master bytes a parameter, "
        "and 4 of momentum in hidden matrices or 8 of Adam elsewhere; activations come on top",
        "memory to run": f"{_bytes(size.run_bytes)} = 2 bytes a parameter",
        "keys and values": f"{size.kv_bytes_per_token:,} bytes a token, {_bytes(context_bytes)} for the context",
        "FLOPs a token": f"{size.forward_flops:.3g} forward after an empty context, {size.train_flops:.3g} in "
        "training over a full one",
    }


def _rotary(config: ModelConfig) -> str:
    text = f"{config.rotary_dim} of {config.head_dim} channels, theta {config.rope_theta:,.0f}"
    if (scaling := config.rope_scaling) is None:
        return text
    text += f", LongRoPE above {scaling.original_max_position_embeddings:,} tokens"
    return text if scaling.short_factor else f"{text} with factors that only the checkpoint has"


def _bytes(count: float) -> str:
    for unit in ("B", "KB", "MB"):
        if count < 1000:
            return f"{count:.4g} {unit}"
        count /= 1000
    return f"{count:.4g} GB"
