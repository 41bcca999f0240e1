"""What the rules look at: bytes and lines of a whole column of texts, counted in numpy without parsing.

Array names end in what they run over: `_N` bytes, `_L` lines, `_D` documents.
"""

from collections.abc import Iterator
from dataclasses import dataclass, fields

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

BLOCK_BYTES = 1 << 20  # measured at a time, so that the work stays in the processor's cache

# Classes of bytes.
LETTER, DIGIT, FOREIGN, SPACE, NEWLINE, MARK, REST = range(7)
_CLASS = np.full(256, MARK, np.uint8)
_CLASS[65:91] = _CLASS[97:123] = LETTER
_CLASS[48:58] = DIGIT
_CLASS[128:0xC0] = REST  # of a character of several bytes
_CLASS[0xC0:] = FOREIGN  # first byte of a letter beyond ASCII ...
_CLASS[0xE2] = REST  # ... but these are arrows, mathematics, and the boxes that docstrings draw
_CLASS[[9, 11, 12, 13, 32]] = SPACE
_CLASS[10] = NEWLINE

# A line that begins so is data (literals, or brackets around them), unless it opens a docstring.
_LITERAL = np.zeros(256, bool)
_LITERAL[list(b"0123456789\"'([{)]}-+,")] = True
_SIGN = np.zeros(256, bool)
_SIGN[list(b"-+")] = True
_NUMBER = np.zeros(256, bool)
_NUMBER[list(b"0123456789.")] = True
_QUOTE = np.zeros(256, bool)
_QUOTE[list(b"\"'")] = True
_ENDS_LIST = np.zeros(256, bool)
_ENDS_LIST[list(b",)")] = True


@dataclass(frozen=True)
class Measures:
    """One number per document, in document order."""

    bytes: np.ndarray
    visible: np.ndarray  # characters that are not white space, nor arrows, boxes and the like
    letters: np.ndarray  # ASCII
    digits: np.ndarray
    foreign: np.ndarray  # letters beyond ASCII
    lines: np.ndarray  # that are not blank
    prompts: np.ndarray  # lines of doctests that begin with `>>>`
    longest_line: np.ndarray  # bytes
    # bytes in lines of a kind, indentation not counted
    solid_bytes: np.ndarray  # in all lines
    long_line_bytes: np.ndarray
    data_line_bytes: np.ndarray
    import_bytes: np.ndarray  # imports, and lines that hold one name and a comma
    comment_bytes: np.ndarray
    repeated_bytes: np.ndarray  # in lines that occurred before in the same document


def measure(texts: pa.ChunkedArray, long_line: int = 300) -> Measures:
    """Measure every text of a column; `long_line` is the length in bytes above which a line is long."""
    parts = [_measure(block, long_line) for block in _blocks(texts)]
    return Measures(*(np.concatenate([getattr(part, f.name) for part in parts]) for f in fields(Measures)))


def share(part_D: np.ndarray, whole_D: np.ndarray) -> np.ndarray:
    """Quotients, 0 where the whole is 0."""
    return part_D / np.maximum(whole_D, 1)


def _blocks(texts: pa.ChunkedArray) -> Iterator[pa.Array]:
    yield pa.array([], pa.string())
    for chunk in texts.chunks:
        ends = np.cumsum(pc.binary_length(chunk).to_numpy(zero_copy_only=False).astype(np.int64))
        start = 0
        while start < len(chunk):
            base = ends[start - 1] if start else 0
            stop = max(int(np.searchsorted(ends, base + BLOCK_BYTES)), start + 1)
            yield chunk.slice(start, stop - start)
            start = stop


def _measure(block: pa.Array, long_line: int) -> Measures:
    count = len(block)
    if not count:
        return Measures(*(np.zeros(0, np.int64) for _ in fields(Measures)))
    texts = block.to_pylist()
    parts = [text.encode() + b"\n" for text in texts]
    joined = b"".join(parts)
    text_N = np.frombuffer(joined + b"\n\n", np.uint8)
    size_D = np.array([len(part) for part in parts])
    start_D = np.cumsum(size_D) - size_D
    class_N = np.frombuffer(joined.translate(_CLASS.tobytes()), np.uint8)  # twice as fast as indexing

    def count_of(kind: int) -> np.ndarray:
        return np.add.reduceat(class_N == kind, start_D, dtype=np.int64)

    letters, digits, foreign, marks = (count_of(kind) for kind in (LETTER, DIGIT, FOREIGN, MARK))
    end_L = np.flatnonzero(class_N == NEWLINE)
    start_L = np.concatenate([[0], end_L[:-1] + 1])
    visible = np.flatnonzero(class_N != SPACE)  # line ends count, so that every line has one
    first_L = visible[np.searchsorted(visible, start_L)]
    solid_L = first_L < end_L
    document_L = np.repeat(np.arange(count), np.diff(np.append(np.searchsorted(start_L, start_D), len(start_L))))
    length_L = end_L - first_L

    def bytes_in(lines: np.ndarray) -> np.ndarray:
        return np.bincount(document_L[lines], length_L[lines], minlength=count)

    byte_L, second_L, third_L = text_N[first_L], text_N[first_L + 1], text_N[first_L + 2]
    docstring_L = _QUOTE[byte_L] & (byte_L == second_L) & (byte_L == third_L)
    prose_L = _SIGN[byte_L] & ~_NUMBER[second_L]  # bullets, and the dashes under the headings of docstrings
    prompt_L = (byte_L == ord(">")) & (second_L == byte_L) & (third_L == byte_L)
    data_L = _LITERAL[byte_L] & ~docstring_L & ~prose_L
    import_L = _starts_with(text_N, first_L, b"import ") | _starts_with(text_N, first_L, b"from ")
    import_L |= _bare_names(text_N, visible, first_L, end_L) & (byte_L != ord("#")) & ~data_L
    return Measures(
        bytes=size_D - 1,
        visible=letters + digits + foreign + marks,
        letters=letters,
        digits=digits,
        foreign=foreign,
        lines=np.bincount(document_L[solid_L], minlength=count),
        prompts=np.bincount(document_L[prompt_L], minlength=count),
        longest_line=np.maximum.reduceat(end_L - start_L, np.searchsorted(start_L, start_D)),
        solid_bytes=bytes_in(solid_L),
        long_line_bytes=bytes_in(end_L - start_L > long_line),
        data_line_bytes=bytes_in(data_L),
        import_bytes=bytes_in(import_L & solid_L),
        comment_bytes=bytes_in(byte_L == ord("#")),
        repeated_bytes=np.array([_repeated(text) for text in texts]),
    )


def _starts_with(text_N: np.ndarray, first_L: np.ndarray, word: bytes) -> np.ndarray:
    found = text_N[first_L] == word[0]
    candidates = np.flatnonzero(found)
    for offset, byte in enumerate(word):
        place = np.minimum(first_L[candidates] + offset, len(text_N) - 1)
        candidates = candidates[text_N[place] == byte]
    found[:] = False
    found[candidates] = True
    return found


def _bare_names(text_N: np.ndarray, visible: np.ndarray, first_L: np.ndarray, end_L: np.ndarray) -> np.ndarray:
    """Lines that are one word with a comma, as in long import lists and `__all__`."""
    found = _ENDS_LIST[text_N[np.maximum(end_L - 1, 0)]] & (end_L - first_L > 1)
    lines = np.flatnonzero(found)
    first, end = np.searchsorted(visible, first_L[lines]), np.searchsorted(visible, end_L[lines])
    found[lines] = end - first == end_L[lines] - first_L[lines]  # no space between
    return found


def _repeated(text: str) -> int:
    """Characters in lines that occurred before, indentation not counted."""
    lines = list(map(str.lstrip, text.split("\n")))
    different = set(lines)
    return 0 if len(different) == len(lines) else sum(map(len, lines)) - sum(map(len, different))
