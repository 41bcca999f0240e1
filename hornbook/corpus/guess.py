"""Which kind of source a path is, for `hornbook init`."""

from collections import Counter
from pathlib import Path

from hornbook.core.errors import HornbookError
from hornbook.corpus.config import Dataset, Folder, Jsonl, Parquet, Source, Warc
from hornbook.corpus.records import JSONL_SUFFIXES, PARQUET_SUFFIXES

_HUB = "hf://datasets/"
_WARC_SUFFIXES = tuple(f"{name}{packed}" for name in (".warc", ".wet") for packed in ("", ".gz", ".zst"))
_LOOKED_AT = 1000  # files of a folder


def source_of(path: str) -> Source:
    """The source that a path, glob or address names, by the suffixes of the files.

    A folder in which most files are JSONL, Parquet, WARC or WET is one of those; any other is a folder of text and
    code. Raises HornbookError for what is nowhere or of no known kind.
    """
    if path.startswith(_HUB):
        return Dataset(dataset=path.removeprefix(_HUB))
    local = Path(path).expanduser()
    if local.is_dir():
        files = [file for _, file in zip(range(_LOOKED_AT), local.rglob("*"), strict=False) if file.is_file()]
        kinds = Counter(_kind(file.name) for file in files)
        kind = kinds.most_common(1)[0][0] if kinds else ""
        if kind == "warc":
            return Warc(warc=[path])
        return Dataset(dataset=path) if kind else Folder(folder=Path(path))
    match _kind(path):
        case "jsonl":
            return Jsonl(jsonl=[path])
        case "parquet":
            return Parquet(parquet=[path])
        case "warc":
            return Warc(warc=[path])
    if local.exists():
        raise HornbookError(f"{path} is no source.", "Give a folder, or JSONL, Parquet, WARC or WET files.")
    raise HornbookError(
        f"There is no folder {path}.", "Name a folder with your files, or JSONL, Parquet, WARC or WET files."
    )


def _kind(name: str) -> str:
    name = name.lower()
    for kind, suffixes in (("jsonl", JSONL_SUFFIXES), ("parquet", PARQUET_SUFFIXES), ("warc", _WARC_SUFFIXES)):
        if name.endswith(suffixes):
            return kind
    return ""
