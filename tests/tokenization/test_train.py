"""The tokenizer: the same for the same documents, fair to all arms, readable by transformers."""

import json
import subprocess
import sys

import pytest

from hornbook.core.errors import HornbookError
from hornbook.tokenization.config import TokenizerConfig
from hornbook.tokenization.encode import HARD_TEXTS, open_tokenizer
from hornbook.tokenization.train import END_OF_TEXT, train_tokenizer_step
from tests.tokenization.documents import passages, write_documents

CONFIG = TokenizerConfig(vocab_size=600)


def test_every_arm_gives_the_same_number_of_bytes(tmp_path):
    texts = [text for _, text in passages()]
    arms = {
        "large": write_documents(tmp_path / "large", texts),
        "small": write_documents(tmp_path / "small", texts[:30]),
        "tiny": write_documents(tmp_path / "tiny", texts[40:60]),
    }
    counters = train_tokenizer_step(arms, tmp_path / "out", CONFIG)
    sizes = counters["arm_bytes"].values()
    assert max(sizes) - min(sizes) <= 2000  # the last document of each is taken whole

    counters = train_tokenizer_step(arms, tmp_path / "less", TokenizerConfig(vocab_size=600, max_bytes=30_000))
    assert all(10_000 <= size <= 12_000 for size in counters["arm_bytes"].values())


def test_the_tokenizer_depends_neither_on_shards_nor_on_the_process(tmp_path):
    texts = [text for _, text in passages(("heapq", "textwrap"))]
    script = (
        "import sys; from pathlib import Path; from hornbook.tokenization.config import TokenizerConfig;"
        "from hornbook.tokenization.train import train_tokenizer_step as train;"
        "train({'a': Path(sys.argv[1])}, Path(sys.argv[2]), TokenizerConfig(vocab_size=600, max_bytes=20_000))"
    )
    results = set()
    for rows, hash_seed in ((3, "1"), (50, "2")):
        documents = write_documents(tmp_path / f"{rows}" / "documents", texts, shard_rows=rows)
        out = tmp_path / f"out-{rows}"
        subprocess.run(
            [sys.executable, "-c", script, str(documents), str(out)],
            check=True,
            env={"PYTHONHASHSEED": hash_seed, "RAYON_NUM_THREADS": hash_seed},
        )
        results.add((out / "tokenizer.json").read_bytes())
    assert len(results) == 1


def test_another_seed_reads_other_documents(tmp_path):
    documents = write_documents(tmp_path / "documents", [text for _, text in passages()])
    written = []
    for seed in (0, 1):
        config = TokenizerConfig(vocab_size=600, max_bytes=30_000, seed=seed)
        train_tokenizer_step({"arm": documents}, tmp_path / str(seed), config)
        written.append((tmp_path / str(seed) / "tokenizer.json").read_text())
    assert written[0] != written[1]


def test_every_text_comes_back_and_end_of_text_is_token_zero(tokenizer_folder):
    tokenizer = open_tokenizer(tokenizer_folder)
    for text in [*HARD_TEXTS, *(text for _, text in passages())]:
        assert tokenizer.decode(tokenizer.encode(text).ids, skip_special_tokens=False) == text
    assert tokenizer.token_to_id(END_OF_TEXT) == 0
    assert tokenizer.get_vocab_size() == 1024


def test_llama_cpp_and_transformers_know_it(tokenizer_folder):
    described = json.loads((tokenizer_folder / "tokenizer.json").read_text())
    assert described["normalizer"] is None
    pre_tokenizer = described["pre_tokenizer"]
    assert (pre_tokenizer["type"], pre_tokenizer["add_prefix_space"], pre_tokenizer["use_regex"]) == (
        "ByteLevel",
        False,
        True,
    )
    transformers = pytest.importorskip("transformers")
    theirs, ours = transformers.AutoTokenizer.from_pretrained(tokenizer_folder), open_tokenizer(tokenizer_folder)
    assert theirs.bos_token_id == theirs.eos_token_id == theirs.pad_token_id == 0
    for _, text in passages(("heapq",)):
        assert theirs(text)["input_ids"] == ours.encode(text).ids
        assert theirs.decode(ours.encode(text).ids) == text


def test_an_arm_without_text_is_named(tmp_path):
    full = write_documents(tmp_path / "full", ["x = 1\n"])
    empty = write_documents(tmp_path / "empty", [""])
    with pytest.raises(HornbookError, match="The arm bare has no text"):
        train_tokenizer_step({"full": full, "bare": empty}, tmp_path / "out", CONFIG)
