"""Where llama.cpp would compute something else than our decoder: everywhere, or only under conditions.

The first are reasons not to write a file, because one that loads and computes something else is worse than none. The
second are limits, which the user is told.
"""

import math
from collections.abc import Iterator, Mapping
from dataclasses import fields
from typing import Any

import torch

from hornbook.model.config import ModelConfig
from hornbook.model.gguf_names import architecture
from hornbook.model.pre_tokenizers import INEXACT, PRE_TOKENIZERS, pre_tokenizer_name

BLOCK = 32  # weights in a row that share a scale in Q8_0, Q4_0 and Q4_1
F16_LARGEST = 65504.0
CONTEXT_STEP = 256  # llama.cpp rounds the room it is given up to a multiple of this
END_KEYS = ("eos", "eot", "eom")  # of tokens that end a text, a turn and a message; llama.cpp stops at all three
# Fields of a model that a file can say, or that have no bearing on what is computed. Any other must be as usual.
_SAID = (
    "vocab_size hidden_size intermediate_size num_hidden_layers num_attention_heads num_key_value_heads head_dim "
    "max_position_embeddings block norm mlp projections bias tie_word_embeddings rms_norm_eps layer_norm_eps "
    "rope_theta partial_rotary_factor rope_scaling sliding_window initializer_range bos_token_id eos_token_id "
    "pad_token_id"
).split()


def differences(
    config: ModelConfig, weights: Mapping[str, torch.Tensor], types: Mapping[str, str], tokenizer: dict[str, Any]
) -> Iterator[str]:
    """Reasons why llama.cpp would not compute what our decoder and tokenizer compute.

    `types` are the number types in which the `weights` will be stored; `tokenizer` is the content of tokenizer.json.
    """
    name = architecture(config)
    unusual = [f.name for f in fields(config) if f.name not in _SAID and getattr(config, f.name) != f.default]
    if name is None or unusual:
        which = f" without {unusual[0]}" if unusual else ""
        yield f"only blocks as in phi-1 to phi-2, or as in Phi-3 and Phi-4{which}, can be written"
    if config.head_dim * config.num_attention_heads != config.hidden_size:
        yield f"its {config.num_attention_heads} heads of {config.head_dim} do not fill the width {config.hidden_size}"
    if config.rope_scaling and name == "phi2":
        yield "llama.cpp has no LongRoPE for parallel blocks"
    if config.rope_scaling and not config.rope_scaling.short_factor:
        yield "its LongRoPE has no factors"
    yield from _weight_differences(weights, types)
    yield from _tokenizer_differences(tokenizer, config.vocab_size)


def limits(config: ModelConfig, tokenizer: dict[str, Any], ends: int) -> Iterator[str]:
    """What to expect where llama.cpp computes the same only under conditions. `ends` tokens end an answer."""
    context, seen = config.max_position_embeddings, visible_context(config)
    if seen < context:
        yield (
            f"llama.cpp ignores the sliding window of {seen:,} positions. The file says that its context is as long, "
            f"and up to there llama.cpp computes the same; beyond (-c {context}) it does not."
        )
    if config.rope_scaling:
        original = config.rope_scaling.original_max_position_embeddings
        advice = "its context is too short to get the factors of short texts"
        if (room := short_context(config)) is not None:
            advice = f"give it -c {room} for texts of at most {room:,} tokens"
            if room < original:
                advice += f" ({original:,} is no multiple of {CONTEXT_STEP})"
        yield (
            "llama.cpp chooses the factors of LongRoPE by the room it is given (-c), not by the length of the text: "
            f"{advice}. With more it computes the same for texts of more than {original:,} tokens only."
        )
    if why := INEXACT.get(pre_tokenizer_name(tokenizer) or ""):
        yield f"llama.cpp cuts {why} into other tokens than the tokenizer does."
    if ends > len(END_KEYS):
        yield f"{ends} tokens end an answer, and the file has room for {len(END_KEYS)} of them."


def visible_context(config: ModelConfig) -> int:
    """Positions up to which attention without the sliding window is the same."""
    return min(config.sliding_window or config.max_position_embeddings, config.max_position_embeddings)


def short_context(config: ModelConfig) -> int | None:
    """The largest context in which llama.cpp takes the short factors of LongRoPE; None where there is none."""
    assert config.rope_scaling is not None
    return config.rope_scaling.original_max_position_embeddings // CONTEXT_STEP * CONTEXT_STEP or None


def _weight_differences(weights: Mapping[str, torch.Tensor], types: Mapping[str, str]) -> Iterator[str]:
    for name, tensor in weights.items():
        largest = float(tensor.abs().max())  # NaN wherever a weight is NaN
        if not math.isfinite(largest):
            yield f"{name} holds values that are not finite"
        if types[name] == "F16" and largest > F16_LARGEST:
            yield f"{name} holds {largest:.3g}, more than float16 can ({F16_LARGEST:.0f})"
        if types[name].startswith("Q") and tensor.shape[1] % BLOCK:
            yield f"rows of {name} have {tensor.shape[1]} weights, not a multiple of {BLOCK}"


def _tokenizer_differences(tokenizer: dict[str, Any], vocab_size: int) -> Iterator[str]:
    model = tokenizer["model"]
    if model["type"] != "BPE" or model.get("byte_fallback"):
        yield "its tokenizer is not a plain byte-level BPE"
    if pre_tokenizer_name(tokenizer) is None:
        known = ", ".join(PRE_TOKENIZERS)
        yield f"its tokenizer splits text in a way that llama.cpp has no name for (known here: {known})"
    if tokenizer["normalizer"] is not None:
        yield "its tokenizer changes the text before splitting, which llama.cpp does not"
    for added in tokenizer["added_tokens"]:
        for flag in ("lstrip", "rstrip", "single_word"):
            if added.get(flag):
                yield f"its token {added['content']!r} looks at the text around it ({flag}), which llama.cpp's do not"
    largest = max([*model["vocab"].values(), *(token["id"] for token in tokenizer["added_tokens"])])
    if largest >= vocab_size:
        yield f"its tokenizer has the id {largest}, and the model only {vocab_size} rows"
