"""Datasets in the layout of Hugging Face: by name, or from a folder of the same layout."""

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import yaml

from hornbook.core.errors import HornbookError
from hornbook.corpus.config import Dataset
from hornbook.corpus.listing import File, Listing
from hornbook.corpus.places import find, matches, open_bytes
from hornbook.corpus.records import JSONL_SUFFIXES, PARQUET_SUFFIXES, no_reader, with_columns

_SUFFIXES = (*PARQUET_SUFFIXES, *JSONL_SUFFIXES, ".json")
_SPLITS = {
    "train": ("train", "training"),
    "validation": ("validation", "valid", "val", "dev"),
    "test": ("test", "testing", "eval", "evaluation"),
}


def list_dataset(config: Dataset, max_file_bytes: int) -> Listing:
    """The files of one split: those that the card (README.md) names, else those whose path says so.

    A dataset whose files name no split is all `train`. Raises HornbookError where nothing can be found.
    """
    local = Path(config.dataset).is_dir()
    place = config.dataset.rstrip("/") if local else f"hf://datasets/{config.dataset}"
    if config.revision and not local:
        place += f"@{config.revision}"
    files, skipped = find(place, (*_SUFFIXES, "readme.md"))
    card = _card(files)
    data = [file for file in files if file.origin.lower().endswith(_SUFFIXES)]
    chosen = _by_card(card, data, config) if card.get("configs") else _by_path(data, config)
    name = config.name or (Path(config.dataset).resolve().name if local else config.dataset)
    license = card.get("license") or ""
    listing = Listing(
        source=name,
        license="; ".join(map(str, license)) if isinstance(license, list) else str(license),
        version=config.revision or "",
        files=chosen,
        read=no_reader,
        skipped=skipped,
        remedy="Look at the dataset's files, and give `split:` and `subset:`.",
    )
    return with_columns(listing, config, max_file_bytes)


def _card(files: list[File]) -> dict[str, Any]:
    """The front matter of README.md."""
    for file in files:
        if file.origin.lower() == "readme.md":
            with open_bytes(file.path) as opened:
                text = bytes(opened.read(1 << 20)).decode("utf-8", "replace")
            match = re.match(r"---\s*\n(.*?)\n---\s*(?:\n|$)", text.replace("\r\n", "\n"), re.DOTALL)
            try:
                card = yaml.safe_load(match[1]) if match else None
            except yaml.YAMLError:
                card = None
            return card if isinstance(card, dict) else {}
    return {}


def _by_card(card: dict[str, Any], files: list[File], config: Dataset) -> list[File]:
    """Files by the `configs:` of the card."""
    configs = {entry.get("config_name", "default"): entry for entry in card["configs"] if isinstance(entry, dict)}
    first = next((name for name, entry in configs.items() if entry.get("default") or name == "default"), None)
    name = config.subset or first or next(iter(configs), None)
    if name not in configs:
        raise HornbookError(
            f"{config.dataset} has no subset {name}.", f"Give `subset:` one of {', '.join(map(str, configs))}."
        )
    given = configs[name].get("data_files", "**")
    splits = given if isinstance(given, list) else [{"split": "train", "path": given}]
    patterns: dict[str, list[str]] = {}
    for entry in splits:
        split, path = (entry.get("split", "train"), entry["path"]) if isinstance(entry, dict) else ("train", entry)
        patterns.setdefault(split, []).extend([path] if isinstance(path, str) else path)
    if config.split not in patterns:
        raise HornbookError(
            f"{config.dataset} has no split {config.split}.", f"Give `split:` one of {', '.join(patterns)}."
        )
    folder = (configs[name].get("data_dir") or "").strip("/")
    wanted = [f"{folder}/{pattern}".lstrip("/") for pattern in patterns[config.split]]
    return [file for file in files if any(matches(pattern, file.origin) for pattern in wanted)]


def _by_path(files: list[File], config: Dataset) -> list[File]:
    """Files by the words in their paths."""
    if config.subset:
        files = [file for file in files if config.subset in _parts(file.origin)]
    named = {file.origin: split for file in files if (split := _split_of(file.origin))}
    if not named:
        return files if config.split == "train" else []
    wanted = next((name for name, words in _SPLITS.items() if config.split in words), config.split)
    return [file for file in files if named.get(file.origin, "") == wanted or config.split in _parts(file.origin)]


def _split_of(origin: str) -> str | None:
    words = re.split(r"[^a-z]+", origin.lower())
    return next((name for name, known in _SPLITS.items() if not set(known).isdisjoint(words)), None)


def _parts(origin: str) -> Iterable[str]:
    return {part for piece in origin.split("/") for part in (piece, piece.split(".")[0], re.split(r"[-.]", piece)[0])}
