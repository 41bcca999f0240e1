"""Token stores: what was written is what is read, in the smallest type that holds the vocabulary."""

import json
import os
import shutil

import numpy as np
import pytest

from hornbook.core.errors import HornbookError
from hornbook.core.step import content_hash
from hornbook.tokenization.shards import StoreWriter, TokenStore


def write(folder, vocab_size, documents):
    with StoreWriter(folder, vocab_size, 0, "hash") as writer:
        for start in range(0, len(documents), 2):
            part = documents[start : start + 2]
            ids = [f"{start + i:032x}" for i in range(len(part))]
            lengths = np.array([len(document) for document in part])
            writer.append(ids, np.concatenate(part).astype(np.uint32), lengths, 10 * len(part))


@pytest.mark.parametrize(("vocab_size", "dtype"), [(65_536, "uint16"), (65_537, "uint32"), (200_064, "uint32")])
def test_documents_come_back(tmp_path, vocab_size, dtype):
    rng = np.random.default_rng(0)
    documents = [rng.integers(1, vocab_size, size) for size in (3, 0, 1, 500, 2)]
    documents[0][0] = vocab_size - 1
    write(tmp_path / "store", vocab_size, documents)
    store = TokenStore.open(tmp_path / "store")
    assert isinstance(store.tokens, np.memmap)
    assert store.tokens.dtype == np.dtype(dtype).newbyteorder("<")
    assert store.boundaries.dtype == np.int64
    assert (len(store), store.bytes, len(store.tokens)) == (5, 50, 511)
    assert store.boundaries.tolist() == [0, 4, 5, 7, 508, 511]
    assert store.ids() == [f"{i:032x}" for i in range(5)]
    for number, document in enumerate(documents):
        assert store.document(number).tolist() == [0, *document.tolist()]


def test_a_store_is_the_same_however_it_was_cut_and_a_changed_byte_is_found(tmp_path):
    documents = [np.arange(1, n) for n in range(2, 30)]
    write(tmp_path / "store", 300, documents)
    with StoreWriter(tmp_path / "once", 300, 0, "hash") as writer:
        ids, lengths = [f"{i:032x}" for i in range(28)], np.array([len(document) for document in documents])
        writer.append(ids, np.concatenate(documents), lengths, 10 * 28)
    assert content_hash(tmp_path / "once") == content_hash(tmp_path / "store")
    for name in ("tokens.bin", "boundaries.bin", "ids.bin"):
        shutil.copytree(tmp_path / "once", tmp_path / name)
        TokenStore.open(tmp_path / name).check()
        with (tmp_path / name / name).open("r+b") as file:
            file.seek(64)
            file.write(b"\xff")
        with pytest.raises(HornbookError, match="has changed"):
            TokenStore.open(tmp_path / name).check()


def test_a_store_of_100_gb_opens_without_being_read(tmp_path):
    write(tmp_path / "store", 300, [np.array([1, 2, 3])] * 4)
    meta = json.loads((tmp_path / "store" / "meta.json").read_text())
    meta["tokens"], meta["documents"] = 50 * 10**9, 10**7
    (tmp_path / "store" / "meta.json").write_text(json.dumps(meta))
    sizes = {"tokens.bin": 100 * 10**9, "boundaries.bin": 8 * 10**7, "ids.bin": 16 * 10**7}
    for name, size in sizes.items():
        os.truncate(tmp_path / "store" / name, size)
    with (tmp_path / "store" / "boundaries.bin").open("ab") as file:
        file.write(np.array([meta["tokens"]], "<i8").tobytes())
    store = TokenStore.open(tmp_path / "store")
    assert len(store) == 10**7 and store.document(1).tolist() == [0, 1, 2, 3]
    assert len(store.document(10**7 - 1)) == meta["tokens"]  # mapped, not read


def test_a_store_without_documents_opens(tmp_path):
    with StoreWriter(tmp_path / "store", 300, 0, "hash"):
        pass
    store = TokenStore.open(tmp_path / "store")
    assert len(store) == len(store.tokens) == store.bytes == 0


def test_an_interrupted_or_damaged_store_is_not_opened(tmp_path):
    write(tmp_path / "store", 300, [np.array([1, 2, 3])])
    with (tmp_path / "store" / "tokens.bin").open("ab") as file:
        file.truncate(4)
    with pytest.raises(HornbookError, match="damaged"):
        TokenStore.open(tmp_path / "store")
    with pytest.raises(KeyError), StoreWriter(tmp_path / "store", 300, 0, "hash"):
        raise KeyError  # a run that dies while it writes
    with pytest.raises(HornbookError, match="no readable token store"):
        TokenStore.open(tmp_path / "store")
