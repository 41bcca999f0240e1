"""In which order the tokens of an arm are read."""

import itertools
import shutil
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


def test_curriculum_windows_go_from_easy_to_hard_each_for_several_budgets(inputs, tmp_path):
    ids, window = TokenStore.open(inputs["tokens"] / "corpus").ids(), 700
    level = levels(tmp_path / "scores", ids)
    settings = config(curriculum=1.0, data={"curriculum_window": window})
    read = documents_read(DataOrder(inputs["tokens"], settings, tmp_path / "scores"), inputs, 25)
    shuffled = documents_read(DataOrder(inputs["tokens"], config()), inputs, 25)
    found = [level[name] for name in read]
    falls = [i for i, (a, b) in enumerate(itertools.pairwise(found)) if b < a]
    assert 2 <= len(falls) <= 25 * 128 // window  # the level falls where a window begins and nowhere else
    assert set(shuffled[:10]) & set(read[: falls[0] + 1])  # a window holds what a shuffle has there


def test_a_curriculum_holds_for_packed_rows_that_were_counted_for_a_cap(three, tmp_path):
    ids = [name for source in ("corpus", "lessons") for name in TokenStore.open(three / source).ids()]
    levels(tmp_path / "scores", ids)
    data = {
        "mixture": {"corpus": 1, "lessons": 1},
        "max_epochs": {"lessons": 0.5},
        "packing": "best_fit",
        "packing_window": 8,
    }
    orders = [
        DataOrder(three, config(budgets=(2560,), curriculum=strength, data=data), tmp_path / "scores")
        for strength in (-1, 0, 1)
    ]
    first = [order.batch(TRUNK, 0).tolist() for order in orders]
    assert first[0] != first[1] != first[2] != first[0]
    lessons = [order.sources["lessons"].documents(0, 0)[0].tolist() for order in orders]
    assert lessons[0] != lessons[1] != lessons[2] != lessons[0]


MIXTURE = {"corpus": 0.5, "lessons": 0.2, "exercise": 0.3}


@pytest.fixture(scope="module")
def three(tmp_path_factory: pytest.TempPathFactory, inputs_with_lessons) -> Path:
    """Token stores of three sources."""
    folder = tmp_path_factory.mktemp("three")
    for name in ("corpus", "lessons"):
        (folder / name).symlink_to(inputs_with_lessons["tokens"] / name)
    tokenizer = Tokenizer.from_file(str(inputs_with_lessons["tokenizer"] / "tokenizer.json"))
    write_store(folder / "exercise", tokenizer, [f"def exercise_{i}():\n    return {i}\n" for i in range(30)])
    return folder


def test_three_sources_have_their_shares_of_every_stretch_and_are_read_in_their_order(three):
    settings = config(data={"mixture": MIXTURE})
    order, context = DataOrder(three, settings), settings.context
    rows = np.concatenate([order.batch(TRUNK, step)[:, :-1] for step in range(40)])
    for steps in range(1, 41):
        read = order.tokens_read(TRUNK, steps)
        assert sum(read.values()) == steps * settings.batch_tokens
        assert all(abs(read[name] / context - MIXTURE[name] * 4 * steps) <= 0.75 + 1e-9 for name in MIXTURE)
    wanted = [order.sources[name].read(0, n).reshape(-1, context) for name, n in read.items()]
    assert sorted(rows.tolist()) == sorted(np.concatenate(wanted).tolist())


def test_the_decay_may_have_another_mixture_and_another_context(three):
    data = {"mixture": [{"corpus": 1}, {"exercise": 4, "lessons": 1}], "decay_context": 64}
    settings = config(data=data)
    order, decay = DataOrder(three, settings), plan_segments(settings)[1]
    assert order.batch(decay, decay.first - 1).shape == (4, 33)
    batches = np.concatenate([order.batch(decay, step) for step in range(decay.first, decay.last)])
    assert batches.shape == (10, 65)
    before, after = (order.tokens_read(decay, step) for step in (decay.first, decay.last))
    assert before == {"corpus": decay.first * 128, "exercise": 0, "lessons": 0}
    assert after["corpus"] == before["corpus"] and after["exercise"] == 512
    exercises = order.sources["exercise"].read(0, 512).reshape(-1, 64).tolist()
    assert [row for row in batches[:, :-1].tolist() if row in exercises] == exercises
    trunk = DataOrder(three, config(data={"mixture": {"corpus": 1}}))
    assert np.array_equal(trunk.batch(TRUNK, 3), order.batch(TRUNK, 3))


def test_an_exhausted_source_leaves_its_share_to_the_others(three):
    free, capped = (
        DataOrder(three, config(data={"mixture": MIXTURE, "max_epochs": caps})) for caps in (None, {"exercise": 0.5})
    )
    tokens = capped.sources["exercise"].tokens
    last = plan_segments(capped.config)[-1]
    read = capped.tokens_read(last, last.last)
    assert tokens / 2 - 32 < read["exercise"] <= tokens / 2 < free.tokens_read(last, last.last)["exercise"]
    assert sum(read.values()) == last.last * 128
    at = next(step for step in range(40) if capped.tokens_read(TRUNK, step) != free.tokens_read(TRUNK, step)) - 1
    later = {name: read[name] - n for name, n in capped.tokens_read(last, at).items()}
    assert later["corpus"] / later["lessons"] == pytest.approx(2.5, rel=0.1)
    assert all(np.array_equal(free.batch(TRUNK, step), capped.batch(TRUNK, step)) for step in range(at))


def test_an_exhausted_source_is_an_error_before_training_where_that_is_wanted(three):
    data = {"mixture": MIXTURE, "max_epochs": {"exercise": 0.5}, "when_exhausted": "error"}
    with pytest.raises(HornbookError, match="`exercise` is exhausted"):
        DataOrder(three, config(data=data))
    with pytest.raises(HornbookError, match="All sources are exhausted"):
        DataOrder(three, config(data={"mixture": MIXTURE, "max_epochs": 0.3}))
    with pytest.raises(HornbookError, match="`textbook`"):
        DataOrder(three, config(data={"mixture": {"corpus": 1, "textbook": 1}}))


@pytest.mark.parametrize(
    "data",
    [
        {"mixture": {}},
        {"mixture": {"corpus": -1, "lessons": 2}},
        {"mixture": {"corpus": 1}, "max_epochs": {"lesson": 2}},
        {"packing": "best_fit", "decay_context": 64},
        {"decay_context": 50},
        {"curriculum_window": 100},
    ],
)
def test_settings_that_do_not_go_together_are_refused(data):
    with pytest.raises(ValueError):
        config(data=data)


@pytest.mark.parametrize(
    "data",
    [
        {"mixture": {**MIXTURE, "corpus": 0.6}},
        {"mixture": MIXTURE, "max_epochs": 9},
        {"mixture": MIXTURE, "packing": "best_fit"},
        {"mixture": MIXTURE, "packing": "best_fit", "packing_window": 64},
        {"mixture": MIXTURE, "document_masks": True},
        {"mixture": MIXTURE, "decay_context": 64},
    ],
)
def test_every_setting_of_the_data_is_in_the_fingerprint(three, data):
    base = DataOrder(three, config(data={"mixture": MIXTURE})).fingerprint()
    assert DataOrder(three, config(data=data)).fingerprint() != base


def test_a_changed_token_is_found_before_training(three, tmp_path):
    shutil.copytree(three / "exercise", tmp_path / "corpus")
    with (tmp_path / "corpus" / "tokens.bin").open("r+b") as file:
        file.seek(100)
        file.write(b"\x07\x00" if file.read(2) != b"\x07\x00" else b"\x08\x00")
    with pytest.raises(HornbookError, match="has changed"):
        DataOrder(tmp_path, config())
