"""The sources of a recipe as listings of files."""

from collections import Counter
from collections.abc import Mapping
from pathlib import Path

from hornbook.core.errors import HornbookError
from hornbook.corpus.builtin import list_builtin, list_written
from hornbook.corpus.config import (
    Builtin,
    Dataset,
    Distributions,
    Folder,
    Jsonl,
    Parquet,
    Source,
    SourcesConfig,
    Synthesis,
    Warc,
)
from hornbook.corpus.datasets import list_dataset
from hornbook.corpus.distributions import list_distribution, list_standard_library
from hornbook.corpus.folders import list_folder
from hornbook.corpus.listing import Listing
from hornbook.corpus.records import JSONL_SUFFIXES, PARQUET_SUFFIXES, list_records


def list_sources(config: SourcesConfig, inputs: Mapping[str, Path] | None = None) -> list[Listing]:
    """The files of every source, in the order of the recipe; every source has files and a name of its own.

    What earlier steps wrote is in `inputs`, by the names of the steps; without inputs it is left out.
    """
    listings: list[Listing] = []
    for source in config.sources:
        if not isinstance(source, Synthesis):
            listings += _list(source, config.max_file_bytes)
        elif inputs is not None:
            listings.append(list_written(source.synthesis, inputs[f"synthesis.{source.synthesis}"]))
    names = Counter(listing.source for listing in listings)
    for listing in listings:
        if names[listing.source] > 1:
            raise HornbookError(
                f"Two sources are called {listing.source}.",
                "List each distribution once, and give folders and files of equal name different ones with `name:`.",
            )
        if not listing.files:
            skipped = ", ".join(f"{n} {reason}" for reason, n in sorted(listing.skipped.items()))
            found = f"only files that are not read: {skipped}" if skipped else "no file of a kind that is read"
            raise HornbookError(f"The source {listing.source} has {found}.", listing.remedy)
    return listings


def _list(source: Source, limit: int) -> list[Listing]:
    match source:
        case Builtin():
            return [list_builtin(source.builtin)]
        case Folder():
            return [list_folder(source, limit)]
        case Distributions():
            return [list_distribution(name, limit) for name in source.distributions]
        case Jsonl():
            return [list_records(source.jsonl, JSONL_SUFFIXES, source, limit)]
        case Parquet():
            return [list_records(source.parquet, PARQUET_SUFFIXES, source, limit)]
        case Dataset():
            return [list_dataset(source, limit)]
        case Warc():
            from hornbook.corpus.warc import list_warc

            return [list_warc(source, limit)]
        case _:
            return [list_standard_library(limit)]
