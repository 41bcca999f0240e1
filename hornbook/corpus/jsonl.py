"""JSON lines: read as a stream, with a bound on the length of a line; plain files can be read in parts."""

import json
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import orjson

from hornbook.corpus.listing import File
from hornbook.corpus.places import is_compressed, open_bytes, open_stream

_BLOCK = 1 << 20
_LOOKED_AT = 100  # lines that tell which columns there are
Row = tuple[int, dict[str, Any] | str, tuple[str, ...]]  # number in the file, the record or what is wrong, repairs


def rows(file: File, columns: Sequence[str], limit: int) -> Iterator[Row]:
    """The records of a file or of a part of one. A line that is no record is told by its reason.

    Reading ends early, and says so, where the file is damaged or cut off.
    """
    number = file.before
    try:
        for line in lines(file, limit):
            number += 1
            if line is None:
                yield number, "too large", ()
            elif line.strip():
                row, repaired = _parse(line)
                yield number, row, repaired
    except OSError:
        yield number + 1, "file damaged or cut off", ()


def lines(file: File, limit: int) -> Iterator[bytes | None]:
    """The lines of a file or of a part of one, None in place of those longer than `limit` bytes."""
    with open_stream(file.path) as stream:
        left = -1
        if file.span:
            stream.seek(file.span[0])
            left = file.span[1] - file.span[0]
        kept: list[bytes] = []  # the beginning of a line that goes on in the next block
        length = 0
        while block := stream.read(_BLOCK if left < 0 else min(_BLOCK, left)):
            left -= len(block) if left > 0 else 0
            first, *others = block.split(b"\n")
            length += len(first)
            if length <= limit:
                kept.append(first)
            else:
                kept.clear()  # nothing of a line that is too long stays in memory
            if others:
                yield b"".join(kept) if length <= limit else None
                for line in others[:-1]:
                    yield line if len(line) <= limit else None
                length = len(others[-1])
                kept = [others[-1]] if length <= limit else []
        if length:
            yield b"".join(kept) if length <= limit else None


def _parse(line: bytes) -> tuple[dict[str, Any] | str, tuple[str, ...]]:
    repaired: tuple[str, ...] = ()
    try:
        row = orjson.loads(line)
    except orjson.JSONDecodeError:
        # The standard library also takes NaN, lone surrogates, control characters and a byte order mark.
        try:
            text = line.decode("utf-8-sig")
        except UnicodeDecodeError:
            text = line.decode("utf-8", "replace")
            repaired = ("encoding",)
        try:
            row = json.loads(text, strict=False)
        except (ValueError, RecursionError):
            return "bad JSON", ()
    return (row, repaired) if isinstance(row, dict) else ("no JSON object", ())


def sample(file: File, limit: int) -> dict[str, Any]:
    """The columns of the first records, each with its first value that is not null."""
    found: dict[str, Any] = {}
    for count, (_, row, _) in enumerate(rows(file, (), limit)):
        if count >= _LOOKED_AT:
            break
        if isinstance(row, dict):
            found |= {name: value for name, value in row.items() if found.get(name) is None}
    return found


def split(file: File, about: int) -> list[File]:
    """Parts of a plain file that end between lines, about so many bytes each.

    The file is read once to count its lines, so that records are called the same however it is cut.
    """
    if is_compressed(file.path) or file.size <= about * 3 // 2:
        return [file]
    parts: list[File] = []
    start = position = before = count = 0
    with open_bytes(file.path) as stream:
        while block := stream.read(_BLOCK):
            ends = np.flatnonzero(np.frombuffer(block, np.uint8) == 10)
            while len(ends):
                enough = int(np.searchsorted(ends, start + about - position - 1))
                if enough >= len(ends):
                    break
                end = position + int(ends[enough]) + 1
                count += enough + 1
                parts.append(File(file.path, file.origin, end - start, file.version, (start, end), before))
                start, before, ends = end, count, ends[enough + 1 :]
            count += len(ends)
            position += len(block)
    if start < position:
        parts.append(File(file.path, file.origin, position - start, file.version, (start, position), before))
    return parts
