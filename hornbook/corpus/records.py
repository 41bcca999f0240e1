"""Tables of records as sources: JSON lines and Parquet, whatever their columns are called."""

from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any

from hornbook.core.errors import HornbookError
from hornbook.corpus import jsonl, parquet
from hornbook.corpus.config import Columns
from hornbook.corpus.languages import language_called, language_of, language_of_shebang, languages_of_name
from hornbook.corpus.listing import File, Listing, Record, Skipped
from hornbook.corpus.places import find

JSONL_SUFFIXES = tuple(f"{name}{packed}" for name in (".jsonl", ".ndjson") for packed in ("", ".gz", ".zst"))
PARQUET_SUFFIXES = (".parquet",)
# Usual names of columns, the best first.
_USUAL = {
    "text": "text content contents body raw_content code markdown document article passage completion".split(),
    "id": "id uid uuid doc_id document_id _id".split(),
    "license": "license licence license_type".split(),
    "language": "language lang".split(),
    "path": "path file_path filename max_stars_repo_path".split(),
    "url": "url uri".split(),
    "title": "title".split(),
    "source": ["source"],
}
_TO_META = ("id", "language", "path", "url", "title", "source")
_MANY = 20  # columns named in an error


def list_records(paths: Sequence[str], suffixes: tuple[str, ...], config: Columns, limit: int) -> Listing:
    """The files that paths and globs name; which columns are read is decided by the first file.

    Raises HornbookError where there is no file, and where a column that was asked for, or any for the text, is
    missing: it names the columns that are there.
    """
    listing = Listing(source=config.name or source_name(paths), license="", version="", files=[], read=no_reader)
    for path in paths:
        files, skipped = find(path, suffixes)
        listing.files += files
        listing.skipped += skipped
    listing.remedy = f"Look whether {', '.join(paths)} names {' or '.join(suffixes[:3])} files with texts."
    return with_columns(listing, config, limit)


def with_columns(listing: Listing, config: Columns, limit: int) -> Listing:
    """Give a listing of JSONL and Parquet files its reader."""
    listing.files = _distinct(listing.files)
    if listing.files:
        columns = _resolve(listing.files, config, limit)
        listing.read = partial(read_records, columns=columns, limit=limit)
        listing.split = split
    return listing


def no_reader(file: File) -> Iterator[Record | Skipped]:
    """The reader of a listing without files."""
    raise AssertionError(file)


def read_records(file: File, columns: Columns, limit: int) -> Iterator[Record | Skipped]:
    """The records of a file or of a part of one; `origin` is the file and the running number of the record."""
    wanted = {name: getattr(columns, name) for name in _USUAL if getattr(columns, name)}
    module = parquet if is_parquet(file) else jsonl
    tops = sorted({path.split(".")[0] for path in [*wanted.values(), *columns.meta]})
    for number, row, repaired in module.rows(file, tops, limit):
        origin = f"{file.origin}:{number}"
        if isinstance(row, str):
            yield Skipped(origin, row)
            continue
        text = dig(row, wanted["text"])
        if not isinstance(text, str):
            yield Skipped(origin, "no text")
        elif len(text) > limit:
            yield Skipped(origin, "too large")
        else:
            yield _record(origin, text, row, wanted, columns, repaired)


def _record(
    origin: str, text: str, row: dict[str, Any], wanted: dict[str, str], columns: Columns, repaired: tuple[str, ...]
) -> Record:
    meta = {name: dig(row, wanted[name]) for name in _TO_META if name in wanted}
    meta |= {path: dig(row, path) for path in columns.meta}
    meta = {name: value for name, value in meta.items() if value not in (None, "")}
    language = language_called(str(meta.get("language", wanted.get("language", ""))))
    path = str(meta.get("path", ""))
    if language is None and languages_of_name(path):
        language = language_of(path, text)
    if language is not None:
        meta["language"] = language
    kind = columns.kind or ("code" if language else "text")
    if kind == "code" and language is None:
        meta["language"] = language_of_shebang(text) or "unknown"
    license = dig(row, wanted["license"]) if "license" in wanted else None
    named = "; ".join(map(str, license)) if isinstance(license, list) else str(license or "")
    return Record(origin, text, kind, meta, named, repaired)


def split(file: File, about: int) -> list[File]:
    """A large file in parts of about so many bytes, where that can be done without reading all of it again."""
    return (parquet if is_parquet(file) else jsonl).split(file, about)


def is_parquet(file: File) -> bool:
    """Whether a file is Parquet; otherwise it is JSON lines."""
    return file.path.lower().endswith(PARQUET_SUFFIXES)


def dig(row: dict[str, Any], path: str) -> Any:
    """The value of a column; dots go into nested ones unless the column itself is called so."""
    if path in row:
        return row[path]
    value: Any = row
    for key in path.split("."):
        value = value.get(key) if isinstance(value, dict) else None
    return value


def _resolve(files: list[File], config: Columns, limit: int) -> Columns:
    """Names for the columns that are there, found by their usual names where the recipe does not give them."""
    found: dict[str, Any] = {}
    for file in files:  # the first that can be read and is not empty
        found = (parquet if is_parquet(file) else jsonl).sample(file, limit)
        if found:
            break
    else:
        return config.model_copy(update={"text": config.text or "text"})  # reading will say what is wrong
    listed = ", ".join(list(found)[:_MANY]) + (" ..." if len(found) > _MANY else "")
    given = {name: getattr(config, name) for name in _USUAL}
    if config.language and language_called(config.language):
        given.pop("language")  # no column, but the language of all records
    for asked in [*given.values(), *config.meta]:
        if asked and asked not in found and (asked.split(".")[0] not in found or "." not in asked):
            raise HornbookError(f"{file.path} has no column {asked}.", f"Its columns are {listed}.")
    usual = {
        name: next((c for c in names if c in found and (name != "text" or isinstance(found[c], str))), None)
        for name, names in _USUAL.items()
        if getattr(config, name) is None
    }
    if config.text is None and usual["text"] is None:
        raise HornbookError(
            f"Which column of {file.path} is the text? Its columns are {listed}.",
            "Name it in the recipe, for instance `text: " + next(iter(found), "content") + "`.",
        )
    return config.model_copy(update={name: column for name, column in usual.items() if column})


def source_name(paths: Sequence[str]) -> str:
    """A name for the source: the last folder before a wildcard, or the name of the file without its suffixes."""
    parts = [part for part in paths[0].rstrip("/").split("/") if part]
    fixed = [part for part in parts if not any(mark in part for mark in "*?[")]
    name = fixed[-1] if fixed else "records"
    for suffix in (*JSONL_SUFFIXES[::-1], *PARQUET_SUFFIXES, ".warc.gz", ".warc", ".wet.gz", ".wet"):
        name = name.removesuffix(suffix) or name
    return name


def _distinct(files: list[File]) -> list[File]:
    """Sorted by origin, each once; HornbookError where two different files would be called the same."""
    by_origin: dict[str, File] = {}
    for file in files:
        other = by_origin.setdefault(file.origin, file)
        if other.path != file.path:
            raise HornbookError(
                f"{other.path} and {file.path} would both be called {file.origin}.",
                "Make two sources of them, each with a `name:`.",
            )
    return sorted(by_origin.values(), key=lambda file: file.origin)
