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
from hornbook.corpus.layout import layout_of_code, layout_of_python
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


RUST = """use std::fmt;

/* A block comment

at the margin. */
/// Adds two numbers.
pub fn add(a: i32, b: i32) -> i32 {
    a + b
}

namespace!{
inner();

other();
}
impl Shape {
    fn area(&self) -> f64 {
        1.0
    }

    fn name(&self) -> &str
    {
        "x"
    }
}
"""


def test_code_of_other_languages_is_cut_between_its_top_level_pieces():
    layout = layout_of_code(RUST)
    starts = [RUST[s:].split("\n", 1)[0] for s, cost in zip(layout.starts, layout.costs, strict=True) if cost == 0]
    assert starts == ["use std::fmt;", "/* A block comment", "namespace!{", "impl Shape {"]


@pytest.mark.parametrize(
    "language, piece",
    [
        (
            "C",
            "/* Sum. */\nint sum_{0}(int n)\n{{\n    int s = 0;\n\n    while (n--)\n"
            "        s += n;\n    return s;\n}}\n",
        ),
        (
            "JavaScript",
            "// Says {0}.\nfunction f{0}(x) {{\n  if (x) {{\n    f();\n  }} else {{\n    g();\n  }}\n}}\n",
        ),
        ("Ruby", "# Says {0}.\ndef f{0}(x)\n  if x\n    1\n  else\n    2\n  end\nend\n"),
        ("Haskell", "-- | Says {0}.\nf{0} :: Int -> Int\nf{0} x = go x\n  where\n    go 0 = 1\n    go n = n\n"),
    ],
)
def test_functions_of_other_languages_stay_whole(language, piece):
    pieces = [piece.format(n) for n in range(60)]
    text = "\n".join(pieces)
    passages = cut(text, "code", 500, language)
    assert_whole(text, passages, 500)
    first = piece.format(0).split("\n")[0].split(" ")[0]
    assert all(passage.startswith(first) for passage in passages)
    assert all(len(passage) > 200 for passage in passages[:-1])


@given(st.lists(lines, max_size=60), st.integers(100, 400))
def test_code_of_any_language_gives_back_the_text(parts, max_chars):
    text = "\n".join(parts)
    passages = cut(text, "code", max_chars, "C")
    assert_whole(text, passages, max_chars)
    whole_lines = set(text.split("\n"))
    if all(len(line) < max_chars for line in whole_lines):  # then no passage begins or ends inside a line
        kept = {line.rstrip(" \t\f\v") for line in whole_lines}
        assert all(line.rstrip(" \t\f\v") in kept for passage in passages for line in passage.rstrip("\n").split("\n"))


def test_restructured_text_is_cut_at_its_headings():
    words, code = "Words of the section, and more of them.\n", ".. code-block:: python\n\n    x = 1\n\n    y = 2\n"
    section = f"Section {{0}}\n=========\n\n{words * 6}\n{code}\n"
    text = "=====\nTitle\n=====\n\n" + "".join(section.format(n) for n in range(20))
    passages = cut(text, "text", 700)
    assert_whole(text, passages, 700)
    assert all(passage.startswith("Section") for passage in passages[1:])
    assert not any(passage.rstrip().endswith("====") for passage in passages)


def test_passages_use_the_language_of_their_file(tmp_path):
    text = "".join(f"// '''\nfunction f{n}() {{\n  return {n};\n}}\n\n" for n in range(100))
    (tmp_path / "files").mkdir(), (tmp_path / "out").mkdir()
    row = ["f" * 32, text, text_hash(text), "", "src", "a.js", 0, "MIT", "code", '{"language": "JavaScript"}']
    write_table(pa.table([[value] for value in row], schema=DOCUMENTS), tmp_path / "files" / "00000-src.parquet")
    passages_step({"documents": tmp_path / "files"}, tmp_path / "out", PassageConfig(max_chars=500))
    rows = read_table(tmp_path / "out").to_pylist()
    assert all(r["text"].startswith("// '''\nfunction") and r["text"].endswith("}\n") for r in rows)
