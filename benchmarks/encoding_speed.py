"""How fast text becomes tokens: gigatoken against `encode_batch_fast` of tokenizers, with the recipe's tokenizer."""

import statistics
import sysconfig
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from record import record

from hornbook.tokenization.config import TokenizerConfig
from hornbook.tokenization.encode import gigatoken_encoder, open_tokenizer
from hornbook.tokenization.train import train_bpe, write_folder

PASSAGE_CHARS = 2000
TRAINING_SHARE = 4  # the tokenizer is trained on every fourth passage, the others are new to it
ROUNDS = 5


def standard_library() -> list[str]:
    """The Python standard library with its tests, in passages as long as those of the recipe."""
    passages = []
    root = Path(sysconfig.get_paths()["stdlib"])
    for path in sorted(root.rglob("*.py")):
        if "site-packages" in path.parts:
            continue
        try:
            text = path.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue
        passages += [text[i : i + PASSAGE_CHARS] for i in range(0, len(text), PASSAGE_CHARS)]
    return passages


def timed(function: Callable[..., Any], *args: Any, **options: Any) -> tuple[float, Any]:
    """Seconds that a call took, and what it gave."""
    started = time.perf_counter()
    result = function(*args, **options)
    return time.perf_counter() - started, result


def main() -> None:
    passages = standard_library()
    size = sum(len(text.encode()) for text in passages) / 1e6
    fast, slow, ratios = [], [], []
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        write_folder(train_bpe(iter(passages[::TRAINING_SHARE]), TokenizerConfig()), folder)
        tokenizer = open_tokenizer(folder)
        for _ in range(ROUNDS):
            encode = gigatoken_encoder(folder)  # a fresh one: it remembers the words it has seen
            fast_seconds, (ids, lengths) = timed(encode, passages)
            slow_seconds, rows = timed(tokenizer.encode_batch_fast, passages, add_special_tokens=False)
            assert lengths.tolist() == [len(row.ids) for row in rows], "the ids differ"
            assert np.array_equal(ids, np.concatenate([row.ids for row in rows])), "the ids differ"
            fast.append(size / fast_seconds)
            slow.append(size / slow_seconds)
            ratios.append(slow_seconds / fast_seconds)
    record(
        "Encoding",
        f"""
{size:.1f} MB of the standard library in {len(passages):,} passages, vocabulary {tokenizer.get_vocab_size():,};
medians of {ROUNDS} alternating rounds, all cores, a fresh gigatoken in each round, arrays of ids included on its
side only. Ids equal: all {len(ids):,}.

| | MB/s |
|---|---:|
| gigatoken | {statistics.median(fast):.1f} |
| tokenizers `encode_batch_fast` | {statistics.median(slow):.2f} |
| ratio | {statistics.median(ratios):.1f}x ({min(ratios):.1f} to {max(ratios):.1f}) |
""",
    )


if __name__ == "__main__":
    main()
