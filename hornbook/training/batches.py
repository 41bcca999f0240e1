"""Batches of an arm: in which order its tokens are read, as a pure function of the step.

A source is the endless row of its documents, epoch after epoch, every epoch in another seeded order. Rows are
cut from it one after the other, so nothing is padded or dropped; a row overlaps the next by one token, which
is a target in one and an input in the other. No state to save: step n is the same after a resume.

With a curriculum, what is read stays the same and is put in order of level: easy first, or hard first.

Shapes in names: B rows, T positions, N documents.
"""

import hashlib
import json
import math
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from scipy.stats import rankdata

from hornbook.core.documents import read_table, seeded_order
from hornbook.core.errors import HornbookError
from hornbook.tokenization.shards import TokenStore
from hornbook.training.config import TrainConfig
from hornbook.training.schedule import Segment, plan_segments

CORPUS, LESSONS = "corpus", "lessons"


@dataclass(frozen=True)
class Curriculum:
    """How far documents come in the order of their level (`strength`, -1 to 1), over the `tokens` that are read."""

    strength: float
    level_N: np.ndarray
    tokens: int


class Source:
    """The endless, seeded order of the tokens of one store."""

    def __init__(self, store: TokenStore, seed: int) -> None:
        self.store, self.seed = store, seed
        self.tokens = len(store.tokens)
        self.curriculum: Curriculum | None = None
        self._lengths = np.diff(store.boundaries)
        self._epoch = lru_cache(maxsize=2)(self._order)
        self.ids = store.ids()

    def _order(self, epoch: int) -> tuple[np.ndarray, np.ndarray]:
        """Documents in the order of an epoch, and where each of them ends."""
        order = np.argsort(seeded_order(self.ids, (self.seed << 16) + epoch), kind="stable")
        if self.curriculum:
            order = self._by_level(order, self.curriculum.tokens - epoch * self.tokens)
        return order, np.cumsum(self._lengths[order])

    def _by_level(self, order_N: np.ndarray, tokens: int) -> np.ndarray:
        """The same order with the documents that hold its first `tokens` tokens sorted by level and chance."""
        assert self.curriculum
        strength = self.curriculum.strength
        count = int(np.searchsorted(np.cumsum(self._lengths[order_N]), tokens)) + 1
        read = order_N[:count]
        level = rankdata(math.copysign(1, strength) * self.curriculum.level_N[read])
        key = abs(strength) * level + (1 - abs(strength)) * np.arange(1, len(read) + 1)
        return np.concatenate([read[np.argsort(key, kind="stable")], order_N[count:]])

    def read(self, start: int, count: int) -> np.ndarray:
        """`count` token ids from position `start` of the endless order, as int64."""
        out = np.empty(count, np.int64)
        filled = 0
        while filled < count:
            epoch, offset = divmod(start + filled, self.tokens)
            order, ends = self._epoch(epoch)
            place = int(np.searchsorted(ends, offset, side="right"))
            document = self.store.document(int(order[place]))
            skipped = offset - (int(ends[place]) - len(document))
            piece = document[skipped : skipped + count - filled]
            out[filled : filled + len(piece)] = piece
            filled += len(piece)
        return out


class DataOrder:
    """All batches of an arm. `scores` is the folder of curation's scores; only a curriculum needs it.

    Raises HornbookError when a source that the recipe asks for has no tokens, or a document no level.
    """

    def __init__(self, folder: Path, config: TrainConfig, scores: Path | None = None) -> None:
        self.config = config
        wanted = {CORPUS: min(config.shares) < 1, LESSONS: max(config.shares) > 0}
        self.sources = {name: _open(folder / name, config) for name, needed in wanted.items() if needed}
        if config.curriculum:
            last = plan_segments(config)[-1]
            tokens = self.tokens_read(last, last.last)
            for name, source in self.sources.items():
                source.curriculum = Curriculum(config.curriculum, _levels(source, scores), tokens[name])

    def batch(self, segment: Segment, step: int) -> np.ndarray:
        """Token ids int64 [B, T + 1] of a step: inputs are all but the last, targets all but the first."""
        context, rows = self.config.context, self.config.batch_rows
        out = np.empty((rows, context + 1), np.int64)
        for i, row in enumerate(range(step * rows, (step + 1) * rows)):
            lessons = self._lessons_before(row, segment)
            is_lesson = self._lessons_before(row + 1, segment) > lessons
            source, place = (LESSONS, lessons) if is_lesson else (CORPUS, row - lessons)
            out[i] = self.sources[source].read(place * context, context + 1)
        return out

    def tokens_read(self, segment: Segment, steps: int) -> dict[str, int]:
        """How many tokens of each source the model of a branch has read after `steps` steps."""
        rows = steps * self.config.batch_rows
        lessons = self._lessons_before(rows, segment)
        read = {CORPUS: rows - lessons, LESSONS: lessons}
        return {name: read[name] * self.config.context for name in self.sources}

    def _lessons_before(self, row: int, segment: Segment) -> int:
        """How many of the first `row` rows of a branch are lessons: evenly spread, as the shares say."""
        trunk, decay = self.config.shares
        branched = segment.first * self.config.batch_rows if segment.is_decay else row
        stable = min(row, branched)
        return math.floor(stable * trunk + 0.5) + math.floor((row - stable) * decay + 0.5)

    def fingerprint(self) -> str:
        """Hash of everything that decides which tokens come when."""
        config = self.config
        described = [config.seed, config.context, config.batch_tokens, config.shares, config.decay_share]
        described += [config.curriculum, config.finetune.tokens if config.finetune else 0]
        digest = hashlib.blake2b(json.dumps([*described, sorted(config.budgets)]).encode(), digest_size=16)
        for name, source in self.sources.items():
            digest.update(json.dumps([name, source.store.meta], sort_keys=True).encode())
            digest.update(source.store.boundaries.tobytes())
            digest.update((source.store.folder / "ids.txt").read_bytes())
        return digest.hexdigest()


def _open(folder: Path, config: TrainConfig) -> Source:
    if not (folder / "meta.json").exists():
        remedy = "Set lesson_share to 0, or give this arm lessons." if folder.name == LESSONS else ""
        raise HornbookError(f"The arm has no tokens of its source `{folder.name}`.", remedy)
    store = TokenStore.open(folder)
    if not len(store.tokens):
        raise HornbookError(
            f"The source `{folder.name}` of the arm has 0 tokens: its selection kept nothing.",
            "Lower the thresholds of the arm, or add sources.",
        )
    return Source(store, config.seed)


def _levels(source: Source, scores: Path | None) -> np.ndarray:
    """The level of every document of a source."""
    if scores is None:
        raise HornbookError("A curriculum needs scores.", "Set the arm's filter to classifier, or its curriculum to 0.")
    table = read_table(scores, ["id", "level"])
    row = pc.index_in(pa.array(source.ids), value_set=table["id"])
    if row.null_count:
        raise HornbookError(f"{row.null_count:,} documents have no level.", "Delete the scores and run again.")
    return table["level"].take(row).to_numpy()
