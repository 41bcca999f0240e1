from pathlib import Path

import pyarrow.parquet as pq
import pytest

from hornbook.core.documents import read_table
from hornbook.core.errors import HornbookError
from hornbook.report.why import life, why


def ids(run: Path, step: str) -> list[str]:
    return read_table(run / "steps" / step, ["id"])["id"].to_pylist()


def dropped_by(run: Path, step: str) -> str:
    return next(row["id"] for row in read_table(run / "steps" / step).to_pylist() if not row["keep"])


def test_a_selected_passage_from_its_file_to_its_arms(sample: Path) -> None:
    id = ids(sample, "curation.select.curated")[0]
    text = life(sample, id)
    assert f"passage {id}" in text and "made from file" in text and "heapq.py" in text
    assert "kept      curation.passage_rules" in text and "scored    curation.scores: edu" in text
    assert "selected  arm curated" in text and "  | def " in text


def test_a_dropped_passage_with_the_step_and_the_reason(sample: Path) -> None:
    text = life(sample, dropped_by(sample, "curation.decontamination"))
    assert "DROPPED   curation.decontamination: leak: humaneval HumanEval/31" in text
    text = life(sample, dropped_by(sample, "curation.passage_rules"))
    assert "DROPPED   curation.passage_rules: data table" in text
    assert "not in    arm raw: dropped before" in text


def test_a_passage_of_a_dropped_file(sample: Path) -> None:
    file = dropped_by(sample, "curation.file_rules")
    assert "DROPPED   curation.file_rules: generated" in life(sample, file)
    children = pq.read_table(sample / "steps/corpus.passages/00000-a.parquet").to_pylist()
    child = next(row["id"] for row in children if row["parent"] == file)
    text = life(sample, child)
    assert "    DROPPED   curation.file_rules: generated" in text
    assert "  DROPPED   curation.passage_rules: file: generated" in text


def test_a_file_and_what_became_of_its_passages(sample: Path) -> None:
    text = life(sample, ids(sample, "corpus.files")[0])
    assert "15 passages were made from it" in text
    assert "curation.passage_rules: data table; in no arm" in text
    assert "in raw, rules, curated, textbook" in text


def test_near_duplicates_are_named(sample: Path) -> None:
    one, other = ids(sample, "curation.near_clusters")
    assert f"near duplicate of {other}" in life(sample, one)


def test_the_beginning_of_an_id_will_do(sample: Path, capsys: pytest.CaptureFixture[str]) -> None:
    id = ids(sample, "corpus.passages")[3]
    why(sample, id[:8].upper())
    assert f"passage {id}" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("id", "problem"),
    [("0" * 32, "No file or passage"), ("abc", "is no id"), ("nothexadecimal", "is no id"), ("0" * 33, "is no id")],
)
def test_an_unknown_id_is_told(sample: Path, id: str, problem: str) -> None:
    with pytest.raises(HornbookError, match=problem):
        life(sample, id)


def test_a_run_that_does_not_exist_is_told(tmp_path: Path) -> None:
    with pytest.raises(HornbookError, match="There is no run"):
        life(tmp_path / "none", "0" * 32)


def test_nothing_read_yet(tmp_path: Path) -> None:
    (tmp_path / "steps").mkdir()
    with pytest.raises(HornbookError, match="Nothing has been read yet"):
        life(tmp_path, "0" * 32)
