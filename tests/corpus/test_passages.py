"""Passages: short enough, cut between statements, and together the whole file."""

import ast
import random
import sysconfig
import warnings
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hornbook.core.documents import DOCUMENTS, document_id, read_table, text_hash, write_table
from hornbook.corpus import passages_step
from hornbook.corpus.builtin import COLLECTIONS
from hornbook.corpus.config import PassageConfig
from hornbook.corpus.layout import layout_of_python
from hornbook.corpus.passages import cut

STDLIB = Path(sysconfig.get_paths()["stdlib"])


def squeezed(text):
    """The text without white space at the ends of lines and without blank lines."""
    return [line.rstrip(" \t\f\v") for line in text.split("\n") if line.strip(" \t\f\v")]


def assert_whole(text, passages, max_chars):
    assert all(0 < len(passage) <= max_chars for passage in passages)
    position = 0
    for passage in passages:  # in order, and nothing but white space between
        start = text.index(passage.rstrip("\n"), position)
        assert not text[position:start].strip(" \t\n\f\v")
        position = start + len(passage.rstrip("\n"))
    assert not text[position:].strip(" \t\n\f\v")


def test_a_long_beginning_that_is_no_statement_is_cut_too():
    text = '        """Doc.\n' + "word " * 30
    assert_whole(text, cut(text, "code", 100), 100)


LINES = '''def f(a,
      b):
    return 1
class C:
    x = 1
    def m(self):
        """Doc.
        """
@decorate(
)
# comment
    # deeper
x = [1,
]
"""
if x:
else:
y = 'a' \\
'# no comment'
```python
```
# Heading
- item'''
BLANK_OR_ODD = ["", "   ", "\t", "\f", "'''", "\u00e9 = '\U0001f600'", "word " * 30, "x" * 150]
lines = st.sampled_from(LINES.split("\n") + BLANK_OR_ODD)


@given(st.lists(lines, max_size=60), st.sampled_from(["code", "text", "synthetic"]), st.integers(100, 400))
def test_passages_are_short_and_give_back_the_text(parts, kind, max_chars):
    text = "\n".join(parts)
    assert_whole(text, cut(text, kind, max_chars), max_chars)


@given(st.text(max_size=800), st.sampled_from(["code", "text"]))
def test_any_text_can_be_cut(text, kind):
    assert_whole(text, cut(text, kind, 100), 100)


def stdlib_sample(count):
    files = sorted(path for path in STDLIB.rglob("*.py") if "site-packages" not in path.parts)
    for path in random.Random(7).sample(files, count):
        try:
            text = path.read_text("utf-8")
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                yield path, text, ast.parse(text)
        except (UnicodeDecodeError, SyntaxError, ValueError):
            continue


def test_cuts_lie_between_top_level_statements_of_real_files():
    wrong = checked = 0
    for _, text, tree in stdlib_sample(150):
        inside = set()
        for node in tree.body:
            first = min([node.lineno, *(d.lineno for d in getattr(node, "decorator_list", []))])
            inside.update(range(first + 1, node.end_lineno + 1))
        layout = layout_of_python(text)
        starts = {number + 1 for number, cost in enumerate(layout.costs) if cost == 0}
        wrong += bool(starts & inside)
        checked += 1
        assert_whole(text, cut(text, "code", 2000), 2000)
    assert checked > 100 and wrong == 0


def test_passages_of_short_statements_can_be_parsed():
    for _, text, tree in stdlib_sample(80):
        lines = max((node.end_lineno - node.lineno for node in tree.body), default=99)
        if lines < 20 and len(text) < 30_000:
            for passage in cut(text, "code", 2000):
                ast.parse(passage)


MODULE = '''"""A module."""

import os

# About first.
# Two lines.
@decorated(
    1
)
def first():
    """Text with
def at_the_margin(): "not a statement"
    """
    return (
1 +
2)

# A section.

if os:
    second = 1
else:
    second = 2
'''


def test_comments_decorators_strings_brackets_and_clauses_stay_with_their_statement():
    layout = layout_of_python(MODULE)
    starts = [MODULE[s:].split("\n", 1)[0] for s, cost in zip(layout.starts, layout.costs, strict=True) if cost == 0]
    assert starts == ['"""A module."""', "import os", "# About first.", "# A section."]


def test_a_long_class_is_cut_between_its_members():
    member = '    def member_{0}(self):\n        """Do {0}."""\n        for i in range(9):\n            print(i)\n'
    text = "class Long:\n" + "\n".join(member.format(n) for n in range(40)) + "\n\ndef after():\n    pass\n"
    passages = cut(text, "code", 600)
    assert all(passage.startswith(("class Long", "    def member", "def after")) for passage in passages)
    assert passages[-1].startswith("def after")
    lengths = [len(passage) for passage in passages[:-1]]
    assert min(lengths) > 250  # evenly, no crumbs


def test_a_long_function_is_cut_between_statements_and_long_lines_anywhere():
    text = "def long():\n" + "    call(\n        1,\n    )\n" * 200
    assert all(passage.startswith(("def", "    call")) for passage in cut(text, "code", 500))
    assert [len(passage) for passage in cut("x" * 1050, "code", 500)] == [500, 500, 51]


def test_lessons_are_cut_between_paragraphs_and_not_in_their_code():
    lessons = 0
    for _, text, about in COLLECTIONS["python-textbook"].read():
        passages = cut(text, "synthetic", 2000)
        assert squeezed("\n".join(passages)) == squeezed(text)
        if about["kind"] == "exercise":
            assert len(passages) == 1
        else:
            lessons += 1
            assert all(passage.count("```") % 2 == 0 for passage in passages)
            assert all(not passage.rstrip().split("\n")[-1].startswith("#") for passage in passages)
    assert lessons > 200


def test_passages_know_their_file(tmp_path):
    text = "".join(f"def f{n}():\n    return {n}\n\n\n" for n in range(100))
    (tmp_path / "files").mkdir(), (tmp_path / "out").mkdir()
    row = ["f" * 32, text, text_hash(text), "", "src", "a/b.py", 0, "MIT", "code", "{}"]
    write_table(pa.table([[value] for value in row], schema=DOCUMENTS), tmp_path / "files" / "00000-src.parquet")
    counters = passages_step({"documents": tmp_path / "files"}, tmp_path / "out", PassageConfig(max_chars=500))
    rows = read_table(tmp_path / "out").to_pylist()
    assert len(rows) == counters["rows_out"] > 5
    assert [r["ordinal"] for r in rows] == list(range(1, len(rows) + 1))
    assert {(r["parent"], r["source"], r["origin"], r["license"], r["kind"]) for r in rows} == {
        ("f" * 32, "src", "a/b.py", "MIT", "code")
    }
    assert rows[0]["id"] == document_id("src", "a/b.py", 1)
    assert rows[0]["text_hash"] == text_hash(rows[0]["text"])


@pytest.mark.stress
def test_hostile_texts_take_no_more_than_linear_time():
    for text in ('"""' * 300_000, "'" * 1_000_001, "\\" * 1_000_000, "(" * 1_000_000, "#\n" * 500_000, " " * 1_000_000):
        passages = cut("x = 1\n" + text, "code", 2000)
        assert all(len(passage) <= 2000 for passage in passages)
