from pathlib import Path

import pytest

from tests.report.sample_comparisons import make_ladder, make_leave_one_out, make_sweep
from tests.report.sample_run import make_run


@pytest.fixture(scope="session")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run made by hand; tests only read it."""
    return make_run(tmp_path_factory.mktemp("runs") / "sample")


@pytest.fixture(scope="session")
def compared(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Finished comparisons by their kind; tests only read them."""
    folder = tmp_path_factory.mktemp("compared")
    make = {"sweep": make_sweep, "leave-one-out": make_leave_one_out, "ladder": make_ladder}
    return {kind: function(folder / kind) for kind, function in make.items()}
