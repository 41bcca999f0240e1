"""GGUF file -> decoder and tokenizer: what llama.cpp runs, in plain torch and float32.

Reads the architectures `llama`, `phi2` and `phi3`. Formats that one weight shares with its
neighbours (Q4_1, Q8_0, ...) are expanded. Whatever else a file says about the computation must be known here, or
the file is refused: a value that is passed over makes a model that loads and computes something else.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer

from hornbook.model import llama_layout
from hornbook.model.config import LongRope, ModelConfig
from hornbook.model.config_json import checked_config
from hornbook.model.decoder import Decoder
from hornbook.model.gguf_header import GGUFFile, shortest
from hornbook.model.gguf_names import LONG_FACTORS, NORM_EPS, SHORT_FACTORS, SWITCHES, tensor_name
from hornbook.model.gguf_tokenizer import read_tokenizer
from hornbook.model.rope import attention_factor

ARCHITECTURES = ("llama", *SWITCHES)
_NORM_EPS = {"llama": "attention.layer_norm_rms_epsilon", **NORM_EPS}
# All that a file may say about its architecture: what is read, and what must say that it changes nothing.
_READ = (
    "block_count context_length embedding_length feed_forward_length vocab_size attention.head_count "
    "attention.head_count_kv attention.key_length attention.value_length rope.dimension_count rope.freq_base"
).split()
_READ_OF_PHI = ("attention.sliding_window",)
_READ_OF_LONGROPE = ("rope.scaling.type", "rope.scaling.original_context_length", "rope.scaling.attn_factor")
_WITHOUT_EFFECT = {
    "rope.scaling.type": ("none",),
    "rope.scaling.factor": (1.0,),
    "rope.scaling.attn_factor": (1.0,),
    "rope.scale_linear": (1.0,),
    "rope.scaling.original_context_length": None,  # without a scaling, any
    "rope.scaling.finetuned": None,
    "attention.sliding_window": (0,),
    "expert_count": (0,),
    "expert_used_count": (0,),
}


@dataclass(frozen=True)
class GGUFModel:
    """The content of a file: `weights` are in float32, under the names of our decoder."""

    config: ModelConfig
    weights: dict[str, torch.Tensor]
    tokenizer: Tokenizer


def load(path: Path) -> tuple[Decoder, Tokenizer]:
    """The decoder of a GGUF file, ready to evaluate, and its tokenizer. Raises HornbookError as `read` does."""
    model = read(path)
    return llama_layout.build(model.config, model.weights), model.tokenizer


def read(path: Path) -> GGUFModel:
    """Read a GGUF file.

    Raises HornbookError, naming file and field, when it is damaged or incomplete, contradicts itself, or describes
    what our decoder or tokenizer does not compute.
    """
    file = GGUFFile(path)
    architecture = file.text("general.architecture")
    if architecture not in ARCHITECTURES:
        raise file.refuse(
            f"general.architecture is {architecture!r}, and only {' and '.join(ARCHITECTURES)} are known",
            "Use a model of one of these.",
        )
    config = _config(file, architecture)
    shapes = llama_layout.shapes(config) if architecture == "llama" else _phi_shapes(config)
    factors = dict.fromkeys((SHORT_FACTORS, LONG_FACTORS), (config.rotary_dim // 2,)) if config.rope_scaling else {}
    _check_tensors(file, {tensor_name(name): shape for name, shape in shapes.items()} | factors)
    tokenizer = read_tokenizer(file)
    weights = {name: file.weight(tensor_name(name)) for name in shapes}
    if architecture == "llama":
        for name in shapes:
            if name.endswith(("q_proj.weight", "k_proj.weight")):
                weights[name] = half_split(weights[name], config.head_dim)
        weights = llama_layout.fuse(config, weights)
    return GGUFModel(config, weights, tokenizer)


def half_split(weight: torch.Tensor, head_dim: int) -> torch.Tensor:
    """Rows of queries or keys from llama.cpp's order of a `llama` file into ours.

    Rotary embeddings turn pairs of channels. llama.cpp stores a pair side by side (0 1, 2 3, ...), we store first
    halves before second halves, as Hugging Face does (0 n/2, 1 n/2+1, ...; Su et al. 2021, section 3.4.2).
    """
    pairs = weight.unflatten(0, (-1, head_dim // 2, 2))
    return pairs.transpose(1, 2).reshape(weight.shape)


def _config(file: GGUFFile, architecture: str) -> ModelConfig:
    def key(name: str) -> str:
        return f"{architecture}.{name}"

    read = {*_READ, _NORM_EPS[architecture], *(_READ_OF_PHI if architecture in SWITCHES else ())}
    is_stretched = architecture == "phi3" and LONG_FACTORS in file.tensors
    read |= {*_READ_OF_LONGROPE} if is_stretched else set()
    for name in file.keys:
        if name.startswith(f"{architecture}.") and name.removeprefix(f"{architecture}.") not in read:
            _check_effect(file, name, name.removeprefix(f"{architecture}."))
    if "token_embd.weight" not in file.tensors:
        raise file.refuse("the tensor token_embd.weight is missing")
    layers = file.integer(key("block_count"))
    if layers > len(file.tensors):  # before anything is made for every layer
        raise file.refuse(f"{key('block_count')} is {layers}, and it has {len(file.tensors)} tensors")
    width, heads = file.integer(key("embedding_length")), file.integer(key("attention.head_count"))
    if heads < 1 or width < heads or width % heads:
        raise file.refuse(f"{key('attention.head_count')} is {heads}, which does not divide embedding_length, {width}")
    head_dim = width // heads
    for name in ("attention.key_length", "attention.value_length"):
        if (length := file.integer(key(name), head_dim)) != head_dim:
            raise file.refuse(f"{key(name)} is {length}, and embedding_length / head_count is {head_dim}")
    rotary = file.integer(key("rope.dimension_count"), head_dim)
    if architecture == "llama" and rotary != head_dim:
        raise file.refuse(
            f"{key('rope.dimension_count')} is {rotary}, only a part of the {head_dim} channels of a head"
        )
    special: dict[str, Any] = {}
    for name, stored in (("bos_token_id", "bos"), ("eos_token_id", "eos"), ("pad_token_id", "padding")):
        field = f"tokenizer.ggml.{stored}_token_id"
        if file.has(field) or name == "eos_token_id":
            special[name] = file.integer(field)
            if not 0 <= special[name] < file.shape("token_embd.weight")[0]:
                raise file.refuse(f"{field} is {special[name]}, which is no row of token_embd.weight")
    context = file.integer(key("context_length"))
    values: dict[str, Any] = {
        **SWITCHES.get(architecture, {}),
        **special,
        "vocab_size": file.integer(key("vocab_size"), file.shape("token_embd.weight")[0]),
        "hidden_size": width,
        "intermediate_size": file.integer(key("feed_forward_length")),
        "num_hidden_layers": layers,
        "num_attention_heads": heads,
        "num_key_value_heads": file.integer(key("attention.head_count_kv"), heads),
        "max_position_embeddings": context,
        "tie_word_embeddings": "output.weight" not in file.tensors,
        "layer_norm_eps" if architecture == "phi2" else "rms_norm_eps": file.number(key(_NORM_EPS[architecture])),
        "rope_theta": file.number(key("rope.freq_base"), 10_000.0),
        "partial_rotary_factor": rotary / head_dim,
    }
    if architecture in SWITCHES:
        values["sliding_window"] = file.integer(key("attention.sliding_window"), 0) or None
    if is_stretched:
        values["rope_scaling"] = _long_rope(file, architecture, context)
    return checked_config(values, file.path)


def _long_rope(file: GGUFFile, architecture: str, context: int) -> LongRope:
    """LongRoPE from the two lists of factors; the attention factor is left out where it follows from the lengths."""
    original = file.integer(f"{architecture}.rope.scaling.original_context_length", context)
    attention = file.number(f"{architecture}.rope.scaling.attn_factor", 1.0)
    formula = attention_factor(original, context / original) if 1 < original <= context else None
    if SHORT_FACTORS not in file.tensors:
        raise file.refuse(f"the tensor {SHORT_FACTORS} is missing")
    short, long = (
        tuple(shortest(number) for number in file.weight(name).tolist()) for name in (SHORT_FACTORS, LONG_FACTORS)
    )
    is_formula = formula is not None and abs(attention - formula) < 1e-6
    return LongRope(original, short, long, None if is_formula else attention)


def _check_effect(file: GGUFFile, key: str, name: str) -> None:
    """Raise HornbookError for a value that may change the computation in a way that is not known here."""
    if name not in _WITHOUT_EFFECT:
        raise file.refuse(f"{key} is not known here, and may change what the model computes")
    allowed = _WITHOUT_EFFECT[name]
    if allowed is not None and (value := file.value(key)) not in allowed:
        raise file.refuse(f"{key} is {value!r}, which our decoder does not compute")


def _phi_shapes(config: ModelConfig) -> dict[str, tuple[int, ...]]:
    with torch.device("meta"):
        return {name: tuple(weight.shape) for name, weight in Decoder(config).named_parameters()}


def _check_tensors(file: GGUFFile, wanted: dict[str, tuple[int, ...]]) -> None:
    """Raise HornbookError unless the file has these tensors, all of them, in these shapes, and no other."""
    for name in sorted(wanted.keys() | file.tensors.keys()):
        if name not in file.tensors:
            raise file.refuse(f"the tensor {name} is missing")
        if name not in wanted:
            raise file.refuse(f"it has a tensor {name}, which our decoder has no place for")
        if file.shape(name) != wanted[name]:
            raise file.refuse(f"the tensor {name} has the shape {file.shape(name)}, and its header says {wanted[name]}")
