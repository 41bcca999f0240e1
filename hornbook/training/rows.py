"""How rows of T tokens are made of the documents of a source: cut from their endless row, or packed whole.

A row has T + 1 tokens: inputs are all but the last, targets all but the first. Positions of a source are counted in
tokens with padding included, so that row n of it begins at position n * T.

Shapes in names: T tokens of a row, P pieces of documents, R rows.
"""

from bisect import bisect_right
from dataclasses import dataclass
from functools import lru_cache
from typing import Protocol

import numpy as np

from hornbook.training.sources import Source

PADDING = -100  # in a row where there is nothing; as a target it is not predicted, as everywhere in torch


class Rows(Protocol):
    """The endless rows of a source."""

    def row(self, position: int, context: int) -> np.ndarray:
        """Token ids int64 [context + 1] of the row that begins at a position."""

    def position(self, epochs: float) -> int:
        """The position at which the source has been read so often."""

    def read(self, position: int) -> dict[str, int]:
        """What has been read at a position: `tokens` of documents, `padding` and `cuts` where there are any."""


class LosslessRows:
    """Rows that follow each other without a gap: nothing is padded or dropped.

    A row overlaps the next by one token, which is a target in one and an input in the other.
    """

    def __init__(self, source: Source) -> None:
        self.source = source

    def row(self, position: int, context: int) -> np.ndarray:
        return self.source.read(position, context + 1)

    def position(self, epochs: float) -> int:
        return int(epochs * self.source.tokens)

    def read(self, position: int) -> dict[str, int]:
        return {"tokens": position}


@dataclass(frozen=True)
class Packed:
    """Rows that a window of documents was packed into: which piece of which document [P] goes into which row."""

    document_P: np.ndarray
    start_P: np.ndarray  # of the piece in its document
    length_P: np.ndarray  # without the BOS that is put before pieces from the middle of a document
    end_R: np.ndarray  # pieces of a row are end_R[row - 1] ... end_R[row] - 1

    @property
    def tokens_R(self) -> np.ndarray:
        """Tokens of documents in each row."""
        return np.add.reduceat(self.length_P, self.end_R - np.diff(self.end_R, prepend=0))

    @property
    def cuts_R(self) -> np.ndarray:
        """Pieces in each row that go on with a document of an earlier row."""
        return np.add.reduceat((self.start_P > 0).astype(np.int64), self.end_R - np.diff(self.end_R, prepend=0))


class BestFitRows:
    """Rows of whole documents: of `window` documents at a time, the longest first, each into the row it fills best.

    Best-fit decreasing (Ding et al. 2024, "Fewer truncations improve language modeling"). Documents longer than a row
    are cut; what follows a cut begins with a BOS of its own, so every row and every piece begin with one, and only
    that BOS is read twice. After the last piece of a row comes one more target, its next token or BOS, then PADDING.
    Windows are packed one after the other up to the row that is asked for; how many rows each gave is remembered.
    """

    def __init__(self, source: Source, context: int, window: int) -> None:
        self.source, self.context, self.window = source, context, window
        self._bos = source.store.meta["bos"]
        self._place = [(0, 0, 0)]  # epoch, block and first document of each known window, and of the next one
        self._rows, self._tokens, self._cuts = [0], [0], [0]  # before each of these
        self._packed = lru_cache(maxsize=2)(self._pack)

    def row(self, position: int, context: int) -> np.ndarray:
        number = position // context
        window = self._window(number)
        packed, row = self._packed(window), number - self._rows[window]
        out, at, following = np.full(context + 1, PADDING, np.int64), 0, self._bos
        for piece in range(packed.end_R[row - 1] if row else 0, packed.end_R[row]):
            start, length = packed.start_P[piece], packed.length_P[piece]
            document = self.source.store.document(packed.document_P[piece])
            if start:
                out[at] = self._bos
                at += 1
            out[at : at + length] = document[start : start + length]
            at += length
            following = document[start + length] if start + length < len(document) else self._bos
        out[at] = following
        return out

    def position(self, epochs: float) -> int:
        tokens = int(epochs * self.source.tokens)
        while self._tokens[-1] < tokens:
            self._extend()
        window = max(bisect_right(self._tokens, tokens) - 1, 0)
        rows = self._rows[window]
        if self._tokens[window] < tokens:
            rows += int(
                np.searchsorted(np.cumsum(self._packed(window).tokens_R), tokens - self._tokens[window], "right")
            )
        return rows * self.context

    def read(self, position: int) -> dict[str, int]:
        rows = position // self.context
        window = self._window(rows)
        tokens, cuts, part = self._tokens[window], self._cuts[window], rows - self._rows[window]
        if part:
            packed = self._packed(window)
            tokens, cuts = tokens + int(packed.tokens_R[:part].sum()), cuts + int(packed.cuts_R[:part].sum())
        return {"tokens": tokens, "padding": position - tokens - cuts, "cuts": cuts}

    def _window(self, row: int) -> int:
        """The window that a row comes from."""
        while self._rows[-1] <= row:
            self._extend()
        return bisect_right(self._rows, row) - 1

    def _extend(self) -> None:
        """Pack one more window, and remember what it gave."""
        packed = self._packed(len(self._place) - 1)
        self._rows.append(self._rows[-1] + len(packed.end_R))
        self._tokens.append(self._tokens[-1] + int(packed.length_P.sum()))
        self._cuts.append(self._cuts[-1] + int((packed.start_P > 0).sum()))
        epoch, block, first = self._place[-1]
        first += self.window
        if first >= len(self.source.documents(epoch, block)[0]):
            block, first = block + 1, 0
        if block == self.source.blocks:
            epoch, block = epoch + 1, 0
        self._place.append((epoch, block, first))

    def _pack(self, window: int) -> Packed:
        epoch, block, first = self._place[window]
        documents, ends = self.source.documents(epoch, block)
        part = slice(first, first + self.window)
        return pack(documents[part], np.diff(ends, prepend=0)[part], self.context)


def pack(document_N: np.ndarray, length_N: np.ndarray, context: int) -> Packed:
    """Documents of these lengths, packed into rows of `context` tokens.

    Rows come in the order of the documents that opened them, pieces of a row in the order of the documents.
    """
    rest_N = np.maximum(length_N - context, 0)
    pieces_N = 1 + -(-rest_N // (context - 1))  # every further piece begins with a BOS
    owner_P = np.repeat(np.arange(len(document_N)), pieces_N)
    number_P = np.arange(len(owner_P)) - np.repeat(np.cumsum(pieces_N) - pieces_N, pieces_N)
    start_P = np.where(number_P > 0, context + (number_P - 1) * (context - 1), 0)
    length_P = np.minimum(length_N[owner_P] - start_P, context - (number_P > 0))
    row_P, opener_R = best_fit(length_P + (number_P > 0), context)
    rank_R = np.empty(len(opener_R), np.int64)
    rank_R[np.argsort(opener_R)] = np.arange(len(opener_R))
    order_P = np.argsort(rank_R[row_P], kind="stable")
    end_R = np.cumsum(np.bincount(rank_R[row_P]))
    return Packed(document_N[owner_P[order_P]], start_P[order_P], length_P[order_P], end_R)


def best_fit(length_P: np.ndarray, room: int) -> tuple[np.ndarray, np.ndarray]:
    """Best-fit decreasing: the row of every piece, none longer than `room`, and the piece that opened each row."""
    row_P = np.empty(len(length_P), np.int64)
    openers: list[int] = []
    with_free: list[list[int]] = [[] for _ in range(room + 1)]  # rows by the number of tokens that are free in them
    exists = 0  # bit n is set when a row has n tokens free
    lengths = length_P.tolist()
    for piece in np.argsort(-length_P, kind="stable").tolist():
        length = lengths[piece]
        if enough := exists >> length:
            free = length + (enough & -enough).bit_length() - 1  # the least that is enough
            row = with_free[free].pop()
            if not with_free[free]:
                exists ^= 1 << free
        else:
            row, free = len(openers), room
            openers.append(piece)
        row_P[piece] = row
        if left := free - length:
            with_free[left].append(row)
            exists |= 1 << left
    return row_P, np.array(openers, np.int64)
