"""Passages: files cut into pieces that end between statements or paragraphs, the unit of curation."""

import json
import re
from functools import partial
from math import ceil
from pathlib import Path

import numpy as np
import pyarrow as pa

from hornbook.core.documents import DOCUMENTS, document_id, text_hash
from hornbook.core.engine import Counters, add_counters, map_shards
from hornbook.corpus.config import PassageConfig
from hornbook.corpus.layout import Layout, layout_of_code, layout_of_python, layout_of_text

PYTHON = "Python"  # the language of code that names none: distributions and the standard library
_LEADING_BLANK_LINES = re.compile(r"(?:[ \t\f\v]*+\n)*+")
_FENCED_CODE = re.compile(r"^ {0,3}(?:```|~~~)", re.MULTILINE)


def passages_step(inputs: dict[str, Path], out: Path, config: PassageConfig) -> Counters:
    """Cut whole files (input `documents`) into passages; `parent` is the file, `ordinal` counts from 1."""
    function = partial(cut_shard, max_chars=config.max_chars)
    return add_counters(map_shards(function, inputs["documents"], out, "cutting passages"))


def cut_shard(table: pa.Table, max_chars: int) -> tuple[pa.Table, Counters]:
    """Cut the files of one shard."""
    ids, texts, hashes, ordinals, rows = [], [], [], [], []
    columns = (table[name].to_pylist() for name in ("source", "origin", "kind", "text", "meta"))
    for row, (source, origin, kind, text, meta) in enumerate(zip(*columns, strict=True)):
        language = json.loads(meta or "{}").get("language", PYTHON) if kind == "code" else PYTHON
        for ordinal, passage in enumerate(cut(text, kind, max_chars, language), 1):
            ids.append(document_id(source, origin, ordinal))
            texts.append(passage)
            hashes.append(text_hash(passage))
            ordinals.append(ordinal)
            rows.append(row)
    of_file = table.select(["id", "source", "origin", "license", "kind", "meta"]).take(pa.array(rows, pa.int64()))
    made = {
        "id": pa.array(ids, pa.string()),
        "text": pa.array(texts, pa.string()),
        "text_hash": pa.array(hashes, pa.string()),
        "ordinal": pa.array(ordinals, pa.int32()),
        "parent": of_file["id"],
    }
    columns_out = [made[name] if name in made else of_file[name] for name in DOCUMENTS.names]
    counters = {
        "rows_in": table.num_rows,
        "rows_out": len(ids),
        "kept": len(ids),
        "bytes_in": _bytes(table["text"].to_pylist()),
        "bytes_out": _bytes(texts),
    }
    return pa.Table.from_arrays(columns_out, schema=DOCUMENTS), counters


def cut(text: str, kind: str, max_chars: int, language: str = PYTHON) -> list[str]:
    """The passages of a text, at most `max_chars` characters each, blank lines at their ends stripped.

    Code (in `language`, of programming): as many whole top-level statements as fit; a longer one is cut evenly
    between its members, else between its statements, else between lines. Text and synthetic lessons: evenly between
    paragraphs, rather not inside of fenced code. Put together in order, the passages give back the text, up to those
    blank lines.
    """
    if len(text) <= max_chars:
        spans = [(0, len(text))]
    elif kind == "code" or (kind == "synthetic" and not _FENCED_CODE.search(text)):
        spans = _cut_code(text, max_chars, layout_of_python(text) if language == PYTHON else layout_of_code(text))
    else:
        spans = _cut_evenly(text, layout_of_text(text), 0, len(text), max_chars)
    passages = (_trim(text, start, end, max_chars) for start, end in spans)
    return [passage for passage in passages if passage]


def _cut_code(text: str, max_chars: int, layout: Layout) -> list[tuple[int, int]]:
    tops = layout.starts[layout.costs == 0]
    tops = np.concatenate(([0], tops[tops > 0], [len(text)]))  # what comes before the first counts as one
    spans: list[tuple[int, int]] = []
    start = 0
    while start < len(text):
        end = int(tops[max(int(np.searchsorted(tops, start + max_chars, side="right")) - 1, 0)])
        if end > start:
            spans.append((start, end))
        else:  # the next statement alone is too long
            end = int(tops[np.searchsorted(tops, start, side="right")])
            spans += _cut_evenly(text, layout, start, end, max_chars)
        start = end
    return spans


def _cut_evenly(text: str, layout: Layout, start: int, end: int, max_chars: int) -> list[tuple[int, int]]:
    """Cut a stretch of text into pieces of similar length, at the cheapest places near to where they should end."""
    spans: list[tuple[int, int]] = []
    while end - start > max_chars:
        target = (end - start) / ceil((end - start) / max_chars)
        first = np.searchsorted(layout.starts, start + target / 2, side="right")
        last = np.searchsorted(layout.starts, start + max_chars, side="right")
        if first < last:
            away = np.abs(layout.starts[first:last] - (start + target))
            best = first + np.lexsort((away, layout.costs[first:last]))[0]
            middle = int(layout.starts[best])
        else:
            middle = _cut_line(text, start, max_chars)
        spans.append((start, middle))
        start = middle
    return [*spans, (start, end)]


def _cut_line(text: str, start: int, max_chars: int) -> int:
    """Where to cut when a line is very long: before it, else at a space in it, else anywhere."""
    limit = start + max_chars
    for mark in ("\n", " "):
        place = text.rfind(mark, start + (max_chars // 2 if mark == " " else 1), limit)
        if place > start:
            return place + 1
    return limit


def _trim(text: str, start: int, end: int, max_chars: int) -> str:
    whole_lines = end == len(text) or text[end - 1] == "\n"
    blank = _LEADING_BLANK_LINES.match(text, start, end)
    passage = text[blank.end() if blank else start : end].rstrip(" \t\n\f\v")
    return passage + "\n" if passage and whole_lines and len(passage) < max_chars else passage


def _bytes(texts: list[str]) -> int:
    return sum(len(text) if text.isascii() else len(text.encode()) for text in texts)
