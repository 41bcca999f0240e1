"""A tokenizer trained on a few modules of the standard library."""

from pathlib import Path

import pytest

from hornbook.tokenization.config import TokenizerConfig
from hornbook.tokenization.train import train_tokenizer_step
from tests.tokenization.documents import passages, write_documents


@pytest.fixture(scope="session")
def tokenizer_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("tokenizer")
    documents = write_documents(root / "documents", [text for _, text in passages()])
    train_tokenizer_step({"arm": documents}, root / "tokenizer", TokenizerConfig(vocab_size=1024))
    return root / "tokenizer"
