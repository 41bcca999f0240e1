"""Encoding: fast, equal to the reference, and blind to special tokens that a document merely mentions."""

import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hornbook.core.errors import HornbookError
from hornbook.core.step import content_hash
from hornbook.tokenization import encode
from hornbook.tokenization.config import EncodeConfig
from hornbook.tokenization.encode import HARD_TEXTS, encode_step, fastest_encoder, gigatoken_encoder, open_tokenizer
from hornbook.tokenization.shards import TokenStore
from tests.tokenization.documents import passages, write_documents

CONFIG = EncodeConfig()


def store_of(documents, tokenizer_folder, out, config=CONFIG):
    counters = encode_step({"documents": documents, "tokenizer": tokenizer_folder}, out, config)
    return TokenStore.open(out / "corpus"), counters


def test_gigatoken_gives_the_ids_of_tokenizers(tokenizer_folder):
    texts = [*HARD_TEXTS, *(text for _, text in passages(("argparse", "decimal", "html/entities", "stringprep")))]
    ids, lengths = gigatoken_encoder(tokenizer_folder)(texts)
    wanted = [row.ids for row in open_tokenizer(tokenizer_folder).encode_batch(texts, add_special_tokens=False)]
    assert lengths.tolist() == [len(row) for row in wanted]
    assert ids.tolist() == [token for row in wanted for token in row]


@settings(max_examples=150, deadline=None)
@given(st.lists(st.text(max_size=80) | st.sampled_from(HARD_TEXTS), max_size=8))
def test_gigatoken_gives_the_ids_of_tokenizers_on_any_text(tokenizer_folder, texts):
    ids, _ = gigatoken_encoder(tokenizer_folder)(texts)
    wanted = open_tokenizer(tokenizer_folder).encode_batch(texts, add_special_tokens=False)
    assert ids.tolist() == [token for row in wanted for token in row.ids]


def test_a_store_holds_every_document_after_its_bos(tokenizer_folder, tmp_path):
    texts = ["", "a<|endoftext|>b", *(text for _, text in passages(("heapq",)))]
    documents = write_documents(tmp_path / "documents", texts, shard_rows=5)
    store, counters = store_of(documents, tokenizer_folder, tmp_path)
    tokenizer = open_tokenizer(tokenizer_folder)
    assert counters["encoder"] == "gigatoken"
    assert len(store) == len(texts) == counters["rows_out"]
    assert store.bytes == sum(len(text.encode()) for text in texts)
    assert store.meta["tokenizer"] == content_hash(tokenizer_folder / "tokenizer.json")
    for number, text in enumerate(texts):
        ids = store.document(number)
        assert ids[0] == 0
        assert tokenizer.decode(ids[1:].tolist()) == text
    # BOS occurs where documents start and nowhere else, whatever a document says.
    assert np.array_equal(np.flatnonzero(store.tokens == 0), store.boundaries[:-1])
    assert not (tmp_path / "lessons").exists()


def test_lessons_have_a_store_of_their_own(tokenizer_folder, tmp_path):
    documents = write_documents(tmp_path / "documents", ["x = 1\n", "y = 2\n"])
    write_documents(documents, ["Count to ten.\n"], kind="synthetic")
    corpus, counters = store_of(documents, tokenizer_folder, tmp_path)
    lessons = TokenStore.open(tmp_path / "lessons")
    assert (len(corpus), len(lessons)) == (2, 1)
    assert open_tokenizer(tokenizer_folder).decode(lessons.document(0).tolist()) == "Count to ten.\n"
    assert set(corpus.ids()).isdisjoint(lessons.ids())
    assert counters["stores"]["lessons"]["documents"] == 1


def test_stores_are_equal_for_any_workers_batches_and_encoder(tokenizer_folder, tmp_path, monkeypatch):
    documents = write_documents(tmp_path / "documents", [text for _, text in passages()])
    write_documents(documents, [text for _, text in passages(("heapq",))], kind="synthetic")
    written = set()
    for workers, batch, has_gigatoken in (("1", 7, True), ("2", 1000, True), ("1", 50, False)):
        monkeypatch.setenv("HORNBOOK_WORKERS", workers)
        if not has_gigatoken:
            monkeypatch.setitem(sys.modules, "gigatoken", None)
        out = tmp_path / f"{workers}-{batch}"
        out.mkdir()
        store_of(documents, tokenizer_folder, out, EncodeConfig(batch_documents=batch))
        written.add(content_hash(out))
    assert len(written) == 1


def test_a_wrong_or_missing_gigatoken_is_told_and_replaced(tokenizer_folder, monkeypatch, capsys):
    right = gigatoken_encoder(tokenizer_folder)
    monkeypatch.setattr(
        encode, "gigatoken_encoder", lambda folder: lambda texts: (right(texts)[0] + 1, right(texts)[1])
    )
    _, name = fastest_encoder(tokenizer_folder, [])
    assert name == "tokenizers"
    assert "gives other ids" in capsys.readouterr().err
    monkeypatch.undo()
    monkeypatch.setitem(sys.modules, "gigatoken", None)
    encoder, name = fastest_encoder(tokenizer_folder, ["x"])
    assert name == "tokenizers"
    assert "is not installed" in capsys.readouterr().err
    assert encoder(["x = 1"])[0].tolist() == right(["x = 1"])[0].tolist()


def test_nothing_to_encode_and_no_tokenizer_are_clear_errors(tokenizer_folder, tmp_path):
    (tmp_path / "none").mkdir()
    with pytest.raises(HornbookError, match="no document to encode"):
        store_of(tmp_path / "none", tokenizer_folder, tmp_path)
    documents = write_documents(tmp_path / "documents", ["x = 1\n"])
    with pytest.raises(HornbookError, match="not a readable tokenizer"):
        store_of(documents, tmp_path, tmp_path)
