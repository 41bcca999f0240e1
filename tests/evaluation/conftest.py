"""A small random model with a tokenizer, as the Hugging Face folder that training leaves behind."""

import shutil
from pathlib import Path

import pytest

from hornbook.model import huggingface
from hornbook.model.config import ModelConfig
from hornbook.model.decoder import Decoder
from hornbook.tokenization.config import TokenizerConfig
from hornbook.tokenization.train import train_tokenizer_step
from tests.tokenization.documents import passages, write_documents

CONTEXT = 48


@pytest.fixture(scope="session")
def model_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("model")
    documents = write_documents(root / "documents", [text for _, text in passages(("heapq", "textwrap"))])
    train_tokenizer_step({"arm": documents}, root / "tokenizer", TokenizerConfig(vocab_size=512))
    config = ModelConfig(
        vocab_size=512,
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=2,
        max_position_embeddings=CONTEXT,
        initializer_range=0.5,  # far from uniform, so that a wrong target would show
        bos_token_id=0,
        eos_token_id=0,
        pad_token_id=0,
    )
    huggingface.save(Decoder(config).init_weights(1, zero_outputs=False), root / "model")
    for file in (root / "tokenizer").iterdir():
        shutil.copyfile(file, root / "model" / file.name)
    return root / "model"
