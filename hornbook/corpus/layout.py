"""Where a text may be cut: the start of every line, with a cost that tells how much a cut there would hurt.

Python is not parsed, which would be far too slow, but scanned: one regular expression finds strings and
comments, numpy counts brackets outside of them, and that tells where statements begin and how deep they are.
Broken code, templates and Python 2 go through the same way.

Costs: 0 for the start of a top-level statement (with the comments and decorators above it), larger for deeper
statements, `INSIDE` and more for lines inside a statement, a string or a block of fenced code.
"""

import re
from dataclasses import dataclass

import numpy as np

INSIDE = 1000  # cost of a cut inside a statement
_NOT_BLANK = 1  # added where no blank line comes before

_STRING_OR_COMMENT = re.compile(
    rb'"""[^"\\]*+(?:(?:\\.|"(?!""))[^"\\]*+)*+(?:"""|\Z)'
    rb"|'''[^'\\]*+(?:(?:\\.|'(?!''))[^'\\]*+)*+(?:'''|\Z)"
    rb'|"[^"\\\n]*+(?:\\.[^"\\\n]*+)*+"?'
    rb"|'[^'\\\n]*+(?:\\.[^'\\\n]*+)*+'?"
    rb"|#[^\n]*+",
    re.DOTALL,
)
_CLAUSE = re.compile(rb"(?:else|elif|except|finally)\b")  # goes on with the statement above
# Lines that go on with what is above, in languages other than Python.
_GOES_ON = re.compile(
    r"^[ \t]*(?:[])}{]|\*|#[ \t]*(?:else|elif|endif)\b"
    r"|(?:end|else|elif|elsif|elseif|catch|except|finally|rescue|ensure|then|do|done|fi|esac|begin|where|in)\b)",
    re.MULTILINE | re.IGNORECASE,
)
_CLOSING = np.frombuffer(b"})]eEdDfF", np.uint8)  # how a line may begin that closes what is above: `}`, `end`, `fi`
_BLOCK_COMMENT = re.compile(r"^[ \t]*(?:/\*.*?\*/|\(\*.*?\*\)|\{-.*?-\}|<!--.*?-->)", re.MULTILINE | re.DOTALL)
# A title with a line of punctuation below it and perhaps above: reStructuredText, and Markdown's second way.
_UNDERLINED = re.compile(
    r"^(?:([=~^\"'*+#<>:.-])\1{2,}[ \t]*\n)?(?!```|~~~)([^\s].{0,200})\n(?!~~~\s)([=~^\"'*+#<>:.-])\3{2,}[ \t]*$",
    re.MULTILINE,
)
_FENCE = re.compile(r"^ {0,3}(```+|~~~+).*$", re.MULTILINE)

_BRACKET = np.zeros(256, np.int8)
_BRACKET[[40, 91, 123]], _BRACKET[[41, 93, 125]] = 1, -1
_BRACE = np.zeros(256, np.int8)
_BRACE[123], _BRACE[125] = 1, -1
_VISIBLE = np.ones(256, bool)
_VISIBLE[[9, 11, 12, 13, 32]] = False
_OPENS = np.zeros(256, bool)
_OPENS[list(b"\"'#")] = True
_CLAUSE_LETTER = np.zeros(256, bool)
_CLAUSE_LETTER[list(b"ef")] = True


@dataclass(frozen=True)
class Layout:
    """Starts of the lines of a text (positions of characters, ascending, the first is 0) and the costs of cuts."""

    starts: np.ndarray
    costs: np.ndarray


def layout_of_python(text: str) -> Layout:
    """Lines of Python code; the cost of a cut grows with the depth of the statement that begins there."""
    raw = text.encode("latin-1", "replace")  # one byte per character, so that positions agree
    chars, starts, first, indent, blank = _lines(raw)
    begins = _begins_statement(raw, starts, first, blank)
    comment = begins & (chars[first] == ord("#"))
    # A comment is as deep as the statement that follows it, unless it is deeper itself.
    statements = np.flatnonzero(begins & ~comment)
    following = np.append(indent[statements], 0)[np.searchsorted(statements, np.arange(len(starts)))]
    depth = np.where(comment, np.maximum(indent, following), indent)
    # A statement stays with its decorators and with the comments above it; the comments that open a file, often
    # a licence, only when there is no blank line between.
    heads = np.flatnonzero(begins)
    decorated = np.zeros(len(starts), bool)
    decorated[heads[1:]] = chars[first[heads[:-1]]] == ord("@")
    above = np.zeros(len(starts), bool)
    above[heads[1:]] = comment[heads[:-1]] & (depth[heads[:-1]] == depth[heads[1:]])
    opening = slice(0, statements[0] + 1 if len(statements) else len(starts))
    above[opening] &= np.concatenate([[False], comment[:-1]])[opening]
    begins &= ~decorated & ~above
    after_blank = np.concatenate([[True], blank[:-1]])
    costs = np.where(begins, 2 * depth, INSIDE + 2 * np.minimum(indent, 100))
    costs += np.where(after_blank | (begins & (depth == 0)), 0, _NOT_BLANK)
    costs[blank] = 2 * INSIDE
    return Layout(starts, costs)


def layout_of_code(text: str) -> Layout:
    """Lines of code in any language: depth is told by indentation and, where they are balanced, by braces.

    A top-level piece begins at the margin after a blank line or after what closes the one before, so that the
    comment above a function stays with it.
    """
    raw = text.encode("latin-1", "replace")
    chars, starts, first, indent, blank = _lines(raw)
    braces = np.concatenate([[0], np.cumsum(_BRACE[chars], dtype=np.int64)])
    depth = braces[starts] if braces[-1] == 0 and braces.min() >= 0 else np.zeros(len(starts), np.int64)
    goes_on = np.zeros(len(starts), bool)
    for match in _GOES_ON.finditer(text):
        goes_on[np.searchsorted(starts, match.end() - 1, side="right") - 1] = True
    closes = goes_on & np.isin(chars[first], _CLOSING) & (indent == 0)
    inside = np.zeros(len(starts), bool)
    for match in _BLOCK_COMMENT.finditer(text):
        inside[slice(*np.searchsorted(starts, [match.start() + 1, match.end()]))] = True
    after_blank = np.concatenate([[True], blank[:-1]])
    top = (indent == 0) & (depth == 0) & (after_blank | np.concatenate([[True], closes[:-1]]))
    costs = np.where(top, 0, 2 * np.maximum(np.minimum(indent, 100), 4 * np.clip(depth, 0, 25)) + 1)
    costs += np.where(after_blank | top, 0, _NOT_BLANK)
    costs[goes_on | inside] += INSIDE
    costs[blank] = 2 * INSIDE
    return Layout(starts, costs)


def layout_of_text(text: str) -> Layout:
    """Lines of prose, Markdown or reStructuredText: cuts between paragraphs, headings stay with what follows."""
    raw = text.encode("latin-1", "replace")
    chars, starts, first, indent, blank = _lines(raw)
    lines = np.arange(len(starts))
    after_blank = np.concatenate([[True], blank[:-1]])
    heading = (chars[first] == ord("#")) & ~blank
    for match in _UNDERLINED.finditer(text):
        title = int(np.searchsorted(starts, match.start(2), side="right")) - 1
        heading[title : title + 2] = True
        heading[title - 1] |= match[1] is not None
    solid = np.flatnonzero(~blank)
    previous = np.concatenate([[-1], solid])[np.searchsorted(solid, lines)]
    after_heading = (previous >= 0) & heading[previous]
    costs = np.where(after_blank & ~after_heading, np.where(heading, 0, 2 + np.minimum(indent, 100)), INSIDE)
    costs[blank] = 2 * INSIDE
    fences = _FENCE.finditer(text) if "```" in text or "~~~" in text else ()
    opened: re.Match[str] | None = None
    for fence in fences:
        if opened is None:
            opened = fence
        elif fence[1].startswith(opened[1]) and fence[0].strip() == fence[1]:
            inside = slice(*np.searchsorted(starts, [opened.end(), fence.end()]))
            costs[inside] = INSIDE + np.where(after_blank, 2, 4)[inside]
            opened = None
    return Layout(starts, costs)


def _lines(raw: bytes) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Characters; per line: start, first visible character (or the line's end), indentation, whether it is blank."""
    chars = np.frombuffer(raw + b"\n", np.uint8)
    starts = np.concatenate([[0], np.flatnonzero(chars == 10)[:-1] + 1])
    visible = np.flatnonzero(_VISIBLE[chars])  # line ends count, so that every line has one
    first = visible[np.searchsorted(visible, starts)]
    return chars, starts, first, first - starts, chars[first] == 10


def _begins_statement(raw: bytes, starts: np.ndarray, first: np.ndarray, blank: np.ndarray) -> np.ndarray:
    """Per line: a statement or a comment begins here, outside of strings, brackets and continued lines."""
    chars = np.frombuffer(raw, np.uint8)
    opens, closes = _strings_and_comments(raw, chars)
    earlier = np.searchsorted(opens, starts) - 1  # the last string or comment before the line; -1 is the sentinel
    in_string = closes[earlier] > starts

    steps = _BRACKET[chars]
    brackets = np.flatnonzero(steps)
    brackets = brackets[closes[np.searchsorted(opens, brackets) - 1] <= brackets]
    depth = np.concatenate([[0], np.cumsum(steps[brackets], dtype=np.int64)])
    in_brackets = depth[np.searchsorted(brackets, starts)] > 0
    if depth[-1] != 0 or depth.min() < 0:  # unbalanced, so not quite Python: only strings count
        in_brackets[:] = False

    continued = np.zeros(len(starts), bool)
    continued[1:] = (chars[starts[1:] - 2] == ord("\\")) & (closes[earlier[1:]] < starts[1:] - 1)
    begins = ~(blank | in_string | in_brackets | continued)
    for line in np.flatnonzero(begins & _CLAUSE_LETTER[np.append(chars, 0)[first]]):
        begins[line] = _CLAUSE.match(raw, first[line]) is None
    return begins


def _strings_and_comments(raw: bytes, chars: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Where strings and comments begin and end, with a sentinel that ends before everything."""
    opens, closes = [], []
    end = 0
    for mark in np.flatnonzero(_OPENS[chars]).tolist():  # three times faster than to let the expression search
        if mark >= end:
            match = _STRING_OR_COMMENT.match(raw, mark)
            end = match.end() if match else mark + 1
            opens.append(mark)
            closes.append(end)
    return np.array([*opens, len(raw) + 1]), np.array([*closes, 0])
