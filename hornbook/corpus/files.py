"""Whole files as documents: prose, source code, notebooks and HTML."""

import json
from collections.abc import Iterator
from pathlib import PurePosixPath
from typing import Any

from hornbook.corpus.decoding import Unusable, decode, decode_strictly
from hornbook.corpus.languages import language_of
from hornbook.corpus.listing import File, Record, Skipped

TEXT_SUFFIXES = frozenset({".md", ".markdown", ".rst", ".txt"})
NOTEBOOK_SUFFIXES = frozenset({".ipynb"})
HTML_SUFFIXES = frozenset({".html", ".htm", ".xhtml"})


def suffix_of(path: str) -> str:
    """The suffix of a name in small letters, with its point."""
    return PurePosixPath(path).suffix.lower()


def read_python(file: File, meta: dict[str, Any]) -> Iterator[Record | Skipped]:
    """A Python file of the interpreter or of a distribution, as Python would read it."""
    try:
        yield Record(file.origin, decode_strictly(_bytes(file), python=True), "code", meta)
    except Unusable as error:
        yield Skipped(file.origin, error.reason)


def read_file(file: File, languages: frozenset[str], meta: dict[str, Any]) -> Iterator[Record | Skipped]:
    """A file of a folder: text, a notebook, HTML, or code in one of `languages`."""
    suffix = suffix_of(file.origin)
    try:
        text, repaired = decode(_bytes(file), python=suffix in (".py", ".pyi", ".pyw"))
        if suffix in NOTEBOOK_SUFFIXES:
            text, about = notebook_text(text)
            yield Record(file.origin, text, "text", meta | about, repaired=repaired)
        elif suffix in HTML_SUFFIXES:
            from hornbook.corpus.html import page_of

            page = page_of(text)
            yield Record(file.origin, page.text, "text", meta | page.meta, page.license, repaired)
        elif suffix in TEXT_SUFFIXES and not _names_code(file.origin):
            yield Record(file.origin, text, "text", meta, repaired=repaired)
        else:
            language = language_of(file.origin, text)
            if language in languages:
                yield Record(file.origin, text, "code", meta | {"language": language}, repaired=repaired)
            else:
                yield Skipped(file.origin, "not code" if language is None else "another language")
    except Unusable as error:
        yield Skipped(file.origin, error.reason)


def _names_code(origin: str) -> bool:
    return PurePosixPath(origin).name.lower() == "cmakelists.txt"


def notebook_text(source: str) -> tuple[str, dict[str, Any]]:
    """The Markdown cells of a Jupyter notebook (nbformat 3 or 4) and its code, fenced; outputs are left out.

    Raises Unusable: `not a notebook`, `empty`.
    """
    try:
        notebook = json.loads(source)
        cells = notebook["cells"] if "cells" in notebook else [c for s in notebook["worksheets"] for c in s["cells"]]
        about = notebook.get("metadata", {})
        language = about.get("language_info", about.get("kernelspec", {})).get("name", "python")
        parts = []
        for cell in cells:
            written = cell["source"] if "source" in cell else cell.get("input", "")
            text = (written if isinstance(written, str) else "".join(written)).strip("\n")
            if text.strip():
                code = cell["cell_type"] == "code"
                parts.append(f"{fence(text)}{language}\n{text}\n{fence(text)}" if code else text)
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise Unusable("not a notebook") from error
    return "\n\n".join(parts) + "\n", {"format": "notebook", "language": str(language)}


def fence(code: str) -> str:
    """A Markdown fence that does not occur in the code."""
    marks = "```"
    while marks in code:
        marks += "`"
    return marks


def _bytes(file: File) -> bytes:
    with open(file.path, "rb") as opened:
        return opened.read()
