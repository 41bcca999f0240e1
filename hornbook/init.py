"""A recipe for one's own files, made from the laptop recipe."""

import os
from pathlib import Path

import yaml

from hornbook.core.documents import atomic_write
from hornbook.core.errors import HornbookError
from hornbook.corpus.config import Source, SourcesConfig, relative_to
from hornbook.corpus.guess import source_of
from hornbook.corpus.sources import list_sources

_WORTH_TRAINING = 3_000_000  # bytes that the best passages should have together, if the folder is large enough


def init_recipe(folder: Path, source: str | Path) -> Path:
    """Write `folder/recipe.yaml`, the laptop recipe with the files of `source` in place of Python's own.

    `source` is a folder, or JSONL, Parquet, WARC or WET files. The smaller it is, the larger the share of it that
    counts as best: from 2 to 30 %.
    """
    path = Path(folder) / "recipe.yaml"
    if path.exists():
        raise HornbookError(f"{path} exists.", "Remove it, or name another folder.")
    text = (Path(__file__).parent / "recipes" / "laptop-python.yaml").read_text()
    config = SourcesConfig(sources=[relative_to(source_of(str(source)), Path.cwd())])
    size = sum(file.size for listing in list_sources(config) for file in listing.files)
    path.parent.mkdir(parents=True, exist_ok=True)
    name = "".join(c if c.isalnum() or c in "._-" else "-" for c in path.parent.resolve().name) or "mine"
    share = round(min(0.3, max(0.02, _WORTH_TRAINING / max(size, 1))), 2)
    text = text.replace("top_share: 0.02", f"top_share: {share:g}")
    entry = _entry(config.sources[0], path.parent.resolve())
    atomic_write(path, _with_sources(text, name, entry))
    return path


def _entry(source: Source, folder: Path) -> dict[str, str]:
    """A source as a recipe in `folder` says it: with a relative path, or the address or name."""
    [(key, value)] = source.model_dump(mode="json", exclude_defaults=True).items()
    path = value[0] if isinstance(value, list) else value
    if os.path.isabs(path):  # the last part stays as it is, because a link may be called otherwise than its target
        path = os.path.relpath(os.path.join(os.path.realpath(os.path.dirname(path)), os.path.basename(path)), folder)
    return {key: path}


def _with_sources(text: str, name: str, entry: dict[str, str]) -> str:
    head, rest = text.split("  sources:\n")
    after = next(i for i, line in enumerate(rest.splitlines()) if not line.startswith("    "))
    first = yaml.safe_dump(entry, sort_keys=False, allow_unicode=True, width=1000).splitlines()[0]
    sources = f"    - {first}\n    - builtin: python-textbook\n"
    text = f"{head}  sources:\n{sources}" + "\n".join(rest.splitlines()[after:]) + "\n"
    return "\n".join(f"name: {name}" if line.startswith("name:") else line for line in text.splitlines()) + "\n"
