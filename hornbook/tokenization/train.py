"""The tokenizer: a byte-level BPE trained on the same number of bytes of every arm, so that none is favoured.

The folder it writes is one that transformers loads with `AutoTokenizer`; its pre-tokenizer is the one of
GPT-2, which llama.cpp knows by the name `gpt-2`. Adding no token by itself, it leaves the start of a text to
whoever feeds a model.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.compute as pc
import pyarrow.parquet as pq
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

from hornbook.core.documents import atomic_write, seeded_order, shards
from hornbook.core.errors import HornbookError
from hornbook.core.progress import Progress
from hornbook.tokenization.config import TokenizerConfig

END_OF_TEXT = "<|endoftext|>"  # id 0; begins every text, ends it and pads it
_BATCH = 4096


def train_tokenizer_step(inputs: dict[str, Path], out: Path, config: TokenizerConfig) -> dict[str, Any]:
    """Train on the documents folders `inputs` (one per arm); write tokenizer.json and its companions to `out`.

    Raises HornbookError when an arm has no text. Counters: bytes read per arm, size of the vocabulary.
    """
    drawn = {arm: _Draw(folder, config.seed) for arm, folder in inputs.items()}
    for arm, draw in drawn.items():
        if not draw.total_bytes:
            raise HornbookError(
                f"The arm {arm} has no text to train a tokenizer on.", "Lower its thresholds, or add sources."
            )
    # The smallest arm sets the share: equal shares matter more than many bytes.
    share = min(config.max_bytes // len(drawn), *(draw.total_bytes for draw in drawn.values()))
    chosen = {arm: draw.rows(share) for arm, draw in drawn.items()}
    arm_bytes = {arm: int(draw.sizes[chosen[arm]].sum()) for arm, draw in drawn.items()}

    with Progress("tokenizer", sum(arm_bytes.values())) as bar:

        def texts() -> Iterator[str]:
            for arm, draw in drawn.items():
                for text in draw.texts(chosen[arm]):
                    bar.advance(len(text))
                    yield text

        tokenizer = train_bpe(texts(), config)
    write_folder(tokenizer, out)
    return {
        "vocab_size": tokenizer.get_vocab_size(),
        "bytes_in": sum(arm_bytes.values()),
        "arm_bytes": arm_bytes,
        "rows_in": sum(int(rows.sum()) for rows in chosen.values()),
    }


def train_bpe(texts: Iterator[str], config: TokenizerConfig) -> Tokenizer:
    """A byte-level BPE of at most `config.vocab_size` tokens; it depends on the texts, not on their order."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=config.vocab_size,
        min_frequency=config.min_frequency,
        special_tokens=[END_OF_TEXT],
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    return tokenizer


def write_folder(tokenizer: Tokenizer, out: Path) -> None:
    """Write the files by which transformers knows a tokenizer."""
    names = {"bos_token": END_OF_TEXT, "eos_token": END_OF_TEXT, "pad_token": END_OF_TEXT}
    settings = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "add_prefix_space": False,
        "clean_up_tokenization_spaces": False,
        **names,
    }
    out.mkdir(parents=True, exist_ok=True)
    atomic_write(out / "tokenizer.json", tokenizer.to_str(pretty=True))
    atomic_write(out / "tokenizer_config.json", json.dumps(settings, indent=1))
    atomic_write(out / "special_tokens_map.json", json.dumps(names, indent=1))


class _Draw:
    """A seeded sample of a documents folder: which of its rows make up a number of bytes."""

    def __init__(self, folder: Path, seed: int) -> None:
        self.folder = folder
        sizes, orders = [np.empty(0, np.int64)], [np.empty(0, np.uint64)]
        for path in shards(folder):
            for batch in pq.ParquetFile(path).iter_batches(_BATCH, columns=["id", "text"]):
                sizes.append(pc.binary_length(batch["text"]).to_numpy(zero_copy_only=False).astype(np.int64))
                orders.append(seeded_order(batch["id"], seed))
        self.sizes, self.orders = np.concatenate(sizes), np.concatenate(orders)
        self.total_bytes = int(self.sizes.sum())

    def rows(self, limit: int) -> np.ndarray:
        """Mask of the first rows in seeded order that together reach `limit` bytes."""
        order = np.argsort(self.orders, kind="stable")
        before = np.cumsum(self.sizes[order]) - self.sizes[order]
        mask = np.zeros(len(order), bool)
        mask[order[before < limit]] = True
        return mask

    def texts(self, mask: np.ndarray) -> Iterator[str]:
        """The texts of the masked rows, in the order of the shards."""
        start = 0
        for path in shards(self.folder):
            for batch in pq.ParquetFile(path).iter_batches(_BATCH, columns=["text"]):
                rows = np.flatnonzero(mask[start : start + len(batch)])
                start += len(batch)
                yield from batch["text"].take(rows).to_pylist()
