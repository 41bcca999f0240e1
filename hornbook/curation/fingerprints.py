"""Tokens and n-grams of a batch of texts as 64-bit hashes, without a Python object per token.

Tokens are words (letters, digits, underscores), single marks, and runs of a mark that is often repeated (`==`,
`----`). Case, white space and the kind of quotes do not count, so re-indented or re-formatted text has the same
tokens. Array names end in what they run over: `_N` bytes, `_T` tokens, `_G` n-grams.
"""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np

U64 = np.uint64
SPACE, WORD, MARK, RUN = range(4)
_BATCH_CHARS = 125_000  # its arrays fit the processor's cache

_CLASS = np.full(256, MARK, np.uint8)
_CLASS[:33] = _CLASS[127] = SPACE
_CLASS[48:58] = _CLASS[65:91] = _CLASS[97:123] = _CLASS[95] = WORD
_CLASS[128:] = WORD  # bytes of letters beyond ASCII
_CLASS[[ord(mark) for mark in "=-#*~.<>/+_'\""]] = RUN
_CLASS[95] = WORD
_FOLD = np.arange(256, dtype=np.uint8)
_FOLD[65:91] += 32
_FOLD[ord("'")] = ord('"')
_VALUE = np.frombuffer(hashlib.shake_128(b"bytes").digest(256 * 8), "<u8")
_BASE = 0x9E3779B97F4A7C15  # of the polynomial hash: odd, so that it has an inverse modulo 2**64


@dataclass(frozen=True)
class Tokens:
    """The tokens of a batch, in order."""

    hash_T: np.ndarray  # uint64
    text_T: np.ndarray  # index of the text that the token belongs to, ascending
    word_T: np.ndarray  # bool: neither a number nor a mark
    comment_T: np.ndarray  # bool: behind a `#` that follows white space


def batches(texts: Sequence[str]) -> Iterator[tuple[int, Tokens]]:
    """Tokens of consecutive slices of `texts`, each with the index of its first text."""
    start, size = 0, 0
    for end, text in enumerate(texts, 1):
        size += len(text)
        if size >= _BATCH_CHARS or end == len(texts):
            yield start, tokenise(texts[start:end])
            start, size = end, 0


def tokenise(texts: Sequence[str]) -> Tokens:
    """Tokens of a small batch of texts."""
    parts = [b"\n" + text.encode("utf-8", "replace") for text in texts]
    byte_N = _FOLD[np.frombuffer(b"".join(parts) + b"\n", np.uint8)]
    class_N = _CLASS[byte_N]
    goes_on_N = (class_N[1:] == WORD) & (class_N[:-1] == WORD)
    goes_on_N |= (class_N[1:] == RUN) & (byte_N[1:] == byte_N[:-1])
    seen_N = class_N != SPACE
    start_T = np.flatnonzero(seen_N[1:] & ~goes_on_N) + 1
    end_T = np.flatnonzero(seen_N[:-1] & ~goes_on_N) + 1
    sizes = np.array([len(part) for part in parts])
    bounds = np.append(np.searchsorted(start_T, np.cumsum(sizes) - sizes), len(start_T))
    text_T = np.repeat(np.arange(len(texts)), np.diff(bounds))
    first_T = byte_N[start_T]
    word_T = (class_N[start_T] == WORD) & ~((first_T >= 48) & (first_T <= 57))
    comment_T = _comments(byte_N, class_N, start_T)
    return Tokens(_slice_hashes(_VALUE[byte_N], start_T, end_T), text_T, word_T, comment_T)


def _comments(byte_N: np.ndarray, class_N: np.ndarray, start_T: np.ndarray) -> np.ndarray:
    sharp = np.flatnonzero(byte_N == ord("#"))
    sharp = sharp[class_N[sharp - 1] == SPACE]
    newline = np.flatnonzero(byte_N == ord("\n"))
    ends = newline[np.searchsorted(newline, sharp)]
    change_T = np.zeros(len(start_T) + 1, np.int32)
    np.add.at(change_T, np.searchsorted(start_T, sharp), 1)
    np.add.at(change_T, np.searchsorted(start_T, ends), -1)
    return np.cumsum(change_T[:-1]) > 0


def ngrams(hash_T: np.ndarray, text_T: np.ndarray, size: int) -> tuple[np.ndarray, np.ndarray]:
    """Hashes of all runs of `size` tokens inside one text, and the index of the first token of each."""
    if len(hash_T) < size:
        return np.zeros(0, U64), np.zeros(0, np.int64)
    start_G = np.flatnonzero(text_T[: len(text_T) - size + 1] == text_T[size - 1 :])
    return _slice_hashes(hash_T, start_G, start_G + size), start_G


def _slice_hashes(values: np.ndarray, start: np.ndarray, end: np.ndarray) -> np.ndarray:
    """Polynomial hashes modulo 2**64 of slices of `values`, from prefix sums (Karp and Rabin 1987)."""
    power, inverse = _powers(1 << max(18, len(values).bit_length()))
    prefix = np.zeros(len(values) + 1, U64)
    np.cumsum(values * power[: len(values)], out=prefix[1:])
    return (prefix[end] - prefix[start]) * inverse[start]


@cache
def _powers(length: int) -> tuple[np.ndarray, np.ndarray]:
    def powers(base: int) -> np.ndarray:
        values = np.full(length, base, U64)
        values[0] = 1
        return np.multiply.accumulate(values)

    return powers(_BASE), powers(pow(_BASE, -1, 2**64))
