"""Token stores: what was written is what is read, in the smallest type that holds the vocabulary."""

import numpy as np
import pytest

from hornbook.core.errors import HornbookError
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
