"""`hornbook export` writes a checked file that opens again, or says why not."""

from pathlib import Path
from typing import Any

import pytest

from hornbook.core.errors import HornbookError
from hornbook.deployment.export import export_file
from hornbook.model.gguf_read import read
from tests.miniature import hornbook
from tests.model.llama_files import tiny_llama, write_llama_folder
from tests.model.tiny import SHAPES, tiny_folder


def test_a_folder_becomes_a_checked_file(tmp_path: Path) -> None:
    tiny_folder(tmp_path / "mine", **SHAPES["parallel blocks"])
    done = hornbook("export", "mine", "--type", "Q4_0", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "equal top tokens" in done.stdout and "Wrote mine-Q4_0.gguf" in done.stdout
    assert read(tmp_path / "mine-Q4_0.gguf").config.block == "parallel"


def test_a_model_of_others_and_a_limit(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_llama_folder(tmp_path / "llama", tiny_llama())
    capsys.readouterr()
    export_file(tmp_path / "llama", tmp_path / "x.gguf", "BF16", compared=False)
    assert capsys.readouterr().err == "" and read(tmp_path / "x.gguf").config.projections == "fused"
    tiny_folder(tmp_path / "windowed", sliding_window=64)
    export_file(tmp_path / "windowed", tmp_path / "y.gguf", "Q8_0", compared=False)
    assert "y.gguf: llama.cpp ignores the sliding window of 64" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("source", "target", "file_type", "reason"),
    [
        ("nothing", "x.gguf", "F16", "no model in .*nothing"),
        ("narrow", "x.gguf", "Q8_0", "72 weights, not a multiple of 32"),
        ("narrow", "no/x.gguf", "F16", "no folder .*no"),
    ],
)
def test_what_cannot_be_written_is_one_error(
    tmp_path: Path, source: str, target: str, file_type: Any, reason: str
) -> None:
    tiny_folder(tmp_path / "narrow", intermediate_size=72)
    with pytest.raises(HornbookError, match=reason):
        export_file(tmp_path / source, tmp_path / target, file_type)
    assert not [*tmp_path.rglob("*.gguf*")]


def test_the_help_has_examples(tmp_path: Path) -> None:
    text = hornbook("export", "--help", cwd=tmp_path).stdout
    assert "hornbook export runs/laptop-python/models/final --type Q4_0 -o tiny.gguf" in " ".join(text.split())
