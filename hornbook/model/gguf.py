"""Any model that our decoder opens -> GGUF, the file that llama.cpp runs.

Follows what llama.cpp reads for its architectures `phi2` and `phi3` (see gguf_names.py). A file cannot say everything
that llama.cpp computes, so a model or tokenizer that it would run differently is refused with the reason: a wrong
file that loads is worse than none.
"""

import json
import os
import re
from collections.abc import Sequence
from itertools import chain
from pathlib import Path
from typing import Any, Literal, get_args

import gguf
import torch
from tokenizers import Tokenizer

from hornbook.core.errors import HornbookError
from hornbook.model.config import ModelConfig
from hornbook.model.gguf_limits import END_KEYS, differences, limits, visible_context
from hornbook.model.gguf_names import LONG_FACTORS, NORM_EPS, SHORT_FACTORS, architecture, tensor_name
from hornbook.model.load import chat_template, eos_token_ids, load_any
from hornbook.model.pre_tokenizers import pre_tokenizer_name
from hornbook.model.rope import Rope
from hornbook.model.text import encode_prompt, start_id

FileType = Literal["F32", "F16", "BF16", "Q8_0", "Q4_0", "Q4_1"]
FILE_TYPES: tuple[FileType, ...] = get_args(FileType)
_FOUR_BITS = ("Q4_0", "Q4_1")


def export(source: Path, path: Path, file_type: FileType) -> list[str]:
    """Write the model and tokenizer of a folder or GGUF file as one GGUF file; it appears only when whole.

    Matrices are stored as `file_type`, norms, biases and factors as F32. In Q8_0 32 weights share a float16 scale, in
    Q4_0 too, and in Q4_1 also an offset; beside 4-bit matrices embedding and head have 8 bits, because every error of
    theirs is an error of the answer. Returns sentences about where llama.cpp computes the same only under conditions,
    to be shown to the user. Raises HornbookError with the reason where it would compute something else.
    """
    source, path = Path(source), Path(path)
    model, tokenizer = load_any(source)
    config, described, ends = model.config, json.loads(tokenizer.to_str()), eos_token_ids(source)
    weights = dict(model.state_dict())
    del model  # each weight is given up when it is in its new type
    types = {name: _type(name, tensor, file_type) for name, tensor in weights.items()}
    for reason in chain(differences(config, weights, types, described), _start_differences(config, tokenizer)):
        raise HornbookError(
            f"{source} cannot become a {file_type} GGUF file: {reason}.",
            "Run it with Hornbook or transformers, or take another type if the numbers are the reason.",
        )

    temporary = path.with_name(f".{path.name}.tmp")
    writer = gguf.GGUFWriter(temporary, str(architecture(config)))
    try:
        _add_model_keys(writer, config, _name(path.stem), file_type)
        _add_tokenizer_keys(writer, config, tokenizer, described, ends)
        if (template := chat_template(source)) is not None:
            writer.add_chat_template(template)
        if config.rope_scaling:
            for name, factors in (
                (SHORT_FACTORS, config.rope_scaling.short_factor),
                (LONG_FACTORS, config.rope_scaling.long_factor),
            ):
                writer.add_tensor(name, torch.tensor(factors, dtype=torch.float32).numpy())
        for name in list(weights):
            kind = gguf.GGMLQuantizationType[types[name]]
            writer.add_tensor(tensor_name(name), gguf.quantize(weights.pop(name).numpy(), kind), raw_dtype=kind)
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_tensors_to_file()
        writer.close()
        os.replace(temporary, path)
    finally:
        writer.close()
        temporary.unlink(missing_ok=True)
    return list(limits(config, described, len(ends)))


def _type(name: str, tensor: torch.Tensor, file_type: FileType) -> str:
    """The number type in which a weight is stored."""
    if tensor.ndim == 1:
        return "F32"
    is_vocabulary = name in ("model.embed_tokens.weight", "lm_head.weight")
    return "Q8_0" if is_vocabulary and file_type in _FOUR_BITS else file_type


def _name(stem: str) -> str:
    """A name for the model. Under one with "phi-3" or "phi3" in it llama.cpp drops spaces after special tokens."""
    return re.sub("(phi)-?(3)", r"\1 \2", stem, flags=re.IGNORECASE)


def _add_model_keys(writer: gguf.GGUFWriter, config: ModelConfig, name: str, file_type: FileType) -> None:
    writer.add_type("model")
    writer.add_name(name)
    writer.add_file_type(gguf.LlamaFileType[f"{'ALL' if file_type == 'F32' else 'MOSTLY'}_{file_type}"])
    writer.add_quantization_version(gguf.GGML_QUANT_VERSION)
    writer.add_context_length(visible_context(config))
    writer.add_embedding_length(config.hidden_size)
    writer.add_feed_forward_length(config.intermediate_size)
    writer.add_block_count(config.num_hidden_layers)
    writer.add_head_count(config.num_attention_heads)
    writer.add_head_count_kv(config.num_key_value_heads)
    eps = config.layer_norm_eps if config.norm == "layer" else config.rms_norm_eps
    writer.add_float32(f"{writer.arch}.{NORM_EPS[writer.arch]}", eps)
    writer.add_rope_dimension_count(config.rotary_dim)
    writer.add_rope_freq_base(config.rope_theta)
    writer.add_sliding_window(config.sliding_window or 0)  # 0: none; llama.cpp ignores it in any case
    writer.add_vocab_size(config.vocab_size)
    if scaling := config.rope_scaling:
        writer.add_rope_scaling_type(gguf.RopeScalingType.LONGROPE)
        writer.add_rope_scaling_orig_ctx_len(scaling.original_max_position_embeddings)
        writer.add_rope_scaling_attn_factors(Rope.of(config).attention_factor)


def _add_tokenizer_keys(
    writer: gguf.GGUFWriter,
    config: ModelConfig,
    tokenizer: Tokenizer,
    described: dict[str, Any],
    ends: Sequence[int],
) -> None:
    tokens, types = _tokens(described, config.vocab_size)
    starts = _starts(config, tokenizer)
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre(str(pre_tokenizer_name(described)))
    writer.add_token_list(tokens)
    writer.add_token_types(types)
    writer.add_token_merges([" ".join(pair) for pair in described["model"]["merges"]])
    writer.add_add_bos_token(starts)
    special = {"bos": start_id(config) if starts else config.bos_token_id, "padding": config.pad_token_id}
    special |= dict(zip(END_KEYS, ends or (config.eos_token_id,), strict=False))
    for name, token in special.items():
        if token is not None:
            writer.add_uint32(f"tokenizer.ggml.{name}_token_id", token)


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


def _starts(config: ModelConfig, tokenizer: Tokenizer) -> bool:
    """Whether our decoder reads every text after its start token."""
    return encode_prompt(config, tokenizer, "a") != tokenizer.encode("a", add_special_tokens=False).ids


def _start_differences(config: ModelConfig, tokenizer: Tokenizer) -> list[str]:
    """llama.cpp can put one token before a text."""
    text = tokenizer.encode("a", add_special_tokens=False).ids
    if encode_prompt(config, tokenizer, "a") in (text, [start_id(config), *text]):
        return []
    return ["its tokenizer puts other tokens around a text than the one that starts it"]
