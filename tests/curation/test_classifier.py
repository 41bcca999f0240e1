"""The educational-value classifier: it learns, it is stored safely, and a score depends on its text alone."""

import gzip
import json
import random
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hornbook.core.documents import VERDICTS, document_id, read_table, write_table
from hornbook.core.errors import HornbookError
from hornbook.curation import scoring
from hornbook.curation.annotation import RANGES, labels_file, read_labels
from hornbook.curation.classifier import load, save, train
from hornbook.curation.classifier_report import average_precision, roc_auc, spearman
from hornbook.curation.config_classifier import ClassifierConfig
from hornbook.curation.features import extract
from hornbook.curation.scoring import score_file, score_step, train_step, validate_step

QUICK = ClassifierConfig(folds=2, repeats=1, bootstrap=100)
LESSON = '''def factorial(n):
    """Return the product of the numbers from 1 to n.

    >>> factorial(4)
    24
    """
    result = 1
    for number in range(2, n + 1):
        result *= number  # multiply one number at a time
    return result
'''
TABLE = "CODES = [\n" + "".join(f"    0x{n * 7919:04x}, 0x{n * 104729:06x},\n" for n in range(40)) + "]\n"


@pytest.fixture(scope="module")
def some_labels(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Every third built-in label: enough to learn from, and quick."""
    path = tmp_path_factory.mktemp("labels") / "labels.jsonl"
    lines = gzip.decompress(labels_file().read_bytes()).decode().splitlines(keepends=True)
    path.write_text("".join(lines[::3]), encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def trained(some_labels: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("classifier")
    train_step({"labels": some_labels}, folder, QUICK)
    validate_step({"labels": some_labels}, folder, QUICK)
    return folder


@pytest.fixture(scope="module")
def texts() -> list[str]:
    labels = read_labels()
    odd = ["", " ", "\n\n", '"""', "'''x", '""""""', "é = 'ü'\r\n\tpass", "\ud800", "x" * 5000, "\x00\x01", ">>> 1"]
    return [*labels.texts[:300], *odd]


def test_report_holds_metrics_with_intervals(trained: Path) -> None:
    report = json.loads((trained / "report.json").read_text())
    assert report["labels"] == 404
    for way in ("cross_validation", "leave_package_out"):
        metrics = report[way]["metrics"]
        assert set(metrics) == {
            "spearman_edu", "spearman_self", "spearman_level", "auc_edu", "average_precision_edu",
        }  # fmt: skip
        assert all(m["low"] <= m["value"] <= m["high"] for m in metrics.values())
    assert report["cross_validation"]["metrics"]["spearman_edu"]["value"] > 0.65  # a third of the labels
    assert sum(row["labels"] for row in report["calibration"]) == report["labels"]
    means = [row["mean"] for row in report["calibration"]]
    assert means == sorted(means)
    assert len(report["out_of_fold"]["edu"]["predicted"]) == report["labels"]


def test_all_labels_reach_the_goal() -> None:
    """Grouped cross-validation, one round; the full report is in docs/BENCHMARKS.md."""
    from hornbook.curation.classifier_report import out_of_fold

    labels = read_labels()
    file = np.unique(labels.files, return_inverse=True)[1]
    fold = (np.random.default_rng(5).permutation(file.max() + 1) % 5)[file]
    predicted = out_of_fold(extract(labels.texts), labels.values, fold, ClassifierConfig().ridge)
    assert spearman(labels.values[:, 0], predicted[:, 0]) > 0.80
    assert roc_auc(labels.values[:, 0] >= 2.5, predicted[:, 0]) > 0.89


def test_a_lesson_beats_a_table(trained: Path) -> None:
    edu = load(trained).predict([LESSON, TABLE])["edu"]
    assert edu[0] > 2 > 1 > edu[1]


def test_a_score_depends_on_its_text_alone(trained: Path, texts: list[str]) -> None:
    classifier = load(trained)
    together = classifier.predict(texts)
    order = random.Random(0).sample(range(len(texts)), len(texts))
    shuffled = classifier.predict([texts[i] for i in order])
    for target in RANGES:
        alone = np.concatenate([classifier.predict([text])[target] for text in texts])
        assert np.array_equal(together[target], alone)
        assert np.array_equal(together[target][order], shuffled[target])


PIECES = ['"""', "'''", "", "x:", '    """a', "# c", ">>> b", "@a", "é", "\t", "x = 'a", "\ud800", "\r", "A_9", "."]
ODD_TEXTS = st.lists(st.sampled_from(PIECES), max_size=6).map("\n".join) | st.text(max_size=40)


@settings(max_examples=80, deadline=None)
@given(st.lists(ODD_TEXTS, min_size=1, max_size=8))
def test_odd_texts_get_scores_in_range_whatever_is_beside_them(trained: Path, batch: list[str]) -> None:
    classifier = load(trained)
    scores = classifier.predict(batch)
    last = classifier.predict(batch[-1:])
    for target, (low, high) in RANGES.items():
        assert ((scores[target] >= low) & (scores[target] <= high)).all()
        assert scores[target][-1] == last[target][0]


def test_line_ends_do_not_matter(trained: Path) -> None:
    edu = load(trained).predict([LESSON, LESSON.replace("\n", "\r\n")])["edu"]
    assert edu[0] == edu[1]


def test_training_twice_gives_the_same_files(trained: Path, some_labels: Path, tmp_path: Path) -> None:
    train_step({"labels": some_labels}, tmp_path, QUICK)
    validate_step({"labels": some_labels}, tmp_path, QUICK)
    for name in ("classifier.npz", "classifier.json", "report.json"):
        assert (tmp_path / name).read_bytes() == (trained / name).read_bytes()


def test_a_saved_classifier_scores_as_before(some_labels: Path, texts: list[str], tmp_path: Path) -> None:
    labels = read_labels(some_labels)
    classifier = train(extract(labels.texts), labels.values, 0.1)
    save(classifier, tmp_path)
    for target, scores in load(tmp_path).predict(texts).items():
        assert np.array_equal(scores, classifier.predict(texts)[target])


def test_a_missing_or_foreign_classifier_is_refused(trained: Path, tmp_path: Path) -> None:
    with pytest.raises(HornbookError, match="No readable classifier"):
        load(tmp_path / "nothing")
    for name in ("classifier.npz", "classifier.json"):
        (tmp_path / name).write_bytes((trained / name).read_bytes())
    head = json.loads((tmp_path / "classifier.json").read_text())
    (tmp_path / "classifier.json").write_text(json.dumps(head | {"format": 0}))
    with pytest.raises(HornbookError, match="another version"):
        load(tmp_path)
    (tmp_path / "half").mkdir()
    (tmp_path / "half" / "classifier.json").write_text(json.dumps(head))
    (tmp_path / "half" / "classifier.npz").write_bytes((trained / "classifier.npz").read_bytes()[:9000])
    with pytest.raises(HornbookError, match="No readable classifier"):
        load(tmp_path / "half")


def test_score_step_scores_what_both_verdicts_keep(
    trained: Path, texts: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HORNBOOK_WORKERS", "1")
    inputs = {name: tmp_path / name for name in ("documents", "rules", "exact")} | {"classifier": trained}
    for name in ("documents", "rules", "exact"):
        inputs[name].mkdir()
    expected = {}
    for shard in range(2):
        some = texts[shard * 20 : shard * 20 + 20]
        ids = [document_id("test", f"{shard}", number) for number in range(20)]
        write_table(pa.table({"id": ids, "text": some}), inputs["documents"] / f"d-{shard:04}.parquet")
        for name, step in (("rules", 2), ("exact", 3)):
            keep = [number % step > 0 for number in range(20)]
            verdicts = pa.table([ids, keep, ["" if k else "no" for k in keep]], schema=VERDICTS)
            write_table(verdicts, inputs[name] / f"d-{shard:04}.parquet")
        expected |= {ids[n]: some[n] for n in range(20) if n % 2 and n % 3}
    out = tmp_path / "scores"
    counters = score_step(inputs, out, None)
    table = read_table(out)
    assert table.schema.names == ["id", "edu", "self", "level", "code"]
    assert table["id"].to_pylist() == list(expected)
    assert all(0 <= share <= 1 for share in table["code"].to_pylist())
    assert table["edu"].to_pylist() == load(trained).predict(list(expected.values()))["edu"].tolist()
    assert (counters["rows_in"], counters["rows_out"]) == (40, len(expected))


def test_score_file(
    trained: Path, texts: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    source, target = tmp_path / "in.jsonl", tmp_path / "out.jsonl"
    lines = [json.dumps({"id": f"p{n}", "text": text, "more": 1}) for n, text in enumerate(texts[:50])]
    source.write_text("\n".join(lines[:30]) + "\n\n" + "\n".join(lines[30:]))
    assert score_file(source, trained, target) == 50
    rows = [json.loads(line) for line in target.read_text().splitlines()]
    assert [row["id"] for row in rows] == [f"p{n}" for n in range(50)]
    assert set(rows[0]) == {"id", "edu", "self", "level"}
    assert np.allclose([row["edu"] for row in rows], load(trained).predict(texts[:50])["edu"], atol=1e-4)
    monkeypatch.setattr(scoring, "_BATCH", 7)
    score_file(source, trained)
    assert capsys.readouterr().out == target.read_text()


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b'{"id": 1, "text": "x"}\n{"id": 2, "te', "line 2: not JSON"),
        (b'{"id": 1, "text": "x"}\n\n["x"]\n', "line 3: no `id` and `text`"),
        (b'{"text": "x"}\n', "line 1: no `id`"),
        (b'{"id": 1, "text": null}\n', "line 1: no `id` and `text`"),
        (b'{"id": 1, "text": "\xff"}\n', "not UTF-8"),
        (b"\n", "holds no passage"),
    ],
)
def test_bad_lines_are_named_and_leave_nothing(trained: Path, tmp_path: Path, content: bytes, problem: str) -> None:
    (tmp_path / "in.jsonl").write_bytes(content)
    with pytest.raises(HornbookError, match=problem):
        score_file(tmp_path / "in.jsonl", trained, tmp_path / "out.jsonl")
    assert [path.name for path in tmp_path.iterdir()] == ["in.jsonl"]


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"edu": 6}, r"line 2: `edu` is 6"),
        ({"self": True}, "line 2: `self` is True"),
        ({"level": float("nan")}, "line 2: `level` is nan"),
        ({"text": None}, "line 2: no passage"),
    ],
)
def test_bad_labels_are_named(some_labels: Path, tmp_path: Path, change: dict, problem: str) -> None:
    lines = some_labels.read_text(encoding="utf-8").splitlines()
    lines[1] = json.dumps(json.loads(lines[1]) | change)
    (tmp_path / "labels.jsonl").write_text("\n".join(lines))
    with pytest.raises(HornbookError, match=problem):
        read_labels(tmp_path / "labels.jsonl")


def test_unusable_label_files_are_refused(some_labels: Path, tmp_path: Path) -> None:
    with pytest.raises(HornbookError, match="No label file"):
        read_labels(tmp_path / "missing.jsonl")
    (tmp_path / "few.jsonl").write_text(some_labels.read_text(encoding="utf-8").splitlines()[0])
    with pytest.raises(HornbookError, match="has 1 labels"):
        read_labels(tmp_path / "few.jsonl")


def test_labels_without_source_or_path_will_do(some_labels: Path, tmp_path: Path) -> None:
    rows = [json.loads(line) for line in some_labels.read_text(encoding="utf-8").splitlines()]
    bare = [{key: row[key] for key in ("text", *RANGES)} for row in rows[:120]]
    (tmp_path / "bare.jsonl").write_text("\n".join(map(json.dumps, bare)))
    out = tmp_path / "out"
    out.mkdir()
    validate_step({"labels": tmp_path / "bare.jsonl"}, out, QUICK)
    report = json.loads((out / "report.json").read_text())
    assert report["leave_package_out"] is None
    assert report["cross_validation"]["metrics"]["spearman_edu"]["value"] is not None


def test_metrics_agree_with_scikit_learn() -> None:
    from scipy.stats import spearmanr
    from sklearn.metrics import average_precision_score, roc_auc_score

    rng = np.random.default_rng(0)
    for _ in range(20):
        label = rng.integers(0, 6, 80).astype(float)
        predicted = (rng.random(80) + label / 5).round(1)  # with ties
        useful = label > 3
        assert np.isclose(spearman(label, predicted), spearmanr(label, predicted).statistic)
        assert np.isclose(roc_auc(useful, predicted), roc_auc_score(useful, predicted))
        assert np.isclose(average_precision(useful, predicted), average_precision_score(useful, predicted))
