"""Where files are: on this machine, on S3 (`s3://`), or wherever fsspec goes (`hf://` ...)."""

import glob
import os
import re
from collections import Counter
from collections.abc import Collection
from functools import cache
from pathlib import Path, PurePosixPath
from typing import Any

import pyarrow as pa
import pyarrow.fs as pafs

from hornbook.core.errors import HornbookError
from hornbook.corpus.folders import walk
from hornbook.corpus.listing import File

_REMOTE = re.compile(r"[a-z][a-z0-9+.-]+://")
_COMPRESSIONS = {".gz": "gzip", ".zst": "zstd"}
_NO_LIMIT = 1 << 62


def is_remote(path: str) -> bool:
    """Whether a path names a place outside of this machine."""
    return _REMOTE.match(path) is not None


def find(pattern: str, suffixes: Collection[str]) -> tuple[list[File], Counter[str]]:
    """The files that a path or glob names, sorted, and why others were passed over.

    A folder stands for all files in it with one of `suffixes`, at any depth. In a glob `*` stays within a folder and
    `**/` is any number of folders. Origins begin at the folder, or where the glob has its first wildcard. Raises
    HornbookError for places that cannot be listed.
    """
    base, rest = _fixed_part(pattern)
    if is_remote(pattern):
        return _find_remote(base, rest, suffixes), Counter()
    if rest and not os.path.isdir(base):
        raise HornbookError(f"There is no folder {base}.", f"Correct {pattern} in the recipe.")
    if not rest and not os.path.isdir(base):
        if not os.path.isfile(base):
            raise HornbookError(f"There is no file {base}.", "Correct the path in the recipe.")
        return [File(base, os.path.basename(base), os.path.getsize(base))], Counter()
    return walk(Path(base), lambda origin: _wanted(origin, rest, suffixes), _NO_LIMIT)


def open_bytes(path: str) -> Any:
    """An Arrow file with `read`, `seek` and `size`."""
    if not is_remote(path):
        return pa.OSFile(path, "rb")
    filesystem, inner = _filesystem(path)
    return filesystem.open_input_file(inner)


def open_stream(path: str) -> Any:
    """An Arrow stream of what a file holds, decompressed if its name ends with .gz or .zst."""
    compression = _COMPRESSIONS.get(PurePosixPath(path).suffix.lower())
    opened = open_bytes(path)
    return pa.CompressedInputStream(opened, compression) if compression else opened


def is_compressed(path: str) -> bool:
    """Whether `open_stream` decompresses; such a file can only be read from its start."""
    return PurePosixPath(path).suffix.lower() in _COMPRESSIONS


def matches(pattern: str, origin: str) -> bool:
    """Whether a glob matches a whole path."""
    return _translate(pattern).fullmatch(origin) is not None


def _fixed_part(pattern: str) -> tuple[str, str]:
    """A glob as the folder before its first wildcard, and the rest; of a plain path the rest is empty."""
    parts = pattern.rstrip("/").split("/")
    first = next((i for i, part in enumerate(parts) if glob.has_magic(part)), len(parts))
    return "/".join(parts[:first]) or ("/" if pattern.startswith("/") else "."), "/".join(parts[first:])


def _wanted(origin: str, rest: str, suffixes: Collection[str]) -> bool:
    return matches(rest, origin) if rest else origin.lower().endswith(tuple(suffixes))


@cache
def _translate(pattern: str) -> re.Pattern[str]:
    """A glob as a regular expression."""
    out = ""
    for token in re.findall(r"\*\*/|\*\*|\*|\?|\[!?[^\]]+\]|.", pattern, re.DOTALL):
        special = {"**/": "(?:.*/)?", "**": ".*", "*": "[^/]*", "?": "[^/]"}
        if token.startswith("[") and len(token) > 1:
            out += token.replace("[!", "[^")
        else:
            out += special.get(token) or re.escape(token)
    return re.compile(out, re.DOTALL)


def _find_remote(base: str, rest: str, suffixes: Collection[str]) -> list[File]:
    filesystem, inner = _filesystem(base)
    try:
        info = filesystem.get_file_info(inner)
        if info.type == pafs.FileType.File and not rest:
            found = [(info, info.base_name)]
        else:
            below = filesystem.get_file_info(pafs.FileSelector(inner, recursive=True))
            files = [info for info in below if info.type == pafs.FileType.File]
            found = [(info, info.path.removeprefix(inner).lstrip("/")) for info in files]
            found = [(info, origin) for info, origin in found if _wanted(origin, rest, suffixes)]
    except Exception as error:
        raise HornbookError(f"Cannot list {base}: {error}.", "Check the address, the network and the login.") from error
    prefix = base.removesuffix(inner)
    return [
        File(f"{prefix}{info.path}", origin, info.size, _version(filesystem, info))
        for info, origin in sorted(found, key=lambda item: item[1])
    ]


def _version(filesystem: Any, info: Any) -> str:
    """What changes whenever the content of a remote file does: the store's own mark, else time and size."""
    if isinstance(filesystem, pafs.PyFileSystem):
        return str(filesystem.handler.fs.ukey(info.path))
    return f"{info.mtime_ns} {info.size}"


def _filesystem(path: str) -> tuple[Any, str]:
    """The file system of a path and the path in it: Arrow's own, else fsspec's."""
    try:
        if path.startswith(("s3://", "gs://")):
            return pafs.FileSystem.from_uri(path)
        import fsspec

        filesystem, inner = fsspec.core.url_to_fs(path)
        return pafs.PyFileSystem(pafs.FSSpecHandler(filesystem)), inner
    except (ImportError, ValueError, OSError, pa.ArrowException) as error:
        raise HornbookError(f"Cannot open {path}: {error}.", "Check the address, the network and the login.") from error
