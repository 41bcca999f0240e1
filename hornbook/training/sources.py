"""A source: the endless row of the documents of one store, epoch after epoch, every epoch in another seeded order.

A store of many documents is shuffled in blocks of BLOCK of them: the blocks among themselves, and the documents of the
block that is being read. So nothing is ever sorted or held that grows with the store. Selection has written documents
in seeded order, so blocks of its result are random samples. A store of one block is shuffled as a whole.

Shapes in names: N documents.
"""

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from scipy.stats import rankdata

from hornbook.core.documents import shuffled
from hornbook.tokenization.shards import TokenStore

BLOCK = 1 << 20  # documents


@dataclass(frozen=True)
class Curriculum:
    """How far documents come in the order of their level: `strength`, -1 to 1.

    Over the first `tokens` of the endless row, or over each of its windows of `window` tokens (the last of a block is
    shorter).
    """

    strength: float
    level_N: np.ndarray
    tokens: int
    window: int | None = None


class Source:
    """The endless, seeded order of the documents and tokens of one store."""

    def __init__(self, store: TokenStore, seed: int, block: int = BLOCK) -> None:
        self.store, self.seed = store, seed
        self.tokens = len(store.tokens)
        self.curriculum: Curriculum | None = None
        self._edges = np.append(np.arange(0, len(store), block), len(store))
        self._block_tokens = np.diff(store.boundaries[self._edges])
        self._blocks = lru_cache(maxsize=2)(self._order_of_blocks)
        self.documents = lru_cache(maxsize=2)(self._order_of_documents)

    def order_by(self, curriculum: Curriculum) -> None:
        """Put documents in the order of their level from now on."""
        self.curriculum = curriculum
        self.documents.cache_clear()

    @property
    def blocks(self) -> int:
        """Number of blocks in an epoch."""
        return len(self._block_tokens)

    def _order_of_blocks(self, epoch: int) -> tuple[np.ndarray, np.ndarray]:
        """Blocks in the order of an epoch, and where in its tokens each of them ends."""
        first = self.store.id_words[self._edges[:-1], 1]
        order = np.argsort(shuffled(first, (self.seed << 16) + epoch), kind="stable")
        return order, np.cumsum(self._block_tokens[order])

    def _order_of_documents(self, epoch: int, place: int) -> tuple[np.ndarray, np.ndarray]:
        """Documents of the block at a place of an epoch, in their order, and where in its tokens each of them ends."""
        block = self._blocks(epoch)[0][place]
        first, last = self._edges[block], self._edges[block + 1]
        order = np.argsort(shuffled(self.store.id_words[first:last, 1], (self.seed << 16) + epoch), kind="stable")
        length_N = np.diff(self.store.boundaries[first : last + 1])
        if curriculum := self.curriculum:
            end_N, level_N = np.cumsum(length_N[order]), curriculum.level_N[first:last]
            if curriculum.window:
                window_N = (end_N - length_N[order]) // curriculum.window
                parts, rest = np.split(order, np.flatnonzero(np.diff(window_N)) + 1), order[:0]
            else:
                count = int(np.searchsorted(end_N, curriculum.tokens - epoch * self.tokens)) + 1
                parts, rest = [order[:count]], order[count:]
            sorted_parts = [_by_level(part, level_N, curriculum.strength) for part in parts]
            order = np.concatenate([*sorted_parts, rest])
        return order + first, np.cumsum(length_N[order])

    def read(self, start: int, count: int) -> np.ndarray:
        """`count` token ids from position `start` of the endless row, as int64."""
        out = np.empty(count, np.int64)
        filled = 0
        while filled < count:
            epoch, offset = divmod(start + filled, self.tokens)
            blocks, block_ends = self._blocks(epoch)
            place = int(np.searchsorted(block_ends, offset, side="right"))
            offset -= int(block_ends[place] - self._block_tokens[blocks[place]])
            documents, ends = self.documents(epoch, place)
            i = int(np.searchsorted(ends, offset, side="right"))
            skipped = offset - (int(ends[i - 1]) if i else 0)
            while filled < count and i < len(documents):
                piece = self.store.document(documents[i])[skipped : skipped + count - filled]
                out[filled : filled + len(piece)] = piece
                filled += len(piece)
                i, skipped = i + 1, 0
        return out


def _by_level(document_N: np.ndarray, level_N: np.ndarray, strength: float) -> np.ndarray:
    """Documents sorted by level and chance, of which the order that they come in is the measure."""
    rank_N = rankdata(math.copysign(1, strength) * level_N[document_N])
    key_N = abs(strength) * rank_N + (1 - abs(strength)) * np.arange(1, len(document_N) + 1)
    return document_N[np.argsort(key_N, kind="stable")]
