"""One run in miniature for all tests that look at what a run leaves behind."""

from pathlib import Path

import pytest

from tests.miniature import hornbook, write_miniature


@pytest.fixture(scope="session")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which the miniature recipe has been run where `make demo` puts its run."""
    folder = tmp_path_factory.mktemp("workspace")
    done = hornbook("run", write_miniature(folder), "--run", "runs/laptop-python", cwd=folder)
    assert done.returncode == 0, done.stderr
    (folder / "first-run.txt").write_text(done.stdout)
    return folder


@pytest.fixture(scope="session")
def run(workspace: Path) -> Path:
    """The run folder of the miniature."""
    return workspace / "runs" / "laptop-python"
