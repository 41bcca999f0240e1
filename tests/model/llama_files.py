"""A tiny random Llama of transformers as a folder and as a GGUF file, written without our own loaders."""

from pathlib import Path
from typing import Any

import gguf
import numpy as np
import torch
from transformers import LlamaConfig, LlamaForCausalLM

from hornbook.tokenization.config import TokenizerConfig
from hornbook.tokenization.train import train_bpe, write_folder
from tests.model.tiny import TEXT

VOCAB = 320
_PARTS = {
    "input_layernorm": "attn_norm",
    "self_attn.q_proj": "attn_q",
    "self_attn.k_proj": "attn_k",
    "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output",
    "post_attention_layernorm": "ffn_norm",
    "mlp.gate_proj": "ffn_gate",
    "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down",
}


def tiny_llama(**changes: Any) -> LlamaForCausalLM:
    """2 layers, 64 wide, 4 heads that share 2 of keys and values, and weights large enough for clear preferences."""
    values: dict[str, Any] = {
        "vocab_size": VOCAB,
        "hidden_size": 64,
        "intermediate_size": 96,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "max_position_embeddings": 128,
        "tie_word_embeddings": False,
        "rms_norm_eps": 1e-5,
        "rope_parameters": {"rope_type": "default", "rope_theta": 50_000.0},
        "initializer_range": 0.3,
        "bos_token_id": 0,
        "eos_token_id": 0,
        "pad_token_id": 0,
    }
    torch.manual_seed(0)
    return LlamaForCausalLM(LlamaConfig(**(values | changes))).eval()


def write_llama_folder(folder: Path, model: LlamaForCausalLM) -> Path:
    """The model as transformers saves it, with a byte-level BPE beside it."""
    model.save_pretrained(folder)
    write_folder(train_bpe(iter([TEXT] * 2), TokenizerConfig(vocab_size=300)), folder)
    return folder


def write_llama_gguf(path: Path, model: LlamaForCausalLM, pre: str = "gpt-2", **changes: Any) -> Path:
    """The model in float32 as a GGUF file of architecture `llama`.

    `changes` are values by their whole key (`__` for `.`), and None leaves one out.
    """
    config = model.config
    tokenizer = train_bpe(iter([TEXT] * 2), TokenizerConfig(vocab_size=300))
    learnt = [tokenizer.id_to_token(row) for row in range(tokenizer.get_vocab_size())]
    tokens = learnt + [f"<unused_{row}>" for row in range(len(learnt), config.vocab_size)]
    unused = [int(gguf.TokenType.UNUSED)] * (config.vocab_size - len(learnt))
    values: dict[str, Any] = {
        "llama.block_count": config.num_hidden_layers,
        "llama.context_length": config.max_position_embeddings,
        "llama.embedding_length": config.hidden_size,
        "llama.feed_forward_length": config.intermediate_size,
        "llama.attention.head_count": config.num_attention_heads,
        "llama.attention.head_count_kv": config.num_key_value_heads,
        "llama.attention.layer_norm_rms_epsilon": config.rms_norm_eps,
        "llama.rope.freq_base": config.rope_parameters["rope_theta"],
        "llama.vocab_size": config.vocab_size,
        "tokenizer.ggml.model": "gpt2",
        "tokenizer.ggml.pre": pre,
        "tokenizer.ggml.tokens": tokens,
        "tokenizer.ggml.token_type": [int(gguf.TokenType.CONTROL)]
        + [int(gguf.TokenType.NORMAL)] * (len(learnt) - 1)
        + unused,
        "tokenizer.ggml.merges": [" ".join(pair) for pair in _merges(tokenizer)],
        "tokenizer.ggml.bos_token_id": 0,
        "tokenizer.ggml.eos_token_id": 0,
        "tokenizer.ggml.padding_token_id": 0,
        "tokenizer.ggml.add_bos_token": False,
    }
    values |= {key.replace("__", "."): value for key, value in changes.items()}
    writer = gguf.GGUFWriter(path, values.pop("general.architecture", "llama"))
    for key, value in values.items():
        if value is not None:
            _add(writer, key, value)
    for name, weight in gguf_weights(model).items():
        writer.add_tensor(name, weight)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def gguf_weights(model: LlamaForCausalLM) -> dict[str, np.ndarray]:
    """All weights under llama.cpp's names, the rows of queries and keys in its order: pairs side by side."""
    weights = {name: weight.numpy() for name, weight in model.state_dict().items()}
    result = {
        "token_embd.weight": weights["model.embed_tokens.weight"],
        "output_norm.weight": weights["model.norm.weight"],
    }
    if not model.config.tie_word_embeddings:
        result["output.weight"] = weights["lm_head.weight"]
    half = model.config.hidden_size // model.config.num_attention_heads // 2
    for layer in range(model.config.num_hidden_layers):
        for name, stored in _PARTS.items():
            weight = weights[f"model.layers.{layer}.{name}.weight"]
            if stored in ("attn_q", "attn_k"):
                order = np.arange(len(weight)).reshape(-1, 2, half).transpose(0, 2, 1).reshape(-1)
                weight = weight[order]
            result[f"blk.{layer}.{stored}.weight"] = np.ascontiguousarray(weight)
    return result


def expand(source: Path, target: Path) -> Path:
    """Write a GGUF file again with every tensor in float32."""
    reader = gguf.GGUFReader(source)
    values = {key: field.contents() for key, field in reader.fields.items() if not key.startswith("GGUF.")}
    writer = gguf.GGUFWriter(target, values.pop("general.architecture"))
    for key, value in values.items():
        field = reader.fields[key]
        if key != "general.file_type":
            writer.add_key_value(key, value, field.types[0], sub_type=field.types[-1] if field.types[1:] else None)
    for tensor in reader.tensors:
        writer.add_tensor(tensor.name, gguf.dequantize(tensor.data, tensor.tensor_type))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return target


def _merges(tokenizer: Any) -> list[list[str]]:
    import json

    return json.loads(tokenizer.to_str())["model"]["merges"]


def _add(writer: gguf.GGUFWriter, key: str, value: Any) -> None:
    adds = {bool: writer.add_bool, int: writer.add_uint32, float: writer.add_float32, str: writer.add_string}
    adds.get(type(value), writer.add_array)(key, value)
