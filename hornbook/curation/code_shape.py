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
_DEF = re.compile(r"^([ \t]*)(?:async[ \t]+)?def[ \t]", re.MULTILINE)
_MAX_NODES = 3000  # a function that large is no short item
Function = ast.FunctionDef | ast.AsyncFunctionDef


def functions(text: str) -> Iterator[Function]:
    """All functions in a text that need not be whole: of what does not parse, each `def` is tried on its own."""
    tree = _parse(text)
    if tree is not None:
        yield from (node for node in ast.walk(tree) if isinstance(node, Function))
        return
    for match in _DEF.finditer(text):
        tree = _parse(_block(text, match.start(), len(match[1].expandtabs())))
        if tree is not None and tree.body and isinstance(tree.body[0], Function):
            yield tree.body[0]


def outer_functions(text: str) -> Iterator[Function]:
    """Functions of a text that parses, and methods of its classes, but none inside another function."""
    tree = _parse(text)
    todo: list[ast.AST] = [tree] if tree is not None else []
    while todo:
        for node in ast.iter_child_nodes(todo.pop()):
            if isinstance(node, Function):
                yield node
            else:
                todo.append(node)


def shape(function: Function) -> tuple[str, int]:
    """Body of a function as text with numbered names, and the number of its nodes.

    Names of builtins, attributes and keyword arguments stay: they say what is done, not what things are called.
    """
    numbers: dict[str, str] = {}

    def rename(name: str) -> str:
        return name if name in _BUILTINS else numbers.setdefault(name, f"v{len(numbers)}")

    parts: list[str] = []
    nodes = 0

    def visit(node: ast.AST) -> None:
        nonlocal nodes
        nodes += 1
        if nodes > _MAX_NODES:
            return
        parts.append(type(node).__name__)
        if isinstance(node, ast.Name):
            parts.append(rename(node.id))
        elif isinstance(node, ast.arg):
            parts.append(rename(node.arg))
        elif isinstance(node, ast.AnnAssign) and node.value is not None:
            parts[-1] = "Assign"
            visit(node.target)
            visit(node.value)
        else:
            if isinstance(node, Function | ast.ClassDef):
                parts.append(rename(node.name))
            for field, value in ast.iter_fields(node):
                if field in _IGNORED:
                    continue
                if field == "body" and isinstance(node, Function | ast.ClassDef):
                    value = _without_docstring(value)
                if isinstance(value, ast.AST):
                    visit(value)
                elif isinstance(value, list):
                    parts.append("[")
                    for item in value:
                        visit(item) if isinstance(item, ast.AST) else parts.append(repr(item))
                    parts.append("]")
                elif field != "name" or not isinstance(node, Function | ast.ClassDef):
                    parts.append(rename(value) if field == "name" and value else repr(value))

    visit(function.args)
    parts.append("body")
    nodes = 0
    for statement in _without_docstring(function.body):
        visit(statement)
    return " ".join(parts), nodes


_IGNORED = {"ctx", "kind", "type_comment", "returns", "annotation", "type_params", "decorator_list"}


def body_source(text: str, function: Function) -> str:
    """The source of a function's body without its docstring."""
    body = _without_docstring(function.body)
    lines = text.splitlines(keepends=True)
    return "".join(lines[body[0].lineno - 1 : function.end_lineno]) if body else ""


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


def _block(text: str, start: int, indent: int) -> str:
    """The lines of a `def` that starts at `start`: up to the next line that is not indented more."""
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
