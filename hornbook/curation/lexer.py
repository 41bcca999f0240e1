"""A vectorised lexer for passages of code: lines, words and tokens of a whole batch as numpy arrays.

All passages of a batch lie in one byte buffer; lines, words and tokens are index arrays into it, and no Python
object is made per token. The price is that strings and docstrings are told by counting quotes rather than by
parsing: right nearly always, and it never fails, not even on half a class or on broken code. Nothing that is
computed for a passage depends on the other passages of its batch.

Array names end in what they run over: `_N` bytes, `_L` lines, `_W` words, `_T` tokens, `_S` shapes, `_D` passages.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np

from hornbook.curation.words import group_of_words

LOWER, UPPER, DIGIT, UNDERSCORE, SPACE, NEWLINE, MARK = range(7)  # classes of bytes; marks are punctuation
BLANK, DOCSTRING, COMMENT, CODE, PROMPT = range(5)  # kinds of lines; a prompt is the `>>>` of a doctest
IN_CODE, IN_STRING, IN_TEXT = range(3)  # places of words; text is a comment or a docstring
OTHER = 0  # group of the words that words.py does not list

U32 = np.uint32  # hashes; the classifier has far fewer buckets, and half the bytes are twice as fast
_BASE = 0x9E3779B1  # of the rolling hash: odd, so that it has an inverse modulo 2**32
_INVERSE = pow(_BASE, -1, 2**32)
_SLOT_BITS = 16
MAX_CHARS = 100_000  # a longer text is judged by its beginning, so that memory stays bounded

_CLASS = np.full(256, MARK, np.uint8)
_CLASS[97:123] = _CLASS[128:] = LOWER  # letters beyond ASCII count as lower case
_CLASS[65:91], _CLASS[48:58], _CLASS[95] = UPPER, DIGIT, UNDERSCORE
_CLASS[:33] = _CLASS[127] = SPACE
_CLASS[10] = NEWLINE
_LETTER = np.arange(1, 257, dtype=U32)  # values of the bytes in the rolling hash, case folded
_LETTER[65:91] += U32(32)


@dataclass(frozen=True)
class Lexed:
    """What the lexer sees in a batch of passages."""

    text_N: np.ndarray  # every passage between two newlines of ours
    size_D: np.ndarray  # bytes
    triples_D: np.ndarray  # number of triple quotes
    inside_D: np.ndarray  # the passage begins inside a docstring
    # lines
    passage_L: np.ndarray
    kind_L: np.ndarray  # BLANK, DOCSTRING, COMMENT, CODE or PROMPT
    indent_L: np.ndarray
    length_L: np.ndarray
    first_L: np.ndarray  # first and last visible byte
    last_L: np.ndarray
    hash_L: np.ndarray
    # words: runs of letters, digits and underscores
    passage_W: np.ndarray
    line_W: np.ndarray
    start_W: np.ndarray  # positions in text_N
    end_W: np.ndarray
    hash_W: np.ndarray  # case folded
    group_W: np.ndarray  # index into words.GROUPS
    place_W: np.ndarray  # IN_CODE, IN_STRING or IN_TEXT
    # tokens: the parts of words (`parse`, `HTML`, `2`), marks, and one per line for its indentation
    passage_T: np.ndarray
    class_T: np.ndarray
    size_T: np.ndarray
    token_T: np.ndarray  # hash
    # shapes: words by their group or their form, marks, and changes of indentation
    passage_S: np.ndarray
    shape_S: np.ndarray  # marks: their byte; then forms, groups and steps of indentation


def lex(texts: Sequence[str]) -> Lexed:
    """Lex a batch of passages; some hundred kilobytes at a time run fastest."""
    text_N, start_D, size_D = _join(texts)
    class_N = _CLASS[text_N]
    before_N = np.concatenate([[NEWLINE], class_N[:-1]]).astype(np.uint8)
    after_N = np.concatenate([class_N[1:], [NEWLINE]]).astype(np.uint8)
    hashes = _RollingHash(text_N)

    def passage_of(positions: np.ndarray) -> np.ndarray:
        return _owner(positions, start_D)

    # Lines.
    newline = np.flatnonzero(class_N == NEWLINE)
    opens = np.zeros(len(newline), bool)
    opens[np.searchsorted(newline, start_D)] = True
    start_L, end_L = newline[np.flatnonzero(~opens) - 1] + 1, newline[~opens]
    passage_L = passage_of(start_L)
    visible_N = (class_N < SPACE) | (class_N == MARK)
    edge_N = np.diff(visible_N, append=False)  # the buffer begins and ends with newlines
    runs = np.flatnonzero(edge_N).reshape(-1, 2)  # of visible bytes: the byte before, and the last one
    from_run, to_run = runs[:, 0] + 1, runs[:, 1]
    first = np.minimum(np.append(from_run, len(text_N))[np.searchsorted(from_run, start_L)], end_L)
    blank_L = first == end_L
    last = np.where(blank_L, end_L, np.append(to_run, 0)[np.searchsorted(to_run, end_L) - 1])
    first_L, indent_L = text_N[first], first - start_L
    quoted_L, triples_D, inside_D = _docstrings(text_N, visible_N, to_run, end_L, last, passage_L, start_D)
    kind_L = np.where(first_L == ord("#"), COMMENT, CODE)
    kind_L[quoted_L] = DOCSTRING
    kind_L[quoted_L & (first_L == ord(">")) & (text_N[np.minimum(first + 2, end_L)] == ord(">"))] = PROMPT
    kind_L[blank_L] = BLANK

    # Words.
    is_word_N = class_N <= UNDERSCORE
    start_W = np.flatnonzero(is_word_N & (before_N > UNDERSCORE))
    end_W = np.flatnonzero(is_word_N & (after_N > UNDERSCORE)) + 1
    hash_W = hashes(start_W, end_W)
    group_W = _groups(hash_W)
    line_W = _owner(start_W, start_L)
    edge_W = start_L[line_W] - 1
    quotes_N = np.cumsum((text_N == ord('"')) | (text_N == ord("'")), dtype=np.int32)
    remarks_N = np.cumsum((text_N == ord("#")) & (before_N >= SPACE) & (before_N < MARK), dtype=np.int32)
    place_W = (quotes_N[start_W] - quotes_N[edge_W]) % 2  # an odd number of quotes before it: IN_STRING
    place_W[(kind_L[line_W] != CODE) | (remarks_N[start_W] > remarks_N[edge_W])] = IN_TEXT

    # Tokens. The byte before a line's first visible one stands for its indentation.
    margin = first[~blank_L] - 1
    starts_N = (
        (class_N == MARK)
        | ((class_N == DIGIT) & (before_N != DIGIT))
        | ((class_N == UPPER) & ((before_N != UPPER) | (after_N == LOWER)))
        | ((class_N == LOWER) & (before_N > UPPER))
    )
    ends_N = (class_N < UNDERSCORE) & (np.append(starts_N[1:], True) | (after_N >= UNDERSCORE)) | (class_N == MARK)
    starts_N[margin] = ends_N[margin] = True
    start_T, end_T = np.flatnonzero(starts_N), np.flatnonzero(ends_N) + 1
    class_T, size_T = class_N[start_T], end_T - start_T
    token_T = hashes(start_T, end_T)
    token_T[(class_T == DIGIT) & (size_T > 1)] = 1  # all numbers of several digits are one token
    after_blank_L = np.append(False, blank_L[:-1] & (passage_L[1:] == passage_L[:-1]))
    layout_L = np.minimum(indent_L, 40) * 2 + after_blank_L
    token_T[(class_T == SPACE) | (class_T == NEWLINE)] = layout_L[~blank_L] + 1_000_003

    # Shapes.
    shaped_N = class_N == MARK
    shaped_N[start_W] = shaped_N[margin] = True
    start_S = np.flatnonzero(shaped_N)
    class_S, shape_S = class_N[start_S], text_N[start_S].astype(U32)
    shape_S[class_S <= UNDERSCORE] = np.where(group_W != OTHER, 512 + group_W, 256 + _forms(class_N, start_W, end_W))
    shape_S[(class_S == SPACE) | (class_S == NEWLINE)] = 1024 + _steps(indent_L[~blank_L], passage_L[~blank_L])

    return Lexed(
        text_N, size_D, triples_D, inside_D,
        passage_L, kind_L, indent_L, end_L - start_L, first_L, text_N[last], hashes(first, last + 1),
        passage_of(start_W), line_W, start_W, end_W, hash_W, group_W, place_W,
        passage_of(start_T), class_T, size_T, token_T,
        passage_of(start_S), shape_S,
    )  # fmt: skip


def _join(texts: Sequence[str]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    parts = []
    for text in texts:
        text = text[:MAX_CHARS]
        if "\r" in text or "\t" in text:
            text = text.replace("\r\n", "\n").replace("\r", "\n").expandtabs(4)
        parts.append(b"\n" + text.strip("\n").rstrip().encode("utf-8", "replace") + b"\n")
    size_D = np.array([len(part) for part in parts])
    return np.frombuffer(b"".join(parts), np.uint8), np.cumsum(size_D) - size_D, size_D


def _owner(positions: np.ndarray, starts: np.ndarray) -> np.ndarray:
    """Index of the passage (or line) that each sorted position lies in."""
    bounds = np.append(np.searchsorted(positions, starts), len(positions))
    return np.repeat(np.arange(len(starts)), np.diff(bounds))


class _RollingHash:
    """Polynomial hashes modulo 2**32 of slices of a buffer, from prefix sums (Karp and Rabin 1987)."""

    def __init__(self, text_N: np.ndarray) -> None:
        power, self.inverse = _powers(1 << max(19, len(text_N).bit_length()))
        self.prefix = np.zeros(len(text_N) + 1, U32)
        np.cumsum(_LETTER[text_N] * power[: len(text_N)], dtype=U32, out=self.prefix[1:])

    def __call__(self, start: np.ndarray, end: np.ndarray) -> np.ndarray:
        return (self.prefix[end] - self.prefix[start]) * self.inverse[start]


@cache
def _powers(length: int) -> tuple[np.ndarray, np.ndarray]:
    def powers(base: int) -> np.ndarray:
        values = np.full(length, base, U32)
        values[0] = 1
        return np.multiply.accumulate(values, dtype=U32)

    return powers(_BASE), powers(_INVERSE)


@cache
def _group_table() -> tuple[np.uint32, np.ndarray, np.ndarray]:
    """A perfect hash table of the listed words: multiplier, hash and group per slot."""
    groups = group_of_words()
    texts = [np.frombuffer(word.encode(), np.uint8) for word in groups]
    hashes = np.array([_RollingHash(text)(np.array([0]), np.array([len(text)]))[0] for text in texts])
    for seed in range(1, 10_000, 2):
        multiplier = U32(_BASE * seed % 2**32)
        slots = hashes * multiplier >> U32(32 - _SLOT_BITS)
        if len(np.unique(slots)) == len(slots):
            break
    hash_of_slot, group_of_slot = np.zeros(2**_SLOT_BITS, U32), np.zeros(2**_SLOT_BITS, np.int64)
    hash_of_slot[slots], group_of_slot[slots] = hashes, list(groups.values())
    return multiplier, hash_of_slot, group_of_slot


def _groups(hash_W: np.ndarray) -> np.ndarray:
    multiplier, hash_of_slot, group_of_slot = _group_table()
    slot_W = hash_W * multiplier >> U32(32 - _SLOT_BITS)
    return np.where(hash_of_slot[slot_W] == hash_W, group_of_slot[slot_W], OTHER)


def _docstrings(
    text_N: np.ndarray,
    visible_N: np.ndarray,
    to_run: np.ndarray,
    end_L: np.ndarray,
    last: np.ndarray,
    passage_L: np.ndarray,
    start_D: np.ndarray,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Lines in triple quotes, triple quotes per passage, and whether the passage begins inside a pair of them."""
    quote_N = (text_N == ord('"')) | (text_N == ord("'"))
    triple = np.flatnonzero(quote_N[:-2] & (text_N[:-2] == text_N[1:-1]) & (text_N[:-2] == text_N[2:]))
    begins = np.diff(triple, prepend=-9) > 1
    run = np.maximum.accumulate(np.where(begins, triple, 0)) if len(triple) else triple
    triple = triple[(triple - run) % 3 == 0]  # six quotes in a row are two triples
    line = np.searchsorted(end_L, triple)
    count_L = np.bincount(line, minlength=len(end_L))
    count_D = np.bincount(passage_L[line], minlength=len(start_D))
    earlier_L = np.cumsum(count_L) - count_L
    earlier_L -= earlier_L[np.searchsorted(passage_L, np.arange(len(start_D)))][passage_L]

    # An odd number: one quote lacks its partner. The passage begins inside a docstring when its first triple
    # quote closes, that is, ends its line and follows nothing that introduces a string.
    inside_D = np.zeros(len(start_D), bool)
    odd = np.flatnonzero(count_D % 2)
    where = np.searchsorted(passage_L[line], odd)
    at = triple[where]
    earlier = np.append(to_run, 0)[np.searchsorted(to_run, at) - 1]  # the last visible byte before this run
    earlier = np.maximum(earlier, start_D[odd])  # or the newline before the passage
    before = text_N[np.where(visible_N[at - 1], at - 1, earlier)]
    inside_D[odd] = (last[line[where]] <= at + 2) & ~np.isin(before, list(b":(=[,"))
    return ((earlier_L + inside_D[passage_L]) % 2 == 1) | (count_L > 0), count_D, inside_D


def _forms(class_N: np.ndarray, start_W: np.ndarray, end_W: np.ndarray) -> np.ndarray:
    """Forms of words: how they begin, whether they have underscores, are all capitals, and their size class."""
    underscores = np.cumsum(class_N == UNDERSCORE, dtype=np.int32)
    capitals = np.cumsum(class_N == UPPER, dtype=np.int32)
    underscores_W = underscores[end_W - 1] - underscores[start_W - 1]
    capitals_W = capitals[end_W - 1] - capitals[start_W - 1]
    size_W = end_W - start_W
    form_W = class_N[start_W].astype(np.int64) * 2 + (underscores_W > 0)
    form_W = form_W * 2 + (underscores_W + capitals_W == size_W)
    return form_W * 3 + (size_W > 2) + (size_W > 8)


def _steps(indent_L: np.ndarray, passage_L: np.ndarray) -> np.ndarray:
    """Change of indentation of each line that is not blank: 0 less, 1 the same or the first, 2 more."""
    step_L = np.sign(np.diff(indent_L, prepend=0)) + 1
    step_L[np.diff(passage_L, prepend=-1) > 0] = 1
    return step_L
