from pathlib import Path

import pytest

from tests.report.sample_run import make_run


@pytest.fixture(scope="session")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run made by hand; tests only read it."""
    return make_run(tmp_path_factory.mktemp("runs") / "sample")
