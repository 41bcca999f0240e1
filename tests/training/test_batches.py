"""In which order the tokens of an arm are read."""

import itertools
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from tokenizers import Tokenizer

from hornbook.core.documents import write_table
from hornbook.core.errors import HornbookError
from hornbook.tokenization.shards import TokenStore
from hornbook.training.batches import DataOrder, Source
from hornbook.training.schedule import Segment, plan_segments
from tests.training.stores import config, write_store

TRUNK = Segment("trunk", 0, 40)


def test_an_epoch_reads_every_document_once_and_the_next_in_another_order(inputs):
    store = TokenStore.open(inputs["tokens"] / "corpus")
    source = Source(store, seed=0)
    epochs = [source.read(epoch * source.tokens, source.tokens) for epoch in (0, 1)]
    wanted = sorted(store.document(i).tolist() for i in range(len(store)))
    for tokens in epochs:
        starts = [*np.flatnonzero(tokens == 0), len(tokens)]
        documents = [tokens[a:b].tolist() for a, b in itertools.pairwise(starts)]
        assert sorted(documents) == wanted
    assert epochs[0].tolist() != epochs[1].tolist()


def test_reading_in_pieces_gives_the_same_tokens_across_epochs(inputs):
    source = Source(TokenStore.open(inputs["tokens"] / "corpus"), seed=3)
    count = 2 * source.tokens + 50
    whole = source.read(0, count)
    pieces = [source.read(at, min(37, count - at)) for at in range(0, count, 37)]
    assert np.array_equal(np.concatenate(pieces), whole)


def test_rows_follow_each_other_without_a_gap(inputs):
    order = DataOrder(inputs["tokens"], config())
    rows = np.concatenate([order.batch(TRUNK, step) for step in range(3)])
    assert rows.shape == (12, 33) and rows.dtype == np.int64
    assert np.array_equal(rows[:-1, -1], rows[1:, 0])
    assert np.array_equal(rows[:, :-1].ravel(), order.sources["corpus"].read(0, 12 * 32))


def test_the_seed_decides_the_order(inputs):
    batches = [DataOrder(inputs["tokens"], config(seed=seed)).batch(TRUNK, 0) for seed in (0, 0, 1)]
    assert np.array_equal(batches[0], batches[1])
    assert not np.array_equal(batches[0], batches[2])


def test_the_fingerprint_changes_with_the_seed_and_with_the_data(inputs, inputs_with_lessons):
    prints = [
        DataOrder(inputs["tokens"], config()).fingerprint(),
        DataOrder(inputs["tokens"], config(seed=1)).fingerprint(),
        DataOrder(inputs_with_lessons["tokens"], config(lesson_share=0.5)).fingerprint(),
    ]
    assert len(set(prints)) == 3
    assert prints[0] == DataOrder(inputs["tokens"], config()).fingerprint()


@pytest.mark.parametrize("share", [0.0, 0.1, 0.37, 0.5, 1.0])
def test_lessons_have_their_share_of_every_stretch(inputs_with_lessons, share):
    settings = config(lesson_share=share)
    order = DataOrder(inputs_with_lessons["tokens"], settings)
    for steps in range(1, 41):
        read = order.tokens_read(TRUNK, steps)
        assert sum(read.values()) == steps * settings.batch_tokens
        wanted = share * steps * settings.batch_tokens
        assert abs(read.get("lessons", 0) - wanted) <= 0.5 * settings.context + 1e-6


def test_rows_come_from_the_source_that_is_counted(inputs_with_lessons):
    order = DataOrder(inputs_with_lessons["tokens"], config(lesson_share=0.25))
    rows = np.concatenate([order.batch(TRUNK, step)[:, :-1] for step in range(10)])
    read = {name: order.sources[name].read(0, n) for name, n in order.tokens_read(TRUNK, 10).items()}
    assert sorted(rows.tolist()) == sorted(np.concatenate(list(read.values())).reshape(-1, 32).tolist())


def test_the_decay_may_have_another_share_and_leaves_the_trunk_alone(inputs_with_lessons):
    settings = config(lesson_share=(0.0, 0.8))
    order = DataOrder(inputs_with_lessons["tokens"], settings)
    decay = plan_segments(settings)[1]
    assert decay == Segment("2560", 15, 20)
    assert order.tokens_read(decay, 15)["lessons"] == 0
    assert order.tokens_read(decay, 20)["lessons"] == round(0.8 * 5 * 4) * 32
    same = DataOrder(inputs_with_lessons["tokens"], config(lesson_share=(0.0, 0.0))).batch(TRUNK, 14)
    assert np.array_equal(order.batch(TRUNK, 14), same)


def test_no_token_or_no_source_is_an_error_with_a_remedy(tmp_path: Path, inputs):
    write_store(tmp_path / "corpus", Tokenizer.from_file(str(inputs["tokenizer"] / "tokenizer.json")), [])
    with pytest.raises(HornbookError, match="0 tokens"):
        DataOrder(tmp_path, config())
    with pytest.raises(HornbookError, match="lessons"):
        DataOrder(inputs["tokens"], config(lesson_share=0.5))


def levels(folder: Path, ids: list[str]) -> dict[str, float]:
    """Scores of documents, every one with a level of its own; returns the levels by id."""
    level = {name: float(np.float32(np.sin(i * 12.9898) * 4)) for i, name in enumerate(ids)}
    folder.mkdir()
    write_table(pa.table({"id": list(level), "level": pa.array(level.values(), pa.float32())}), folder / "s.parquet")
    return level


def documents_read(order: DataOrder, inputs: dict[str, Path], steps: int) -> list[str]:
    """Ids of the documents that the first steps read whole, in their order."""
    store = TokenStore.open(inputs["tokens"] / "corpus")
    tokens = np.concatenate([order.batch(TRUNK, step)[:, :-1].ravel() for step in range(steps)])
    by_tokens = {store.document(i).tobytes(): name for i, name in enumerate(store.ids())}
    starts = np.flatnonzero(tokens == 0)
    pieces = [tokens[a:b].astype(store.tokens.dtype).tobytes() for a, b in itertools.pairwise(starts)]
    return [by_tokens[piece] for piece in pieces]


def test_a_curriculum_reads_the_same_documents_in_the_order_of_their_level(inputs, tmp_path):
    level = levels(tmp_path / "scores", TokenStore.open(inputs["tokens"] / "corpus").ids())
    budget = 1280  # less than there is
    read = {
        strength: documents_read(
            DataOrder(inputs["tokens"], config(budgets=(budget,), curriculum=strength), tmp_path / "scores"), inputs, 10
        )
        for strength in (-1, -0.5, 0, 0.5, 1)
    }
    assert [level[name] for name in read[1]] == sorted(level[name] for name in read[1])
    assert [level[name] for name in read[-1]] == sorted((level[name] for name in read[-1]), reverse=True)
    slope = {s: np.corrcoef(range(len(ids)), [level[name] for name in ids])[0, 1] for s, ids in read.items()}
    assert slope[-1] < slope[-0.5] < slope[0] < slope[0.5] < slope[1]
    assert len(set(read[1]) ^ set(read[0])) <= 2  # but for the documents at the ends, which are not read whole


def test_a_curriculum_without_scores_or_over_several_budgets_is_refused(inputs, tmp_path):
    with pytest.raises(HornbookError, match="needs scores"):
        DataOrder(inputs["tokens"], config(budgets=(1280,), curriculum=1))
    with pytest.raises(ValueError, match="one budget"):
        config(curriculum=1)
    levels(tmp_path / "scores", ["0" * 32])
    with pytest.raises(HornbookError, match="no level"):
        DataOrder(inputs["tokens"], config(budgets=(1280,), curriculum=1), tmp_path / "scores")
