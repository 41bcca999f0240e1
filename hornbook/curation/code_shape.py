"""The shape of a Python function: its syntax tree without names, docstring and annotations.

Two functions with the same shape compute the same thing, whatever they and their variables are called and however
they are laid out.
"""

import ast
import builtins
import re
import textwrap
import warnings
from collections.abc import Iterator

_BUILTINS = frozenset(dir(builtins))
_DEF = re.compile(r"[dD][eE][fF](?![0-9A-Za-z_\u0080-\U0010ffff])")  # the end of a word of fingerprints.py
_LETTER_BEFORE = re.compile(r"[0-9A-Za-z_\u0080-\U0010ffff]")
_MAX_NODES, _MAX_DEPTH = 3000, 150  # the rest of a larger function does not count
_BLOCKS = ("body", "orelse", "handlers", "finalbody", "cases")  # fields with statements
_IGNORED = {"ctx", "kind", "type_comment", "returns", "annotation", "simple", "type_params", "decorator_list"}
_NAMES: dict[type, tuple[str, ...]] = {
    ast.Name: ("id",),
    ast.arg: ("arg",),
    ast.FunctionDef: ("name",),
    ast.AsyncFunctionDef: ("name",),
    ast.ClassDef: ("name",),
    ast.ExceptHandler: ("name",),
}
Function = ast.FunctionDef | ast.AsyncFunctionDef


def functions_at(text: str, number: int) -> Iterator[Function]:
    """Functions in and around the `number`-th word `def` of a text (from 1), which need not be whole.

    Only the lines of that function are parsed, and of the one that it is nested in: a passage may begin or end in
    the middle of something else.
    """
    ends = (match.start() for match in _DEF.finditer(text))
    starts = [start for start in ends if not (start and _LETTER_BEFORE.match(text, start - 1))]
    wanted = _line(text, starts[number - 1]) if number <= len(starts) else None
    if wanted is None:
        return
    outer = (_line(text, start) for start in reversed(starts[: number - 1]))
    enclosing = next((line for line in outer if line is not None and line[1] < wanted[1]), None)
    if enclosing is not None and enclosing[0] + len(_block(text, *enclosing)) > wanted[0]:
        wanted = enclosing
    tree = _parse(_block(text, *wanted))
    yield from _functions(tree, inner=True)


def outer_functions(text: str) -> Iterator[Function]:
    """Functions of a text that parses, and methods of its classes, but none inside another function."""
    yield from _functions(_parse(text), inner=False)


def _functions(tree: ast.Module | None, inner: bool) -> Iterator[Function]:
    """Functions of a tree, with or without those inside others. Goes through statements only, which is fast."""
    todo: list[ast.AST] = [tree] if tree is not None else []
    while todo:
        node = todo.pop()
        if isinstance(node, Function):
            yield node
        if inner or not isinstance(node, Function):
            for field in _BLOCKS:
                todo += getattr(node, field, ())


def outline(function: Function) -> tuple[object, ...]:
    """What is quick to tell of a shape: kinds of the statements of the body, and the number of arguments."""
    kinds = tuple(type(statement).__name__ for statement in _without_docstring(function.body))
    arguments = function.args
    count = len(arguments.args) + len(arguments.posonlyargs) + len(arguments.kwonlyargs)
    return count, *("Assign" if kind == "AnnAssign" else kind for kind in kinds)


def shape(function: Function) -> tuple[str, int]:
    """A function as text with numbered names, and the number of nodes of its body.

    Names of builtins, attributes and keyword arguments stay: they say what is done, not what things are called.
    """
    writer = _Writer()
    writer.visit(function.args, 0)
    writer.parts.append("body")
    writer.nodes = 0
    for statement in _without_docstring(function.body):
        writer.visit(statement, 0)
    return " ".join(writer.parts), writer.nodes


class _Writer:
    """Writes a syntax tree as a list of words, with names numbered in the order in which they appear."""

    def __init__(self) -> None:
        self.parts: list[str] = []
        self.nodes = 0
        self.numbers: dict[str, str] = {}

    def rename(self, name: str) -> str:
        return name if name in _BUILTINS else self.numbers.setdefault(name, f"v{len(self.numbers)}")

    def visit(self, node: ast.AST, depth: int) -> None:
        self.nodes += 1
        if self.nodes > _MAX_NODES or depth > _MAX_DEPTH:
            return
        self.parts.append("Assign" if isinstance(node, ast.AnnAssign) else type(node).__name__)
        for field, value in ast.iter_fields(node):
            if field in _IGNORED:
                continue
            if field in _NAMES.get(type(node), ()) and value is not None:
                self.parts.append(self.rename(value))
            elif isinstance(value, ast.AST):
                bare = not isinstance(node, ast.AnnAssign) or field != "target"
                self.parts += [] if bare else ["["]  # as the list of targets of an assignment without annotation
                self.visit(value, depth + 1)
                self.parts += [] if bare else ["]"]
            elif isinstance(value, list):
                self.parts.append("[")
                for item in _without_docstring(value) if field == "body" else value:
                    if isinstance(item, ast.AST):
                        self.visit(item, depth + 1)
                    else:
                        self.parts.append(repr(item))
                self.parts.append("]")
            else:
                self.parts.append(repr(value))


def body_layouts(text: str, function: Function) -> tuple[str, str]:
    """A function's body without its docstring, as it stands in the text and as Python itself would lay it out."""
    body = _without_docstring(function.body)
    lines = text.splitlines(keepends=True)[body[0].lineno - 1 : function.end_lineno] if body else []
    return "".join(lines), "\n".join(ast.unparse(statement) for statement in body)


def _without_docstring(body: list[ast.stmt]) -> list[ast.stmt]:
    first = body[0] if body else None
    if isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant) and isinstance(first.value.value, str):
        return body[1:]
    return body


def _parse(text: str) -> ast.Module | None:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return ast.parse(textwrap.dedent(text))
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None


def _line(text: str, start: int) -> tuple[int, int] | None:
    """Start of the line of a `def` and its indentation; None when something else comes before it on the line."""
    begin = text.rfind("\n", 0, start) + 1
    before = text[begin:start].expandtabs()
    return (begin, len(before) - len(before.lstrip())) if before.strip() in ("", "async") else None


def _block(text: str, start: int, indent: int) -> str:
    """The lines of a `def` whose line starts at `start`: up to the next line that is not indented more."""
    lines = text[start:].splitlines(keepends=True)
    end = 1
    for number, line in enumerate(lines[1:], 1):
        stripped = line.strip()
        depth = len(line.expandtabs()) - len(line.expandtabs().lstrip())
        if stripped and depth <= indent and stripped[0] not in ")]}":
            break
        if stripped:
            end = number + 1
    return "".join(lines[:end])
