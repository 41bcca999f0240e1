"""Encoding: fast, equal to the reference, and blind to special tokens that a document merely mentions."""

import json
import sys

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hornbook.core.documents import DOCUMENTS, write_table
from hornbook.core.errors import HornbookError
from hornbook.core.step import content_hash
from hornbook.tokenization import encode
from hornbook.tokenization.config import EncodeConfig
from hornbook.tokenization.encode import HARD_TEXTS, encode_step, fastest_encoder, gigatoken_encoder, open_tokenizer
from hornbook.tokenization.shards import TokenStore, store_folder
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


def test_sources_and_kinds_have_stores_of_their_own_where_they_are_named(tokenizer_folder, tmp_path):
    documents = write_documents(tmp_path / "documents", ["x = 1\n"])
    write_documents(documents, ["# Notes\n"], kind="text")
    table = pq.read_table(documents / "selected-0001.parquet").to_pylist()[0]
    lessons = [
        {**table, "kind": "synthetic", "source": source, "meta": json.dumps({"kind": kind}), "id": f"{i:032x}"}
        for i, (source, kind) in enumerate([("own", "lesson"), ("own", "exercise"), ("builtin:a/b", "exercise")])
    ]
    write_table(pa.Table.from_pylist(lessons, schema=DOCUMENTS), documents / "selected-0002.parquet")
    names = ("builtin:a/b", "exercise", "text", "absent")
    _, counters = store_of(documents, tokenizer_folder, tmp_path, EncodeConfig(stores=names))
    stores = {name: store["documents"] for name, store in counters["stores"].items()}
    assert stores == {"corpus": 1, "lessons": 1, "exercise": 1, "builtin:a/b": 1, "text": 1}
    assert TokenStore.open(store_folder(tmp_path, "builtin:a/b")).ids() == [f"{2:032x}"]
    assert not store_folder(tmp_path, "absent").exists()


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
