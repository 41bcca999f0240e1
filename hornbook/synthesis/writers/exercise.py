"""Exercises in the form of CodeExercises: signature and docstring, solution, tests (Gunasekar et al. 2023, 2.2)."""

import ast
from collections.abc import Generator

from hornbook.services.chat import Answer
from hornbook.synthesis.answers import parse as parse_python
from hornbook.synthesis.answers import python_code
from hornbook.synthesis.checks import Verdict, check_exercise, tested_names
from hornbook.synthesis.config import SynthesisConfig
from hornbook.synthesis.programs import is_print
from hornbook.synthesis.seeds import Seed
from hornbook.synthesis.writing import Asked, Draft, Rejected, Writer, ask

_PLACEHOLDER = "in a sentence or two"  # what the example of the prompt says in place of a docstring
TESTS_MARK = "\n# tests\n"  # between an exercise and its asserts, as in the textbook that ships


def parse(answer: Answer, seed: Seed, config: SynthesisConfig) -> Draft:
    """Imports, functions and classes are the exercise; asserts, wherever they stand, are its tests."""
    code = python_code(answer.text)
    tree = parse_python(code) if code else None
    if tree is None or not tree.body:
        raise Rejected("no code", answer.text[:200])
    solution, tests = _split(tree)
    functions = [node for node in solution if isinstance(node, ast.FunctionDef | ast.ClassDef)]
    if not functions:
        raise Rejected("no function")
    lines = code.splitlines()
    text = "\n\n".join(_source(lines, node) for node in solution) + "\n"
    asserts = "\n".join(ast.unparse(node) for node in tests)
    names = tested_names(text, asserts)
    if not names:
        raise Rejected("no test calls the function")
    documented = [node for node in functions if node.name in names and ast.get_docstring(node)]
    if not documented:
        raise Rejected("no docstring")
    if not any(_does_something(node) for node in documented):
        raise Rejected("no solution")
    if any(node.name == "name" or _PLACEHOLDER in (ast.get_docstring(node) or "") for node in documented):
        raise Rejected("copies the example of the prompt", text)
    return Draft(text, asserts, (text,), {"entry": documented[0].name})


def check(draft: Draft, seed: Seed, config: SynthesisConfig) -> Verdict:
    """See `check_exercise`; the votes are other solutions that the teacher gave without seeing the tests."""
    return check_exercise(draft.parts[0], draft.tests, draft.facts.get("rivals", ()))


def follow(draft: Draft, seed: Seed, config: SynthesisConfig) -> Generator[list[Asked], list[Answer], Draft]:
    """Ask for further solutions to the same signature and docstring. One that cannot be read votes against."""
    options = config.writers.get("exercise")
    if options is None or not options.votes:
        return draft
    head = signature(draft.parts[0], draft.facts["entry"])
    answers = yield [ask("solve", config, repeat, signature=head) for repeat in range(options.votes)]
    rivals = tuple(python_code(answer.text) or "raise SyntaxError" for answer in answers)
    return Draft(draft.text, draft.tests, draft.parts, {**draft.facts, "rivals": rivals})


def signature(code: str, name: str) -> str:
    """The beginning of a function up to the end of its docstring, imports and earlier definitions included."""
    lines = code.splitlines()
    for node in ast.parse(code).body:
        if isinstance(node, ast.FunctionDef) and node.name == name:
            return "\n".join(lines[: node.body[0].end_lineno])
    return code  # a class, whose methods are asked for as they stand


def _split(tree: ast.Module) -> tuple[list[ast.stmt], list[ast.stmt]]:
    """What belongs to the exercise, and its tests: all from the first assert on, and what prepares it."""
    solution: list[ast.stmt] = []
    tests: list[ast.stmt] = []
    asserted = defined = False
    for node in tree.body:
        definition = isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)
        if isinstance(node, ast.Expr) and (isinstance(node.value, ast.Constant) or is_print(node.value)):
            continue  # shows something, and tests nothing
        if isinstance(node, ast.FunctionDef) and node.name.startswith("test") and not node.args.args:
            tests += [node, ast.Expr(ast.Call(ast.Name(node.name, ast.Load()), [], []))]
            asserted = True
        elif asserted or isinstance(node, ast.Assert) or (defined and not definition):
            tests += [node] if not _is_main(node) else []
            asserted = asserted or isinstance(node, ast.Assert)
        else:
            solution.append(node)
        defined = defined or definition
    return solution, tests


def _is_main(node: ast.stmt) -> bool:
    return isinstance(node, ast.If) and "__name__" in ast.unparse(node.test)


def _source(lines: list[str], node: ast.stmt) -> str:
    decorators = getattr(node, "decorator_list", [])
    first = min([node.lineno, *(decorator.lineno for decorator in decorators)])
    return "\n".join(lines[first - 1 : node.end_lineno])


def _does_something(node: ast.FunctionDef | ast.ClassDef) -> bool:
    return any(not isinstance(part, ast.Pass | ast.Expr) for part in node.body)


EXERCISE = Writer(
    "exercise", frozenset({"topic", "level", "format", "words", "function", "tests"}), parse, check, follow
)
