"""Token stores of Python functions, made once."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from tests.training.stores import write_inputs


@pytest.fixture(scope="session")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return write_inputs(tmp_path_factory.mktemp("arm"))


@pytest.fixture(scope="session")
def inputs_with_lessons(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return write_inputs(tmp_path_factory.mktemp("arm_with_lessons"), lessons=True)


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    """Models of the tests are tiny: a second thread costs more than it brings."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)
