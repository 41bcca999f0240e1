"""Evaluation items, and how they are read from JSON lines."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hornbook.core.errors import HornbookError


@dataclass(frozen=True)
class Item:
    """A text to predict, and the prompt that it follows ("" for none)."""

    id: str
    prompt: str
    text: str


def read_items(path: Path, field: str = "text", prompt_field: str | None = None) -> list[Item]:
    """The items of a JSONL file; ids are those of the lines, or their numbers. Blank lines are skipped.

    Raises HornbookError, with the number of the line, for a line that is no JSON object, for a missing field
    and for one that is not Unicode text.
    """
    items = []
    try:
        with path.open("rb") as file:
            for number, line in enumerate(file, 1):
                if not line.strip():
                    continue
                try:
                    row = json.loads(line)
                except (ValueError, RecursionError) as error:
                    raise HornbookError(f"{path}, line {number}, is not JSON ({error}).", "Correct it.") from error
                text = _field(row, field, path, number)
                prompt = _field(row, prompt_field, path, number) if prompt_field else ""
                items.append(Item(str(row.get("id", number)), prompt, text))
    except OSError as error:
        raise HornbookError(f"Cannot read {path} ({error.strerror}).", "Name a file of JSON lines.") from error
    return items


def _field(row: Any, name: str, path: Path, number: int) -> str:
    where = f"{path}, line {number},"
    if not isinstance(row, dict):
        raise HornbookError(f"{where} is not a JSON object.", f'Write {{"{name}": "..."}} on every line.')
    value = row.get(name)
    if not isinstance(value, str):
        keys = ", ".join(sorted(map(repr, row))) or "none"
        raise HornbookError(f"{where} has no text {name!r} (its keys: {keys}).", "Name the right field.")
    try:
        value.encode()
    except UnicodeEncodeError as error:
        raise HornbookError(f"{where} has half of a surrogate pair in {name!r}.", "Correct it.") from error
    return value
