"""Python files that come with the interpreter and with installed distributions."""

import csv
import hashlib
import platform
import sysconfig
from collections import Counter
from functools import partial
from importlib import metadata
from pathlib import Path

from hornbook.core.errors import HornbookError
from hornbook.corpus.config import canonical_name
from hornbook.corpus.files import read_python
from hornbook.corpus.folders import walk
from hornbook.corpus.listing import File, Listing

# Copies of other packages, whose licence and origin are not those of the distribution. They would also bring in
# packages that the evaluation holds out.
VENDORED_FOLDERS = frozenset({"_vendor", "_vendored", "vendor", "vendored", "extern", "externals", "third_party"})


def list_standard_library(max_file_bytes: int) -> Listing:
    """All Python files of the standard library, its test suite included, site-packages excluded."""
    root = Path(sysconfig.get_paths()["stdlib"])
    files, skipped = walk(root, lambda origin: origin.endswith(".py"), max_file_bytes)
    return Listing(
        source="stdlib",
        license="PSF-2.0",
        version=platform.python_version(),
        files=files,
        read=partial(read_python, meta={"version": platform.python_version()}),
        clean=False,
        skipped=skipped,
        remedy="This interpreter keeps its library in an archive: use a Python from python.org, uv or a distribution.",
    )


def list_distribution(name: str, max_file_bytes: int) -> Listing:
    """The Python files of an installed distribution, from the list its installer left."""
    try:
        distribution = metadata.distribution(name)
    except metadata.PackageNotFoundError as error:
        raise HornbookError(
            f"The distribution {name} is not installed.",
            f"Run `pip install {name}`, or take it out of the recipe.",
        ) from error
    files: list[File] = []
    skipped: Counter[str] = Counter()
    record = distribution.read_text("RECORD") or ""
    origins = [row[0] for row in csv.reader(record.splitlines()) if row] or [str(f) for f in distribution.files or []]
    for origin in sorted({origin for origin in origins if origin.endswith(".py")}):
        parts = origin.split("/")
        if ".." in parts or origin.startswith("/"):
            continue  # scripts outside of the package folder
        if not VENDORED_FOLDERS.isdisjoint(parts):
            skipped["vendored copy"] += 1
            continue
        path = Path(str(distribution.locate_file(origin)))
        size = path.stat().st_size if path.is_file() else -1
        reason = "missing" if size < 0 else "empty" if size == 0 else "too large" if size > max_file_bytes else ""
        if reason:
            skipped[reason] += 1
        else:
            files.append(File(str(path), origin, size))
    return Listing(
        source=canonical_name(distribution.metadata["Name"]),
        license=_license(distribution),
        version=distribution.version,
        files=files,
        read=partial(read_python, meta={"version": distribution.version} if distribution.version else {}),
        clean=False,
        skipped=skipped,
        digest=_digest(distribution.version, record),
        remedy=f"If {name} is an editable install, name its source with `folder:` instead.",
    )


def _digest(version: str, record: str) -> str:
    """Hash of the version and of RECORD, which holds the SHA-256 of every file; "" where there are no hashes."""
    if ",sha256=" not in record:
        return ""
    return hashlib.blake2b(f"{version}\0{record}".encode(), digest_size=16).hexdigest()


def _license(distribution: metadata.Distribution) -> str:
    """Licence as the metadata tells it: SPDX expression, else the classifier, else a short licence field."""

    def field(name: str) -> list[str]:
        return [value.strip() for value in distribution.metadata.get_all(name) or []]

    names = [value.rpartition(" :: ")[2] for value in field("Classifier") if value.startswith("License ::")]
    short = [value for value in field("License") if 0 < len(value) <= 60]
    return "; ".join(field("License-Expression") or names or short)
