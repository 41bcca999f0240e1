"""HTML to Markdown: the main content of a page, with its headings, lists and code, by resiliparse (extra `web`)."""

import html
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from hornbook.core.errors import HornbookError
from hornbook.corpus.decoding import Unusable
from hornbook.corpus.files import fence

_DEEPEST = 256  # elements; extraction takes time with the square of the depth, real pages stay far below
_TAG = re.compile(r"<(/?[A-Za-z][A-Za-z0-9]*)")
# Elements without content, and those that the next of their kind closes: they do not nest in themselves.
_FLAT_LOWER = "area base br col embed hr img input link meta source track wbr p li td th tr dt dd option"
_FLAT = frozenset(f"{_FLAT_LOWER} {_FLAT_LOWER.upper()}".split())
_PRE = re.compile(r"<pre>(.*?)</pre>", re.DOTALL)
_HEADING = re.compile(r"<h([1-6])>\s*(.*?)\s*</h\1>", re.DOTALL)
_ITEM = re.compile(r"<li>\s*")
_OTHER_TAG = re.compile(r"</?(?:p|ul|ol|li|br|h[1-6])>")
_BLANK_LINES = re.compile(r"\n[ \t]*(?:\n[ \t]*)+\n")
_MARKS = ["a.headerlink", "a.anchor", "a.mark", "a.hash-link"]  # links of headings to themselves
_GUTTER = re.compile(r"[\s\d]*")  # line numbers beside a listing
_LANGUAGE_RANK = 900  # of resiliparse; above it the language is a guess


@dataclass(frozen=True)
class Page:
    """The text of a page, its language, title and the like, and the licence that it links to."""

    text: str
    meta: dict[str, Any] = field(default_factory=dict)
    license: str = ""


@contextmanager
def without_panics(reason: str) -> Iterator[None]:
    """Code in Rust that gives up raises an exception that nothing catches; here it becomes Unusable."""
    try:
        yield
    except BaseException as error:
        if type(error).__name__ == "PanicException":
            raise Unusable(reason) from error
        raise


def page_of(source: str, main_content: bool = True) -> Page:
    """Read a page: main content only, or everything that is visible. Raises Unusable: `nested too
    deeply`, `not readable as HTML`."""
    try:
        from resiliparse.extract.html2text import extract_plain_text
        from resiliparse.parse.html import HTMLTree
    except ImportError as error:
        raise HornbookError("HTML is read by resiliparse, which is not here.", "pip install 'hornbook[web]'") from error
    with without_panics("not readable as HTML"):
        tree = HTMLTree.parse(source)
        if tree.body and _may_be_deep(source) and _is_deep(tree):
            raise Unusable("nested too deeply")
        marked = extract_plain_text(
            tree, preserve_formatting="minimal_html", main_content=main_content, alt_texts=False
        )
    text = _markdown(marked)
    meta = {"title": " ".join((tree.title or "").split()), "language": language_of_text(text)}
    document = tree.document
    link = document.query_selector("a[rel~=license], link[rel~=license]") if document else None
    license = (link.getattr("href") or "") if link else ""
    return Page(text, {name: value for name, value in meta.items() if value}, license)


def language_of_text(text: str) -> str:
    """The natural language of a text as two letters; "" where that cannot be told."""
    from resiliparse.parse.lang import detect_fast

    language, rank = detect_fast(text[:10_000])
    return language if rank and rank <= _LANGUAGE_RANK else ""


def _markdown(marked: str) -> str:
    """Markdown for the few tags that are left, everything else in it being escaped."""
    parts = []
    for place, part in enumerate(_PRE.split(marked)):
        if place % 2:
            code = html.unescape(part).strip("\n").rstrip()
            if not _GUTTER.fullmatch(code):
                parts.append(f"{fence(code)}\n{code}\n{fence(code)}")
        else:
            part = _HEADING.sub(lambda match: f"\n{'#' * int(match[1])} {' '.join(match[2].split())}\n", part)
            part = html.unescape(_OTHER_TAG.sub("", _ITEM.sub("- ", part)))
            parts.append(_BLANK_LINES.sub("\n\n", part).strip("\n"))
    return "\n\n".join(part for part in parts if part.strip()) + "\n"


def _may_be_deep(source: str) -> bool:
    """A bound on the depth from the names of tags alone, which is quick; it may be too high, never far too low."""
    depth = 0
    opened: dict[str, int] = {}
    for tag in _TAG.findall(source):
        if tag[0] == "/":
            if count := opened.get(tag[1:]):
                opened[tag[1:]] = count - 1
                depth -= 1
        elif tag not in _FLAT:
            opened[tag] = opened.get(tag, 0) + 1
            depth += 1
            if depth > _DEEPEST:
                return True
    return False


def _is_deep(tree: Any) -> bool:
    from resiliparse.parse.html import traverse_dom

    class Deep(Exception):
        pass

    def look(context: Any) -> None:
        if context.depth > _DEEPEST:
            raise Deep

    try:
        traverse_dom(tree.body, look, elements_only=True)
    except Deep:
        return True
    return False
