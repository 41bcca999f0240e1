"""Hugging Face folder -> GGUF, the file that llama.cpp runs.

Follows what llama.cpp reads for its architecture `phi3`: fused `attn_qkv`, the fused gate and up projections
under the name `ffn_up`, RMSNorm, rotary embeddings over the first `rope.dimension_count` channels of a head,
`output` left out when it is tied to `token_embd`. A file cannot say everything that llama.cpp computes, so a
model or tokenizer that it would run differently is refused with the reason: a wrong file that loads is worse
than none.
"""

import json
import math
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

import gguf
import torch

from hornbook.core.errors import HornbookError
from hornbook.model import huggingface
from hornbook.model.config import ModelConfig
from hornbook.model.text import load_tokenizer

FileType = Literal["F32", "F16", "Q8_0"]
_FILE_TYPES = {
    "F32": gguf.LlamaFileType.ALL_F32,
    "F16": gguf.LlamaFileType.MOSTLY_F16,
    "Q8_0": gguf.LlamaFileType.MOSTLY_Q8_0,
}
Q8_BLOCK = 32
F16_LARGEST = 65504.0
_NAMES = {
    "model.embed_tokens": "token_embd",
    "model.norm": "output_norm",
    "lm_head": "output",
    "input_layernorm": "attn_norm",
    "self_attn.qkv_proj": "attn_qkv",
    "self_attn.q_proj": "attn_q",  # this and the next two, gate and up: in files of architecture `llama`
    "self_attn.k_proj": "attn_k",
    "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output",
    "post_attention_layernorm": "ffn_norm",
    "mlp.gate_up_proj": "ffn_up",
    "mlp.gate_proj": "ffn_gate",
    "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down",
}
_PHI3 = ("sequential", "rms", "swiglu", "fused", False)  # the blocks that llama.cpp runs under this name
# Ways of splitting text as tokenizer.json describes them, by the name that llama.cpp has for the same split.
_PRE_TOKENIZERS = {"gpt-2": {"type": "ByteLevel", "add_prefix_space": False, "use_regex": True}}


def export(folder: Path, path: Path, file_type: FileType) -> None:
    """Write the model and tokenizer of a Hugging Face folder as one GGUF file; it appears only when whole.

    Matrices are stored as `file_type` (Q8_0: 32 weights in 8 bits each share a float16 scale), norms as F32.
    Raises HornbookError with the reason when llama.cpp would compute something else than our decoder.
    """
    folder, path = Path(folder), Path(path)
    model = huggingface.load(folder)
    tokenizer = json.loads(load_tokenizer(folder).to_str())
    weights = {name: tensor.float() for name, tensor in model.state_dict().items()}
    if model.config.tie_word_embeddings:
        weights.pop("lm_head.weight", None)
    for reason in _differences(model.config, weights, tokenizer, file_type):
        raise HornbookError(f"{folder} cannot become a {file_type} GGUF file: {reason}.")

    temporary = path.with_name(f".{path.name}.tmp")
    writer = gguf.GGUFWriter(temporary, "phi3")
    try:
        _add_model_keys(writer, model.config, path.stem, file_type)
        _add_tokenizer_keys(writer, model.config, tokenizer)
        for name, tensor in weights.items():
            kind = gguf.GGMLQuantizationType[file_type if tensor.ndim == 2 else "F32"]
            writer.add_tensor(tensor_name(name), gguf.quantize(tensor.numpy(), kind), raw_dtype=kind)
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_tensors_to_file()
        writer.close()
        os.replace(temporary, path)
    finally:
        writer.close()
        temporary.unlink(missing_ok=True)


def tensor_name(name: str) -> str:
    """The GGUF name of a parameter: `model.layers.3.mlp.down_proj.weight` is `blk.3.ffn_down.weight`."""
    stem, _, suffix = name.rpartition(".")
    if stem.startswith("model.layers."):
        layer, _, part = stem.removeprefix("model.layers.").partition(".")
        return f"blk.{layer}.{_NAMES[part]}.{suffix}"
    return f"{_NAMES[stem]}.{suffix}"


def _add_model_keys(writer: gguf.GGUFWriter, config: ModelConfig, name: str, file_type: FileType) -> None:
    writer.add_type("model")
    writer.add_name(name)
    writer.add_file_type(_FILE_TYPES[file_type])
    writer.add_quantization_version(gguf.GGML_QUANT_VERSION)
    writer.add_context_length(config.max_position_embeddings)
    writer.add_embedding_length(config.hidden_size)
    writer.add_feed_forward_length(config.intermediate_size)
    writer.add_block_count(config.num_hidden_layers)
    writer.add_head_count(config.num_attention_heads)
    writer.add_head_count_kv(config.num_key_value_heads)
    writer.add_layer_norm_rms_eps(config.rms_norm_eps)
    writer.add_rope_dimension_count(config.rotary_dim)
    writer.add_rope_freq_base(config.rope_theta)
    writer.add_rope_scaling_orig_ctx_len(config.max_position_embeddings)
    writer.add_sliding_window(0)  # none; llama.cpp ignores the window of a phi3 file in any case
    writer.add_vocab_size(config.vocab_size)


def _add_tokenizer_keys(writer: gguf.GGUFWriter, config: ModelConfig, tokenizer: dict[str, Any]) -> None:
    tokens, types = _tokens(tokenizer, config.vocab_size)
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre(_pre_tokenizer(tokenizer))
    writer.add_token_list(tokens)
    writer.add_token_types(types)
    writer.add_token_merges([" ".join(pair) for pair in tokenizer["model"]["merges"]])
    for add, token in (
        (writer.add_bos_token_id, config.bos_token_id),
        (writer.add_eos_token_id, config.eos_token_id),
        (writer.add_pad_token_id, config.pad_token_id),
    ):
        if token is not None:
            add(token)
    writer.add_add_bos_token(False)


def _tokens(tokenizer: dict[str, Any], vocab_size: int) -> tuple[list[str], list[gguf.TokenType]]:
    """Text and type of every row of the embedding; rows without a token are marked unused."""
    tokens = [f"<unused_{row}>" for row in range(vocab_size)]
    types = [gguf.TokenType.UNUSED] * vocab_size
    for token, row in tokenizer["model"]["vocab"].items():
        tokens[row], types[row] = token, gguf.TokenType.NORMAL
    for added in tokenizer["added_tokens"]:
        kind = gguf.TokenType.CONTROL if added["special"] else gguf.TokenType.USER_DEFINED
        tokens[added["id"]], types[added["id"]] = added["content"], kind
    return tokens, types


def _pre_tokenizer(tokenizer: dict[str, Any]) -> str:
    """llama.cpp's name for the way this tokenizer splits text, or "" when it has none."""
    described = {key: value for key, value in (tokenizer["pre_tokenizer"] or {}).items() if key != "trim_offsets"}
    return next((name for name, known in _PRE_TOKENIZERS.items() if known == described), "")


def _differences(
    config: ModelConfig, weights: dict[str, torch.Tensor], tokenizer: dict[str, Any], file_type: FileType
) -> Iterator[str]:
    """Reasons why llama.cpp would not compute what our decoder and tokenizer compute."""
    if (config.block, config.norm, config.mlp, config.projections, config.bias) != _PHI3:
        yield "only sequential blocks as in Phi-3 can be written"
    if config.head_dim * config.num_attention_heads != config.hidden_size:
        yield f"its {config.num_attention_heads} heads of {config.head_dim} do not fill the width {config.hidden_size}"
    if config.rope_scaling is not None:
        yield "llama.cpp chooses the factors of LongRoPE by the room it is given, not by the length of the text"
    if config.sliding_window is not None and config.sliding_window < config.max_position_embeddings:
        yield (
            f"llama.cpp ignores the sliding window of {config.sliding_window} positions, "
            f"which is shorter than the context of {config.max_position_embeddings}"
        )
    yield from _weight_differences(weights, file_type)
    yield from _tokenizer_differences(tokenizer, config.vocab_size)


def _weight_differences(weights: dict[str, torch.Tensor], file_type: FileType) -> Iterator[str]:
    for name, tensor in weights.items():
        largest = float(tensor.abs().max())  # NaN wherever a weight is NaN
        if not math.isfinite(largest):
            yield f"{name} holds values that are not finite"
        if tensor.ndim == 2 and file_type == "F16" and largest > F16_LARGEST:
            yield f"{name} holds {largest:.3g}, more than float16 can ({F16_LARGEST:.0f})"
        if tensor.ndim == 2 and file_type == "Q8_0" and tensor.shape[1] % Q8_BLOCK:
            yield f"rows of {name} have {tensor.shape[1]} weights, not a multiple of {Q8_BLOCK}"


def _tokenizer_differences(tokenizer: dict[str, Any], vocab_size: int) -> Iterator[str]:
    model = tokenizer["model"]
    if model["type"] != "BPE" or model.get("byte_fallback") or model.get("ignore_merges"):
        yield "its tokenizer is not a plain byte-level BPE"
    if not _pre_tokenizer(tokenizer):
        known = ", ".join(_PRE_TOKENIZERS)
        yield f"its tokenizer splits text in a way that llama.cpp has no name for (known here: {known})"
    if tokenizer["normalizer"] is not None:
        yield "its tokenizer changes the text before splitting, which llama.cpp does not"
    largest = max([*model["vocab"].values(), *(token["id"] for token in tokenizer["added_tokens"])])
    if largest >= vocab_size:
        yield f"its tokenizer has the id {largest}, and the model only {vocab_size} rows"
