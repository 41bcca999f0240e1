import shutil
from pathlib import Path

import pytest

from hornbook.core.errors import HornbookError
from hornbook.report.status import PLAN, status
from hornbook.report.summary import print_summary
from tests.report.sample_run import ARMS, RATES, folders


def test_every_step_with_state_and_counts(sample: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = tmp_path / "run"
    shutil.copytree(sample, run)
    (run / "steps" / ".partial-report.page-0123456789abcdef").mkdir()
    shutil.rmtree(run / "steps" / "training.raw")
    (run / PLAN).write_text('["corpus.files", "training.raw"]')
    status(run)
    lines = {line.split()[0]: line.split() for line in capsys.readouterr().out.splitlines() if line.strip()}
    assert lines["corpus.files"] == ["corpus.files", "done", "2", "h", "3.0", "9", "8", "812", "MB"]
    assert lines["training.raw"] == ["training.raw", "missing"]
    assert lines["report.page"][:2] == ["report.page", "partial"]
    assert set(lines) >= set(folders(run))
    names = [name for name in lines if "." in name and "/" not in name]
    assert names.index("curation.scores") < names.index("evaluation.raw") < names.index("report.page")


def test_a_run_that_does_not_exist_is_told(tmp_path: Path) -> None:
    for command in (status, print_summary):
        with pytest.raises(HornbookError, match="There is no run"):
            command(tmp_path / "none")


def test_the_summary_has_every_arm_set_and_the_report(sample: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (sample / "report.html").touch()
    print_summary(sample)
    text = capsys.readouterr().out
    assert all(name in text for name in (*ARMS, *RATES))
    assert "[" in text and "indicative, one seed" in text and "Best arm" in text
    assert "corpus 412,345, lessons 204,331" in text
    assert str(sample / "report.html") in text.replace("\n", "")


def test_a_run_without_a_verdict_has_an_empty_summary(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "steps").mkdir()
    print_summary(tmp_path)
    assert capsys.readouterr().out.strip() == ""
