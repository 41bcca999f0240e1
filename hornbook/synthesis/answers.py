"""Reading what a teacher wrote: generously, because nothing is believed before it is checked.

Small models forget fences, put prose around code and stop in the middle. What can be read is read.
"""

import ast
import re
import textwrap
import warnings
from dataclasses import dataclass

_FENCE = re.compile(r"^[ \t]*(```+|~~~+)[ \t]*([\w+.-]*)[^\n]*\n(.*?)(?:^[ \t]*\1[ \t]*$|\Z)", re.S | re.M)
_PYTHON = frozenset({"", "python", "py", "python3", "pycon", "code"})
_CODE_LINE = re.compile(
    r"(def|class|import|from|assert|if|for|while|try|with|return|print|@)\b|[\w.\[\]]+ ?=[^=]|#|>>>"
)
_PREAMBLE = re.compile(
    r"\A(?:(?:sure|certainly|of course|absolutely|okay|ok|great|here(?:'s| is| are)|below is)\b[^\n]*\n+)+",
    re.I,
)
_REFUSAL = re.compile(
    r"\b(?:as an ai\b|as a language model|i(?:'m| am) (?:sorry|unable|not able)|i (?:cannot|can't) (?:help|assist))",
    re.I,
)


@dataclass(frozen=True)
class Block:
    """A fenced block: its language as written, and its text."""

    language: str
    text: str


def blocks(text: str) -> list[Block]:
    """The fenced blocks of a text; a fence that is never closed lasts to the end."""
    return [Block(match[2].lower(), _dedented(match[3])) for match in _FENCE.finditer(text)]


def python_blocks(text: str) -> list[str]:
    """The blocks that are Python by their language, or by their look where none is given."""
    return [
        block.text
        for block in blocks(text)
        if block.language in _PYTHON and (block.language or _looks_like_code(block.text))
    ]


def python_code(text: str) -> str:
    """All Python in an answer as one program that parses, or "".

    Fenced blocks, else the lines that look like code; of what does not parse, the longest beginning that does.
    """
    parts = python_blocks(text) or [_unfenced(text)]
    whole = "\n\n".join(part.strip("\n") for part in parts)
    if parses(whole):
        return whole
    return "\n\n".join(filter(None, (_beginning(part) for part in parts)))


def parses(code: str) -> bool:
    """Whether this is Python."""
    return parse(code) is not None


def parse(code: str) -> ast.Module | None:
    """The syntax tree, or None. Warnings about strange literals are nobody's business here."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            compile(code, "answer", "exec", dont_inherit=True)  # sees more than the parser, such as a stray `return`
            return ast.parse(code)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None


def without_preamble(text: str) -> str:
    """A text without "Sure, here is ..." before it, without a fence around all of it, and with one line end."""
    text = text.strip()
    while (shorter := _PREAMBLE.sub("", text).strip()) != text:
        text = shorter
    whole = re.fullmatch(r"(```+)(?:markdown|md|text)?[ \t]*\n(.*)\n\1", text, re.S)
    if whole and (text.startswith(("```markdown", "```md")) or text.count("```") == 2) and not parses(whole[2]):
        text = whole[2].strip()
    return text + "\n" if text else ""


def is_refusal(text: str) -> bool:
    """Whether the teacher speaks of itself instead of writing."""
    return bool(_REFUSAL.search(text[:400]))


def repeats_itself(text: str, words: int = 4) -> bool:
    """Whether most runs of words have been there before, as when a small model goes round in circles."""
    tokens = text.split()
    runs = [tuple(tokens[i : i + words]) for i in range(len(tokens) - words + 1)]
    return len(runs) >= 40 and len(set(runs)) < 0.5 * len(runs)


def _looks_like_code(text: str) -> bool:
    lines = [line for line in text.splitlines() if line.strip()]
    return parses(text) and any(_CODE_LINE.match(line.strip()) for line in lines)


def _unfenced(text: str) -> str:
    """The lines of an answer without fences that belong to code: those that begin some, and the indented ones below."""
    kept: list[str] = []
    inside = False
    for line in text.splitlines():
        if not line.strip():
            kept.append("")
        elif line[0] in " \t":
            kept += [line] if inside else []
        else:
            inside = bool(_CODE_LINE.match(line)) or (inside and line[0] in ")]}")
            kept += [line] if inside else []
    return "\n".join(kept)


def _beginning(code: str) -> str:
    lines = code.splitlines()
    while lines and not parses("\n".join(lines)):
        lines.pop()
    return "\n".join(lines).strip("\n")


def _dedented(text: str) -> str:
    return textwrap.dedent(text.expandtabs(4)) if re.match(r"[ \t]", text) else text
