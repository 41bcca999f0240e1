"""Programs that put code to the test: what a lesson claims becomes statements that count themselves.

Every assert that holds and every doctest that comes out calls `__checked__`, which the sandbox counts outside the
program. A test that is never reached is no evidence, and a program that stops early has none to show.
"""

import ast
import copy
import doctest
import io
import re
import tokenize
from collections.abc import Iterator, Sequence
from contextlib import suppress

_DOCTEST = """
def __doctest__(source, want, names):
    import sys
    class Printed(list):
        def write(self, text): self.append(text)
        def flush(self): pass
    printed, before = Printed(), sys.stdout
    raises = want.strip().startswith("Traceback")
    sys.stdout = printed
    try:
        exec(compile(source, "<example>", "single"), names)
    except Exception as error:
        if not raises:
            raise
        printed[:] = [type(error).__name__]  # the message may be worded otherwise
    finally:
        sys.stdout = before
    got = " ".join("".join(printed).split())
    want = want.strip().splitlines()[-1].split(":")[0].split(".")[-1] if raises else " ".join(want.split())
    if got != want:
        raise AssertionError("the example " + source.strip() + " gives " + got + ", not " + want)
    __checked__()
"""

# A comment behind a print says what it prints: `print(2 + 2)  # 4`. One that reads as a value must be right; another
# counts when it begins with what was printed.
_PRINTED = """
def __printed__(show, said):
    import ast, sys
    printed, before = type("Printed", (list,), {"write": list.append, "flush": lambda self: None})(), sys.stdout
    sys.stdout = printed
    try:
        show()
    finally:
        sys.stdout = before
    got = " ".join("".join(printed).split())
    if got and (said + " ").startswith((got + " ", got + ",", got + ";", got + ".", got + ":")):
        return __checked__()
    try:
        ast.literal_eval(said)
    except Exception:
        return
    raise AssertionError("the example print, said to give " + said + ", gives " + got)
"""

_SURVIVORS = """
__survivors__ = []
__checked = __checked__
__checked__ = lambda: None
__tests = compile(__tests__, "tests", "exec")
for __name, __source in __variants__:
    try:
        __names = {"__name__": "__main__", "__doctest__": __doctest__}
        exec(__source, __names)
        exec(__tests, __names)
    except BaseException:
        continue
    __survivors__.append(__name)
if __survivors__:
    raise AssertionError("the tests let through: " + ", ".join(__survivors__))
__checked()
"""

_ARROW = re.compile(r"^(?:->|=>|→|(?:expected )?output:?|prints:?|result:?)\s*", re.I)
_TRIVIAL = ("None", "True", "False", "0", "1", "''", "[]", "{}")


def with_checks(parts: Sequence[str], tests: str = "") -> str:
    """The program that runs the parts in turn, each with the doctests in it, then `tests`, and counts what holds."""
    lines = [_DOCTEST, _PRINTED]
    for part in parts:
        tree = _Counted().visit(_with_printed(part))
        lines.append(ast.unparse(ast.fix_missing_locations(tree)))
        lines += [_call(source, want) for source, want in _doctests(part)]
    lines.append(ast.unparse(ast.fix_missing_locations(_Counted().visit(ast.parse(tests)))))
    return "\n".join(lines) + "\n"


def against_trivial(code: str, tests: str, names: Sequence[str]) -> str:
    """The program that fails when the tests let a trivial solution through.

    Trivial is a function (or a method) that does nothing but return a constant or its first argument; `names` are the
    functions and classes that are replaced.
    """
    tree = ast.parse(code)
    variants = []
    for value in (*_TRIVIAL, "first argument"):
        stubbed = _Stubbed(frozenset(names), value).visit(tree)
        variants.append((value, ast.unparse(ast.fix_missing_locations(stubbed))))
    # Doctests of the original, because a stub has no docstring.
    whole = "\n".join([*(_call(source, want) for source, want in _doctests(code)), tests])
    return f"{_DOCTEST}\n__variants__ = {variants!r}\n__tests__ = {whole!r}\n{_SURVIVORS}"


def session(text: str) -> str:
    """A block with `>>>` as code that checks its outputs; other blocks as they are."""
    if not text.lstrip().startswith(">>>"):
        return text
    return "\n".join(_call(source, want) for source, want in _examples(text))


def _with_printed(code: str) -> ast.Module:
    """The code, with what comments say of its prints put to the test; only prints that stand alone."""
    tree = ast.parse(code)
    said = {}
    with suppress(tokenize.TokenError, SyntaxError):
        for token in tokenize.generate_tokens(io.StringIO(code).readline):
            if token.type == tokenize.COMMENT:
                said[token.start[0]] = _ARROW.sub("", token.string.lstrip("#").strip())
    for number, node in enumerate(tree.body):
        comment = said.get(node.end_lineno or 0)
        if comment and isinstance(node, ast.Expr) and is_print(node.value):
            show = ast.Lambda(ast.arguments([], [], None, [], [], None, []), node.value)
            call = ast.Call(ast.Name("__printed__", ast.Load()), [show, ast.Constant(" ".join(comment.split()))], [])
            tree.body[number] = ast.Expr(call)
    return tree


def is_print(node: ast.expr) -> bool:
    """Whether this is a call of print that writes where prints go."""
    named = isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "print"
    return named and not any(word.arg == "file" for word in node.keywords)  # type: ignore[attr-defined]


def _call(source: str, want: str) -> str:
    return f"__doctest__({source!r}, {want!r}, globals())"


def _doctests(code: str) -> Iterator[tuple[str, str]]:
    """Source and expected output of the examples in all docstrings."""
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef | ast.Module):
            yield from _examples(ast.get_docstring(node) or "")


def _examples(text: str) -> list[tuple[str, str]]:
    try:
        return [(example.source, example.want) for example in doctest.DocTestParser().get_examples(text)]
    except ValueError:  # >>> without what a doctest needs
        return []


class _Counted(ast.NodeTransformer):
    """After each assert, the call that counts it."""

    def visit_Assert(self, node: ast.Assert) -> list[ast.stmt]:
        return [node, ast.Expr(ast.Call(ast.Name("__checked__", ast.Load()), [], []))]


class _Stubbed(ast.NodeTransformer):
    """Functions by name, and all methods of classes by name, with a trivial body."""

    def __init__(self, names: frozenset[str], value: str) -> None:
        self.names, self.value = names, value

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.FunctionDef:
        return self._stub(node, 0) if node.name in self.names else node

    def visit_ClassDef(self, node: ast.ClassDef) -> ast.ClassDef:
        if node.name in self.names:
            body = [
                self._stub(item, 1) if isinstance(item, ast.FunctionDef) and item.name != "__init__" else item
                for item in node.body
            ]
            node = copy.copy(node)
            node.body = body
        return node

    def _stub(self, node: ast.FunctionDef, first: int) -> ast.FunctionDef:
        node = copy.copy(node)
        arguments = [*node.args.posonlyargs, *node.args.args][first:]
        value = (arguments[0].arg if arguments else "None") if self.value == "first argument" else self.value
        result = None if node.name == "__init__" else ast.parse(value, mode="eval").body
        node.body = [ast.Return(result)]
        return node
