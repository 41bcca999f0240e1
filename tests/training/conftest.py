"""Token stores of Python functions, made once."""

from pathlib import Path

import pytest

from tests.training.stores import write_inputs


@pytest.fixture(scope="session")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return write_inputs(tmp_path_factory.mktemp("arm"))


@pytest.fixture(scope="session")
def inputs_with_lessons(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return write_inputs(tmp_path_factory.mktemp("arm_with_lessons"), lessons=True)
