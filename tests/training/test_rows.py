"""Rows of whole documents, and documents in blocks: nothing is lost, nothing is read twice."""

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hornbook.core.documents import document_id
from hornbook.tokenization.shards import StoreWriter, TokenStore
from hornbook.training.batches import DataOrder
from hornbook.training.rows import PADDING, BestFitRows, pack
from hornbook.training.schedule import plan_segments
from hornbook.training.sources import Source
from tests.training.stores import config

CONTEXT = 32


def write(folder: Path, lengths: list[int], parts: int = 1) -> Path:
    """A store of documents of so many tokens after their BOS, no two tokens of the store alike, written in parts."""
    first = 1
    with StoreWriter(folder, 1 << 20, 0, "test") as writer:
        for part in np.array_split(np.arange(len(lengths)), parts):
            count = sum(lengths[i] for i in part)
            ids = [document_id("test", "rows", int(i)) for i in part]
            writer.append(ids, np.arange(first, first + count), np.array([lengths[i] for i in part]), count)
            first += count
    return folder


LENGTHS = [1 + i * 37 % 90 for i in range(150)]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write(tmp_path_factory.mktemp("rows") / "corpus", LENGTHS)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(1, 90), min_size=1, max_size=80), st.integers(2, 40))
def test_packing_keeps_every_token_and_no_row_is_too_long(lengths, context):
    packed = pack(np.arange(len(lengths)), np.array(lengths), context)
    taken = [
        set(range(start, start + length))
        for start, length in zip(packed.start_P.tolist(), packed.length_P.tolist(), strict=True)
    ]
    for document, length in enumerate(lengths):
        pieces = [piece for piece, owner in zip(taken, packed.document_P.tolist(), strict=True) if owner == document]
        assert sum(map(len, pieces)) == length and set().union(*pieces) == set(range(length))
        assert length > context or len(pieces) == 1
    filled = packed.tokens_R + packed.cuts_R
    assert filled.max() <= context and packed.end_R[-1] == len(taken)
    two = np.sort(filled)[:2]
    assert len(two) < 2 or two.sum() > context  # else best-fit would have put them together


def test_an_epoch_of_packed_rows_has_every_token_once_and_every_row_begins_with_a_document(folder):
    rows = BestFitRows(Source(TokenStore.open(folder), seed=0), CONTEXT, window=64)
    end = rows.position(1)
    found = np.stack([rows.row(at, CONTEXT) for at in range(0, end, CONTEXT)])
    inputs, targets = found[:, :-1], found[:, 1:]
    read, inputs = rows.read(end), inputs[targets != PADDING]
    tokens = Counter(inputs[inputs > 0].tolist())
    assert tokens == Counter(range(1, sum(LENGTHS) + 1))
    assert (found[:, 0] == 0).all()
    # Every token but the first of a piece after a cut is predicted once, every document's end by a BOS.
    assert set(targets[targets > 0].tolist()) == set(range(1, sum(LENGTHS) + 1))
    assert read["tokens"] == sum(LENGTHS) + len(LENGTHS)
    assert read["padding"] == (targets == PADDING).sum()
    assert read["cuts"] == (inputs == 0).sum() - len(LENGTHS)
    assert read["padding"] < 0.05 * found.size


def test_any_row_is_the_same_whatever_was_asked_for_before(folder):
    source = Source(TokenStore.open(folder), seed=1)
    whole = BestFitRows(source, CONTEXT, window=20)
    wanted = [whole.row(at * CONTEXT, CONTEXT).tolist() for at in range(500)]  # several epochs
    for at in (499, 3, 250):
        fresh = BestFitRows(Source(TokenStore.open(folder), seed=1), CONTEXT, window=20)
        assert fresh.row(at * CONTEXT, CONTEXT).tolist() == wanted[at]


def test_a_cap_on_epochs_ends_where_the_epochs_end(folder):
    rows = BestFitRows(Source(TokenStore.open(folder), seed=0), CONTEXT, window=64)
    tokens = rows.source.tokens
    assert rows.read(rows.position(3))["tokens"] == 3 * tokens
    assert 1.5 * tokens - CONTEXT < rows.read(rows.position(1.5))["tokens"] <= 1.5 * tokens


def test_packed_batches_are_counted_with_their_padding(folder):
    settings = config(budgets=(5120,), data={"packing": "best_fit"})
    order, last = DataOrder(folder.parent, settings), plan_segments(settings)[-1]
    batches = np.stack([order.batch(last, step) for step in range(last.last)])
    packing = order.packing(last, last.last)
    assert packing["padding"] == (batches[..., 1:] == PADDING).sum() > 0
    assert order.tokens_read(last, last.last) == {"corpus": 5120 - packing["padding"] - packing["cuts"]}


@pytest.mark.parametrize("block", [7, 64, 1000])
def test_in_blocks_too_an_epoch_reads_every_document_once(folder, block):
    source = Source(TokenStore.open(folder), seed=2, block=block)
    epochs = [source.read(epoch * source.tokens, source.tokens).tolist() for epoch in range(3)]
    assert all(sorted(epoch) == sorted(source.store.tokens.tolist()) for epoch in epochs)
    assert epochs[0] != epochs[1] != epochs[2]
    whole = source.read(0, 2 * source.tokens)
    pieces = [source.read(at, min(101, len(whole) - at)) for at in range(0, len(whole), 101)]
    assert np.array_equal(np.concatenate(pieces), whole)


def test_a_store_of_one_block_does_not_know_of_blocks(folder):
    store = TokenStore.open(folder)
    assert np.array_equal(Source(store, 0).read(0, 5000), Source(store, 0, block=len(store)).read(0, 5000))


def test_the_order_does_not_depend_on_how_the_store_was_cut(folder, tmp_path):
    other = write(tmp_path / "corpus", LENGTHS, parts=13)
    orders = [DataOrder(path.parent, config()) for path in (folder, other)]
    assert orders[0].fingerprint() == orders[1].fingerprint()
    segment = plan_segments(config())[0]
    assert all(np.array_equal(orders[0].batch(segment, n), orders[1].batch(segment, n)) for n in range(segment.last))
