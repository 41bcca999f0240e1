"""Decontamination: passages that contain an evaluation item, or a renamed copy of its functions, are dropped.

Two searches. *N-grams*: runs of 13 tokens that a passage shares with an item (Brown et al. 2020, appendix C). Only
those with enough different words count, and it takes a share of the item's, because idioms are no leak.
*Shapes*: a function with the same syntax tree as one of an item, names aside. Parsing is slow, so only passages are
parsed that share most of the item's short runs of tokens with all names blanked out.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from hornbook.core.engine import add_counters, map_shards
from hornbook.core.errors import HornbookError
from hornbook.curation.code_shape import body_layouts, functions_at, outer_functions, outline, shape
from hornbook.curation.config_duplicates import DecontaminationConfig
from hornbook.curation.fingerprints import U64, Tokens, batches, ngrams, tokenise
from hornbook.curation.verdicts import kept, make_verdicts, tally, text_bytes
from hornbook.curation.words import KEYWORDS

_SLOT_BITS = 22  # of the table that rules most n-grams out
_FORM_TOKENS = 8  # length of the runs with blanked names
_FORMS = 24  # runs that are looked for, per function
_FORM_SHARE = 0.3  # of these that a passage must have, and two more, to be parsed: a nested `def` breaks some
_NAME = U64(1)
_FORM_WORDS = "len range append sum sorted set list dict str int max min abs join split enumerate zip isinstance"


@dataclass(frozen=True)
class Item:
    """One evaluation item; prompt and text both belong to it."""

    set: str
    id: str
    prompt: str
    text: str


def decontamination_step(inputs: dict[str, Path], out: Path, config: DecontaminationConfig) -> dict[str, Any]:
    """Verdicts of the passages that `rules` and `exact` keep, against all `*.jsonl` of `sets` (id, prompt, text).

    The reason names the set and the item: "leak: humaneval HumanEval/12". HornbookError when a set is unreadable.
    """
    index = Index(read_items(inputs["sets"]), config)
    beside = {"rules": inputs["rules"], "exact": inputs["exact"]}
    parts = map_shards(Decontaminate(index), inputs["documents"], out, "decontamination", beside, ["id", "text"])
    return add_counters(parts)


def read_items(folder: Path) -> list[Item]:
    """All items of a folder of evaluation sets, ordered by set."""
    items = []
    for path in sorted(Path(folder).glob("*.jsonl")):
        for number, line in enumerate(path.read_text().splitlines(), 1):
            try:
                row = json.loads(line)
                items.append(Item(path.stem, str(row["id"]), row.get("prompt") or "", row["text"]))
            except (ValueError, KeyError, TypeError) as error:
                problem = f"Line {number} of {path} is no evaluation item ({error!r})."
                raise HornbookError(problem, "Each line needs JSON with id and text, and may have a prompt.") from error
    if not items:
        raise HornbookError(f"No evaluation item in {folder}.", "Put at least one set there, as *.jsonl.")
    return items


@dataclass(frozen=True)
class Decontaminate:
    """Verdicts of one shard."""

    index: "Index"

    def __call__(self, table: pa.Table, /, **side: pa.Table) -> tuple[pa.Table, dict[str, Any]]:
        table = table.filter(pa.array(kept(table["id"], *side.values())))
        found = self.index.leaks(table["text"].to_pylist())
        leaked = [self.index.items[number] if number >= 0 else None for number in found]
        reasons = [f"leak: {item.set} {item.id}" if item else "" for item in leaked]
        size = text_bytes(table["text"])
        counters = tally([f"leak: {item.set}" if item else "" for item in leaked])
        counters |= {"bytes_in": int(size.sum()), "bytes_out": int(size[np.array(found) < 0].sum())}
        return make_verdicts(table["id"], reasons), counters


class Runs:
    """Which runs of tokens belong to which of a number of owners (items, functions)."""

    def __init__(self, hashes: Sequence[np.ndarray]) -> None:
        owners = np.repeat(np.arange(len(hashes)), [len(array) for array in hashes])
        flat = np.concatenate([np.zeros(0, U64), *hashes])
        order = np.lexsort((owners, flat))
        flat, owners = flat[order], owners[order]
        first = np.ones(len(flat), bool)
        first[1:] = (flat[1:] != flat[:-1]) | (owners[1:] != owners[:-1])
        flat, self.owners = flat[first], owners[first]
        self.sizes = np.bincount(self.owners, minlength=len(hashes))  # different runs of each owner
        self.hashes, self.starts = np.unique(flat, return_index=True)
        self.ends = np.append(self.starts[1:], len(flat))
        self.table = np.zeros(1 << _SLOT_BITS, bool)
        self.table[self.hashes >> U64(64 - _SLOT_BITS)] = True

    def shared(self, hash_G: np.ndarray, text_G: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Pairs of text and owner with the number of different runs that they share."""
        likely = np.flatnonzero(self.table[hash_G >> U64(64 - _SLOT_BITS)])
        if not len(likely):
            return (np.zeros(0, np.int64),) * 3
        place = np.minimum(np.searchsorted(self.hashes, hash_G[likely]), len(self.hashes) - 1)
        hit = self.hashes[place] == hash_G[likely]
        text, run = np.divmod(np.unique(text_G[likely[hit]] * len(self.hashes) + place[hit]), len(self.hashes))
        width = self.ends[run] - self.starts[run]
        offset = np.arange(width.sum()) - np.repeat(np.cumsum(width) - width, width)
        owner = self.owners[np.repeat(self.starts[run], width) + offset]
        both, count = np.unique(np.repeat(text, width) * len(self.sizes) + owner, return_counts=True)
        return *np.divmod(both, len(self.sizes)), count


class Index:
    """All that is looked for: the n-grams of the items and of their texts alone, and the shapes of their functions."""

    def __init__(self, items: Sequence[Item], config: DecontaminationConfig) -> None:
        self.items, self.config = items, config
        with_prompt = [number for number, item in enumerate(items) if item.prompt]
        parts = [item.prompt + "\n" + item.text for item in items] + [items[number].text for number in with_prompt]
        self.item_of_part = np.array([*range(len(items)), *with_prompt], np.int64)
        self.ngrams = Runs([_telling_ngrams(tokenise([part]), config) for part in parts])
        share = np.where(np.arange(len(parts)) < len(items), config.min_share, config.min_share_of_text)
        self.least = np.clip(np.ceil(share * self.ngrams.sizes), config.min_shared, config.enough)

        self.shapes: dict[str, int] = {}  # to the number of the item
        self.outlines: set[tuple[object, ...]] = set()
        forms = []
        for number, item in enumerate(items):
            source = item.prompt + item.text
            for function in outer_functions(source):
                text, nodes = shape(function)
                if nodes >= config.min_nodes and text not in self.shapes:
                    self.shapes[text] = number
                    self.outlines.add(outline(function))
                    forms += [_telling_forms(layout) for layout in body_layouts(source, function)]
        self.forms = Runs(forms)
        self.least_forms = np.minimum(self.forms.sizes, np.ceil(2 + _FORM_SHARE * self.forms.sizes))

    def leaks(self, texts: Sequence[str]) -> list[int]:
        """For every text the number of the item that it gives away, or -1."""
        found = np.full(len(texts), -1)
        for start, tokens in batches(texts):
            for text, number in self._suspects(tokens):
                if found[start + text] < 0:
                    found[start + text] = self._copied_function(texts[start + text], number)
            text_A, item_A, count_A = self._shared_ngrams(tokens)
            order = np.lexsort((-item_A, count_A))  # the last to be written stays: most n-grams, then first item
            found[start + text_A[order]] = item_A[order]
        return found.tolist()

    def _shared_ngrams(self, tokens: Tokens) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Text, item and number of shared n-grams where that number is a leak."""
        hash_G, start_G = ngrams(tokens.hash_T, tokens.text_T, self.config.tokens)
        text, part, count = self.ngrams.shared(hash_G, tokens.text_T[start_G])
        enough = count >= self.least[part]
        return text[enough], self.item_of_part[part[enough]], count[enough]

    def _suspects(self, tokens: Tokens) -> list[tuple[int, int]]:
        """Functions that may have the shape of an item's, as text and running number of the `def` in it.

        A suspect is a section, from one `def` to the next, that has many of the runs of an item's function.
        """
        is_def_T = tokens.hash_T == _def_token()
        defs_T = np.cumsum(is_def_T)
        code = _code(tokens)
        text_T, blanked_T = tokens.text_T[code], _blanked(tokens)[code]
        begins_T = is_def_T[code] | (np.diff(text_T, prepend=-1) > 0)
        hash_G, start_G = ngrams(blanked_T, text_T, _FORM_TOKENS)
        section, function, count = self.forms.shared(hash_G, np.cumsum(begins_T)[start_G] - 1)
        section = np.unique(section[count >= self.least_forms[function]])

        text = text_T[begins_T][section]
        before = np.append(0, defs_T)[np.searchsorted(tokens.text_T, text)]
        number = defs_T[code][begins_T][section] - before
        return list(zip(text[number > 0].tolist(), number[number > 0].tolist(), strict=True))

    def _copied_function(self, text: str, number: int) -> int:
        """The first item that has a function of the same shape as one at the `number`-th `def`, or -1."""
        likely = (function for function in functions_at(text, number) if outline(function) in self.outlines)
        copies = (self.shapes.get(shape(function)[0], -1) for function in likely)
        return min((item for item in copies if item >= 0), default=-1)


def _telling_ngrams(tokens: Tokens, config: DecontaminationConfig) -> np.ndarray:
    """Hashes of the n-grams that contain enough different words."""
    hash_G, start_G = ngrams(tokens.hash_T, tokens.text_T, config.tokens)
    words_T = np.where(tokens.word_T, tokens.hash_T, U64(0))
    return hash_G[_different(words_T, start_G, config.tokens) >= config.min_words]


def _telling_forms(source: str) -> np.ndarray:
    """Hashes of those runs of a function that differ most from `name.name(name)`."""
    tokens = tokenise([source])
    blanked_T = _blanked(tokens)[_code(tokens)]
    hash_G, start_G = ngrams(blanked_T, np.zeros(len(blanked_T)), _FORM_TOKENS)
    different = _different(blanked_T, start_G, _FORM_TOKENS)
    return hash_G[np.argsort(-different, kind="stable")[:_FORMS]]


def _different(hash_T: np.ndarray, start_G: np.ndarray, size: int) -> np.ndarray:
    """Number of different hashes, other than 0, in the runs of `size` tokens that begin at `start_G`."""
    if not len(start_G):
        return np.zeros(0, np.int64)
    runs = np.sort(np.lib.stride_tricks.sliding_window_view(hash_T, size)[start_G], axis=1)
    return (np.diff(runs, axis=1) != 0).sum(axis=1) + (runs[:, 0] != 0)


def _code(tokens: Tokens) -> np.ndarray:
    """Places of the tokens that bear on the syntax tree: no comments, and no brackets, which may be redundant."""
    opening, closing = _brackets()
    return np.flatnonzero(~tokens.comment_T & (tokens.hash_T != opening) & (tokens.hash_T != closing))


def _blanked(tokens: Tokens) -> np.ndarray:
    """Token hashes in which all words are alike, but for keywords and a few others; numbers stay."""
    known_T = _form_words()[tokens.hash_T >> U64(64 - 16)] == tokens.hash_T
    return np.where(tokens.word_T & ~known_T, _NAME, tokens.hash_T)


@cache
def _form_words() -> np.ndarray:
    """Hash of a word that is not blanked, at the place given by its upper 16 bits."""
    hashes = tokenise([" ".join(KEYWORDS) + " " + _FORM_WORDS]).hash_T
    slots = np.zeros(1 << 16, U64)
    slots[hashes >> U64(64 - 16)] = hashes
    return slots


@cache
def _def_token() -> np.uint64:
    return tokenise(["def"]).hash_T[0]


@cache
def _brackets() -> tuple[np.uint64, np.uint64]:
    return tuple(tokenise(["()"]).hash_T)
