"""Batches of an arm: in which order its tokens are read, as a pure function of the step.

A source is the endless row of its documents, epoch after epoch, every epoch in another seeded order. Rows are
cut from it one after the other, so nothing is padded or dropped; a row overlaps the next by one token, which
is a target in one and an input in the other. No state to save: step n is the same after a resume.

Shapes in names: B rows, T positions.
"""

import hashlib
import json
import math
from functools import lru_cache
from pathlib import Path

import numpy as np

from hornbook.core.documents import seeded_order
from hornbook.core.errors import HornbookError
from hornbook.tokenization.shards import TokenStore
from hornbook.training.config import TrainConfig
from hornbook.training.schedule import Segment

CORPUS, LESSONS = "corpus", "lessons"


class Source:
    """The endless, seeded order of the tokens of one store."""

    def __init__(self, store: TokenStore, seed: int) -> None:
        self.store, self.seed = store, seed
        self.tokens = len(store.tokens)
        self._ids = store.ids()
        self._lengths = np.diff(store.boundaries)
        self._epoch = lru_cache(maxsize=2)(self._order)

    def _order(self, epoch: int) -> tuple[np.ndarray, np.ndarray]:
        """Documents in the order of an epoch, and where each of them ends."""
        order = np.argsort(seeded_order(self._ids, (self.seed << 16) + epoch), kind="stable")
        return order, np.cumsum(self._lengths[order])

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
    """All batches of an arm. Raises HornbookError when a source that the recipe asks for has no tokens."""

    def __init__(self, folder: Path, config: TrainConfig) -> None:
        self.config = config
        wanted = {CORPUS: min(config.shares) < 1, LESSONS: max(config.shares) > 0}
        self.sources = {name: _open(folder / name, config) for name, needed in wanted.items() if needed}

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
