"""Features of passages for the classifier: some 170 counts that a reader would name, and hashed n-grams.

Counts say how a passage is built: lines and indentation, comments and docstrings, marks, keywords, how its names
are used. N-grams say what it is made of, in two blocks: *tokens* (parts of words, marks, indentation) in runs of
one and two, and *shapes* (a word is its keyword, its group or its form) in runs of two and four. Nothing looks at
the path or the package.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.sparse import csr_array, vstack

from hornbook.curation.lexer import (
    BLANK,
    CODE,
    COMMENT,
    DIGIT,
    DOCSTRING,
    IN_CODE,
    IN_STRING,
    IN_TEXT,
    LOWER,
    OTHER,
    U32,
    UPPER,
    Lexed,
    lex,
)
from hornbook.curation.words import GROUPS, KEYWORDS

HASH_BITS = 18
BLOCKS = 2  # tokens and shapes
BUCKETS = BLOCKS << HASH_BITS  # tokens in the lower half, shapes in the upper
_BATCH_BYTES, _BATCH_PASSAGES = 200_000, 4000  # fits the cache; the passage's number must fit 13 bits

_MARKS = "()[]{},.:='\"#+-*/%<>@!&|\\~;^?$`"
_MARK = np.zeros(256, np.int64)
_MARK[[ord(mark) for mark in _MARKS]] = np.arange(1, len(_MARKS) + 1)
_ENDS = ":,)]({[}\"'"
_FLOW = ["if", "elif", "else", "for", "while", "return", "yield", "break", "continue"]
_A, _B, _C = U32(0x85EBCA6B), U32(0xC2B2AE35), U32(0x27D4EB2F)  # odd multipliers for mixing
U64 = np.uint64
_DAMPED = np.append(0, 1 + np.log(np.arange(1, 10_000))).astype(np.float32)

Columns = dict[str, np.ndarray]


@dataclass(frozen=True)
class Features:
    """Features of `len(counts)` passages."""

    counts: np.ndarray  # [passages, columns] float64
    names: tuple[str, ...]  # of the columns
    ngrams: csr_array  # [passages * BLOCKS, BUCKETS] float32: 1 + log of how often the n-gram occurs

    def take(self, passages: np.ndarray) -> "Features":
        """Features of the passages with these numbers."""
        cells = (passages[:, None] * BLOCKS + np.arange(BLOCKS)).ravel()
        return Features(self.counts[passages], self.names, self.ngrams[cells])

    def column(self, name: str) -> np.ndarray:
        """One of the counts, [passages]."""
        return self.counts[:, self.names.index(name)]


def extract(texts: Sequence[str]) -> Features:
    """Features of any number of passages (at least one), batch by batch."""
    parts = list(batches(texts))
    return Features(
        np.concatenate([part.counts for part in parts]), parts[0].names, vstack([p.ngrams for p in parts], "csr")
    )


def batches(texts: Sequence[str]) -> Iterator[Features]:
    """Features of consecutive slices of `texts`; a slice is some 200 kB."""
    start, size = 0, 0
    for end, text in enumerate(texts, 1):
        size += len(text)
        if size >= _BATCH_BYTES or end - start >= _BATCH_PASSAGES or end == len(texts):
            yield batch_features(texts[start:end])
            start, size = end, 0


def count_names() -> tuple[str, ...]:
    """Names of the counts, in the order of their columns."""
    return batch_features([""]).names


def batch_features(texts: Sequence[str]) -> Features:
    """Features of one small batch."""
    lexed = lex(texts)
    columns = _columns(lexed)
    return Features(np.stack(list(columns.values()), axis=1), tuple(columns), _ngrams(lexed))


def _columns(x: Lexed) -> Columns:
    tally = _Tally(len(x.size_D))
    lines = _lines(x, tally)
    words, group_DG = _words(x, tally)
    return lines | _marks(x, tally) | words | _structure(x, tally, group_DG) | _names(x, tally)


class _Tally:
    """Counts per passage."""

    def __init__(self, passages: int) -> None:
        self.passages = passages

    def __call__(self, passage: np.ndarray, weights: np.ndarray | None = None) -> np.ndarray:
        return np.bincount(passage, weights, minlength=self.passages).astype(np.float64)

    def by(self, passage: np.ndarray, kind: np.ndarray, kinds: int) -> np.ndarray:
        """[passages, kinds]"""
        flat = np.bincount(passage * kinds + kind, minlength=self.passages * kinds)
        return flat.reshape(self.passages, kinds).astype(np.float64)

    def mean(self, passage: np.ndarray, values: np.ndarray) -> np.ndarray:
        return self(passage, values) / np.maximum(self(passage), 1)


def _lines(x: Lexed, tally: _Tally) -> Columns:
    """How many lines of which kind, how long and how deeply indented."""
    kind_DK = tally.by(x.passage_L, x.kind_L, 5)
    lines = kind_DK.sum(axis=1)
    filled = lines - kind_DK[:, BLANK] + 1
    columns = {"size": np.log(x.size_D), "lines": np.log1p(lines)}
    for kind, name in enumerate(("blank", "docstring", "comment", "code", "prompt")):
        columns |= {f"{name} share": kind_DK[:, kind] / (lines + 1), f"{name} lines": np.log1p(kind_DK[:, kind])}
    full = x.kind_L != BLANK
    passage, indent, length = x.passage_L[full], x.indent_L[full].astype(float), x.length_L[full].astype(float)
    for name, values in (("indent", indent), ("length", length)):
        mean = tally.mean(passage, values)
        spread = np.sqrt(np.maximum(tally.mean(passage, values**2) - mean**2, 0))
        columns |= {f"{name} mean": mean, f"{name} spread": spread}
    for kind, name in ((CODE, "code"), (DOCSTRING, "docstring"), (COMMENT, "comment")):
        of_kind = x.kind_L == kind
        columns[f"length {name}"] = tally.mean(x.passage_L[of_kind], (x.length_L - x.indent_L)[of_kind])
    begin = np.searchsorted(x.passage_L, np.arange(tally.passages))
    columns |= {
        "length max": np.log1p(np.maximum.reduceat(x.length_L, begin)),
        "long lines": np.log1p(tally(x.passage_L[x.length_L > 80])),
        "indent max": np.maximum.reduceat(np.where(full, x.indent_L, 0), begin),
        "indent min": np.minimum.reduceat(np.where(full, x.indent_L, 99), begin),
        "indent first": x.indent_L[begin],
        "triple quotes": np.log1p(x.triples_D),
        "open docstring": x.triples_D % 2,
        "begins in docstring": x.inside_D,
    }
    for depth in (0, 4, 8, 12):
        columns[f"indent {depth}"] = tally(passage[indent == depth]) / filled
    code = x.kind_L == CODE
    end_DM = tally.by(x.passage_L[code], _MARK[x.last_L[code]], len(_MARKS) + 1)
    for mark in _ENDS:
        columns[f"ends {mark}"] = end_DM[:, _MARK[ord(mark)]] / (kind_DK[:, CODE] + 1)
    columns["decorators"] = np.log1p(tally(x.passage_L[code & (x.first_L == ord("@"))]))
    line = np.sort((passage.astype(U64) << U64(32)) | x.hash_L[full])
    columns["distinct lines"] = tally((line[_runs(line)] >> U64(32)).astype(np.int64)) / filled
    return columns


def _marks(x: Lexed, tally: _Tally) -> Columns:
    """Punctuation per thousand visible bytes, and what letters and digits the rest is made of."""
    is_mark = x.shape_S < 256
    mark_DM = tally.by(x.passage_S[is_mark], _MARK[x.shape_S[is_mark].astype(np.int64)], len(_MARKS) + 1)
    bytes_DC = np.bincount(x.passage_T * 7 + x.class_T, x.size_T, 7 * tally.passages).reshape(-1, 7)[:, :3]
    token_DC = tally.by(x.passage_T, x.class_T, 7)
    visible = bytes_DC.sum(axis=1) + mark_DM.sum(axis=1) + 1
    columns = {f"mark {m}": np.log1p(1000 * mark_DM[:, _MARK[ord(m)]] / visible) for m in _MARKS}
    for kind, name in ((LOWER, "lower"), (UPPER, "upper"), (DIGIT, "digit")):
        columns[f"{name} bytes"] = np.log1p(100 * bytes_DC[:, kind] / x.size_D)
        columns[f"{name} tokens"] = np.log1p(100 * token_DC[:, kind] / (token_DC.sum(axis=1) + 1))
    return columns


def _words(x: Lexed, tally: _Tally) -> tuple[Columns, np.ndarray]:
    """Keywords and groups of words, in code and in text. Also returns the groups' counts outside text."""
    in_text, size_W = x.place_W == IN_TEXT, x.end_W - x.start_W
    all_DGP = tally.by(x.passage_W, x.group_W * 2 + in_text, 2 * len(GROUPS)).reshape(-1, len(GROUPS), 2)
    group_DG, text_DG = all_DGP.sum(axis=2), all_DGP[:, :, 1]
    words, text = group_DG.sum(axis=1) + 1, text_DG.sum(axis=1) + 1
    code_W = x.passage_W[x.place_W == IN_CODE]
    columns = {
        "words": np.log(words),
        "text words": np.log(text),
        "code words": np.log1p(tally(code_W)),
        "text share": text / words,
        "string share": tally(x.passage_W[x.place_W == IN_STRING]) / words,
        "listed share": group_DG[:, 1:].sum(axis=1) / words,
        "word size": tally(x.passage_W, size_W) / words,
        "word size in code": tally.mean(code_W, size_W[x.place_W == IN_CODE]),
        "word size in text": tally.mean(x.passage_W[in_text], size_W[in_text]),
        "english in text": text_DG[:, GROUPS.index("english")] / text,
        "rate of flow": np.log1p(1000 * group_DG[:, [GROUPS.index(word) for word in _FLOW]].sum(axis=1) / words),
    }
    for index, group in enumerate(GROUPS):
        if index != OTHER:
            columns[f"count {group}"] = np.log1p(group_DG[:, index])
        if index > len(KEYWORDS):
            columns[f"rate {group}"] = np.log1p(1000 * group_DG[:, index] / words)
    return columns, group_DG - text_DG


def _structure(x: Lexed, tally: _Tally, group_DG: np.ndarray) -> Columns:
    """Functions and classes: how many, at top level, documented; how much text and code there is for each."""
    first_word = np.flatnonzero(np.diff(x.line_W, prepend=-1) > 0)
    first_group_L = np.zeros(len(x.kind_L), np.int64)
    first_group_L[x.line_W[first_word]] = x.group_W[first_word]
    code = x.kind_L == CODE
    defines = code & _is_one_of("def", "class", "async")[first_group_L]
    opens = np.zeros(len(code), bool)
    opens[1:] = (x.kind_L[1:] == DOCSTRING) & code[:-1] & (x.last_L[:-1] == ord(":"))
    opens[1:] &= x.passage_L[1:] == x.passage_L[:-1]
    definitions, documented = tally(x.passage_L[defines]), tally(x.passage_L[opens])
    functions = np.log1p(group_DG[:, GROUPS.index("def")])
    return {
        "definitions": np.log1p(definitions),
        "top definitions": np.log1p(tally(x.passage_L[defines & (x.indent_L == 0)])),
        "documented": np.log1p(documented),
        "documented share": documented / (definitions + 0.5),
        "text per function": np.log1p(tally(x.passage_W[x.place_W == IN_TEXT])) - functions,
        "code per function": np.log1p(tally(x.passage_W[x.place_W == IN_CODE])) - functions,
    }


def _names(x: Lexed, tally: _Tally) -> Columns:
    """How names are used: attributes, calls, and names that come from elsewhere (what the passage leans on)."""
    text, W = x.text_N, x.passage_W
    code, size_W = x.place_W == IN_CODE, x.end_W - x.start_W
    first, before, after = text[x.start_W], text[x.start_W - 1], text[x.end_W]
    spaced = after == ord(" ")
    last = len(text) - 1
    after = np.where(spaced, text[np.minimum(x.end_W + 1, last)], after)
    second = text[np.minimum(x.end_W + 1 + spaced, last)]
    beside = np.append(False, x.end_W[:-1] + 1 == x.start_W[1:])  # one byte after the word before it
    previous = np.where(beside, np.append(OTHER, x.group_W[:-1]), OTHER)
    attribute, call = before == ord("."), text[x.end_W] == ord("(")
    upper, listed = (first >= ord("A")) & (first <= ord("Z")), x.group_W != OTHER

    def follows(*words: str) -> np.ndarray:
        return _is_one_of(*words)[previous]

    code_words = tally(W[code]) + 1

    def share(mask: np.ndarray) -> np.ndarray:
        return tally(W[mask & code]) / code_words

    assigned = (after == ord("=")) & (second != ord("="))
    bound = code & (follows("def", "class", "import", "as", "for", "global") | assigned)
    bound |= code & ((after == ord(":")) | (after == ord(",")))  # parameters, annotations, unpacking
    bare = code & ~attribute & ~listed
    use = [
        bound,
        bare,
        bare & call,
        code & attribute,
        code & attribute & follows("self"),
        follows("def", "class"),
        upper,
        code & ~attribute & (x.group_W == GROUPS.index("stdlib")),
    ]
    passage, times, uses = _distinct(W, x.hash_W, use)
    bound, bare, call_, attribute_, of_self, own, upper_, stdlib = uses
    foreign = bare & ~bound & ~own

    def number(mask: np.ndarray) -> np.ndarray:
        return tally(passage[mask])

    in_text = x.place_W == IN_TEXT
    return {
        "attributes": share(attribute),
        "calls": share(call),
        "method calls": share(attribute & call),
        "keyword arguments": share(text[x.end_W] == ord("=")),
        "letters": share(size_W == 1),
        "long names": share(size_W > 15),
        "capitals in code": share(upper),
        "capitals in text": tally(W[in_text & upper]) / (tally(W[in_text]) + 1),
        "private names": share(first == ord("_")),
        "distinct words": np.log1p(tally(passage)),
        "distinct share": tally(passage) / (tally(W) + 1),
        "words used once": tally(passage[times == 1]) / (tally(W) + 1),
        "foreign names": np.log1p(number(foreign)),
        "foreign share": number(foreign) / (number(bare) + 1),
        "foreign capitals": np.log1p(number(foreign & upper_)),
        "foreign calls": np.log1p(number(call_ & ~own)),
        "foreign call share": number(call_ & ~own) / (number(call_) + 1),
        "foreign members": np.log1p(number(of_self & ~bound & ~own)),
        "attribute names": np.log1p(number(attribute_)),
        "stdlib names": np.log1p(number(stdlib)),
        "own names": np.log1p(number(own)),
        "bound share": number(bound & bare) / (number(bare) + 1),
    }


def _is_one_of(*words: str) -> np.ndarray:
    """Table over groups: np.isin would sort."""
    table = np.zeros(len(GROUPS), bool)
    table[[GROUPS.index(word) for word in words]] = True
    return table


def _distinct(
    passage_W: np.ndarray, hash_W: np.ndarray, use: list[np.ndarray]
) -> tuple[np.ndarray, np.ndarray, list[np.ndarray]]:
    """Distinct words of every passage: the passage, how often, and for each of eight uses whether it occurs."""
    flags = np.zeros(len(hash_W), U64)
    for bit, mask in enumerate(use):
        flags |= mask.astype(U64) << U64(bit)
    key = np.sort((passage_W.astype(U64) << U64(40)) | (hash_W.astype(U64) << U64(8)) | flags)
    begin = _runs(key >> U64(8))
    seen = np.bitwise_or.reduceat(key, begin) if len(key) else key
    times = np.diff(np.append(begin, len(key)))
    passage = (key[begin] >> U64(40)).astype(np.int64)
    return passage, times, [(seen >> U64(bit)) & U64(1) == 1 for bit in range(len(use))]


def _runs(sorted_keys: np.ndarray) -> np.ndarray:
    """Where each run of equal keys begins."""
    first = np.ones(len(sorted_keys), bool)
    np.not_equal(sorted_keys[1:], sorted_keys[:-1], out=first[1:])
    return np.flatnonzero(first)


def _ngrams(x: Lexed) -> csr_array:
    """Distinct hashed n-grams of every passage and block."""
    keys = _ngram_keys(x.token_T, x.passage_T, (1, 2), 0) + _ngram_keys(x.shape_S, x.passage_S, (2, 4), 1)
    key = np.sort(np.concatenate(keys))
    begin = _runs(key)
    times = np.diff(np.append(begin, len(key)))
    key = key[begin]
    cells = len(x.size_D) * BLOCKS
    bounds = np.searchsorted(key, (np.arange(cells) << HASH_BITS).astype(np.uint32))
    starts = np.append(bounds, len(key)).astype(np.int32)
    buckets = (key & np.uint32(BUCKETS - 1)).astype(np.int32)
    return csr_array((_DAMPED[np.minimum(times, len(_DAMPED) - 1)], buckets, starts), shape=(cells, BUCKETS))


def _ngram_keys(tokens: np.ndarray, passage: np.ndarray, orders: Sequence[int], block: int) -> list[np.ndarray]:
    """`passage * BUCKETS + bucket` (uint32, so that they sort fast) of every n-gram that lies in one passage."""
    mixed = tokens * _A
    mixed ^= mixed >> U32(15)
    first = passage.astype(U32) * U32(BUCKETS) + U32(block << HASH_BITS)
    running, keys = mixed, []
    for order in range(1, max(orders) + 1):
        if order > 1:
            running = running[:-1] * _C + mixed[order - 1 :]
            running ^= running >> U32(15)
        if order in orders:
            bucket = (running + U32(order)) * _B >> U32(32 - HASH_BITS)
            inside = passage[: len(running)] == passage[order - 1 :]
            keys.append((first[: len(running)] | bucket)[inside])
    return keys
