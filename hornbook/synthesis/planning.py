"""The plan of a section: all its seeds, in an order that depends on the recipe alone."""

from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import pyarrow.parquet as pq

from hornbook.core.documents import count_rows, shards
from hornbook.core.errors import HornbookError
from hornbook.synthesis.clusters import cluster_topics
from hornbook.synthesis.config import OF_PASSAGES, Clusters, Outline, SynthesisConfig, WriterConfig
from hornbook.synthesis.seeds import Passage, Seed, draw, shipped_plan
from hornbook.synthesis.topics import Tree, builtin_tree, leaves, read_outline
from hornbook.synthesis.writers import WRITERS

_MOST_PASSAGES = 1_000_000  # that are held at a time


class Plan:
    """The seeds of a section; iterate as often as you like.

    `documents` is a folder of the passages that writers read; None where none is read. HornbookError for an outline
    that cannot be read, and for passages where there are none.
    """

    def __init__(self, name: str, config: SynthesisConfig, documents: Path | None = None) -> None:
        self.name, self.config = name, config
        self._passages: list[Passage] = []
        if config.reads_passages:
            if documents is None or not count_rows(documents):
                raise HornbookError(
                    f"synthesis.{name} reads passages, and there are none.", "Add sources to the corpus."
                )
            self._passages = list(islice(_read(documents), self._wanted()))
        self.tree = self._tree()

    def __len__(self) -> int:
        if self.config.plan:
            return sum(1 for _ in shipped_plan(self.config.plan))
        return sum(options.items for options in self.config.writers.values())

    def __iter__(self) -> Iterator[Seed]:
        if self.config.plan:
            yield from shipped_plan(self.config.plan)
            return
        for writer in self.config.writers:
            yield from self.of(writer)

    def of(self, writer: str) -> Iterator[Seed]:
        """The seeds of one writer."""
        if self.config.plan:
            yield from (seed for seed in self if seed.writer == writer)
            return
        known, options = WRITERS[writer], self.options(writer)
        passages = [p for p in self._passages if writer != "instruction" or p.kind == "code"]
        formats = known.formats(options)
        yield from draw(self.name, writer, known.needs, formats, self.config, leaves(self.tree), passages)

    def options(self, writer: str) -> WriterConfig:
        """What the recipe says of a writer."""
        return self.config.writers.get(writer) or WriterConfig(items=1)  # type: ignore[call-overload]

    @property
    def writers(self) -> list[str]:
        """Their names, in the order of the plan."""
        return list(dict.fromkeys(seed.writer for seed in self)) if self.config.plan else list(self.config.writers)

    def _wanted(self) -> int:
        """How many passages are needed."""
        writers = self.config.writers
        reading = max((writers[name].items for name in OF_PASSAGES if name in writers), default=0)
        clustered = self.config.topics.sample if isinstance(self.config.topics, Clusters) else 0
        return min(_MOST_PASSAGES, max(4 * reading, clustered))  # more than are used: not all of them are code

    def _tree(self) -> Tree:
        topics = self.config.topics
        if isinstance(topics, Outline):
            return read_outline(topics.outline)
        if isinstance(topics, Clusters):
            texts = [passage.text for passage in self._passages[: topics.sample]]
            return cluster_topics(texts, topics.clusters, topics.subtopics, self.config.seed)
        return builtin_tree(topics)


def _read(documents: Path) -> Iterator[Passage]:
    """Passages in the order of their folder, which is a seeded one. Lessons are not made into lessons again."""
    for path in shards(documents):
        for batch in pq.ParquetFile(path).iter_batches(1000, columns=["id", "text", "source", "license", "kind"]):
            for row in batch.to_pylist():
                if row["kind"] != "synthetic":
                    yield Passage(row["id"], row["text"], row["source"], row["license"], row["kind"])
