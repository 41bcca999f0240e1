"""Small token stores, a tokenizer for them and the machine's choices, for the tests of training."""

import json
from pathlib import Path

import numpy as np
from tokenizers import Tokenizer

from hornbook.core.documents import document_id
from hornbook.tokenization.config import TokenizerConfig
from hornbook.tokenization.shards import StoreWriter
from hornbook.tokenization.train import train_bpe, write_folder
from hornbook.training.config import ModelShape, TrainConfig

SHAPE = ModelShape(
    hidden_size=32,
    num_hidden_layers=2,
    num_attention_heads=2,
    num_key_value_heads=2,
    intermediate_size=64,
    max_position_embeddings=64,
)
TEXTS = tuple(
    f"def task_{i}(values):\n    total = {i}\n    for value in values:\n        total += value * {i % 7}\n"
    f"    return total\n"
    for i in range(60)
)


def config(**changes: object) -> TrainConfig:
    """A training of seconds: batches of 128 tokens, budgets of 20 and 40 batches."""
    small = {
        "model": SHAPE,
        "budgets": (2560, 5120),
        "context": 32,
        "batch_tokens": 128,
        "warmup_tokens": 512,
        "decay_share": 0.25,
    }
    return TrainConfig(**{**small, **changes})


def write_inputs(folder: Path, lessons: bool = False, threads: int = 1) -> dict[str, Path]:
    """The inputs of `train_arm_step` below `folder`."""
    inputs = {name: folder / name for name in ("tokens", "tokenizer", "probe")}
    tokenizer = train_bpe(iter(TEXTS), TokenizerConfig(vocab_size=320))
    write_folder(tokenizer, inputs["tokenizer"])
    write_store(inputs["tokens"] / "corpus", tokenizer, TEXTS)
    if lessons:
        write_store(inputs["tokens"] / "lessons", tokenizer, [f"# lesson {i}\nprint({i})\n" for i in range(25)])
    write_choices(inputs["probe"], threads)
    return inputs


def write_choices(folder: Path, threads: int = 1) -> None:
    """What the probe would have written."""
    folder.mkdir()
    choices = {"threads": threads, "compile": False, "dtype": "float32", "device": "cpu"}
    (folder / "choices.json").write_text(json.dumps(choices))


def write_store(folder: Path, tokenizer: Tokenizer, texts: tuple[str, ...] | list[str], name: str = "test") -> None:
    """A store of `texts`; another `name` gives other ids, hence another shuffle."""
    with StoreWriter(folder, tokenizer.get_vocab_size(), 0, "test") as writer:
        for i, text in enumerate(texts):
            ids = np.array(tokenizer.encode(text).ids)
            lengths, size = np.array([len(ids)]), len(text.encode())
            writer.append([document_id(folder.name, name, i)], ids, lengths, size)
