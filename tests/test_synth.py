"""`hornbook synth` on a corpus of real code and a teacher on loopback."""

import json
from pathlib import Path

import pytest

from hornbook import synth
from hornbook.core.documents import read_table
from hornbook.core.errors import HornbookError
from hornbook.run import run_recipe
from tests.miniature import RECIPE, write_miniature
from tests.services.chat_server import chat_server
from tests.synthesis.canned import clever

SECTION = """
synthesis:
  mine:
    topics: {{clusters: 5, subtopics: 2}}
    writers: {{exercise: 4, section: 3, rewrite: 3, questions: 3, instruction: 3}}
    passages: {{top_share: 0.3}}
    teacher: {{url: "{url}", model: playback}}
corpus:"""


def test_lessons_are_written_from_the_corpus_and_become_part_of_it(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("HORNBOOK_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    recipe = write_miniature(tmp_path)
    with chat_server(clever) as server:
        text = RECIPE.replace("\ncorpus:", SECTION.format(url=server.url), 1)
        text = text.replace(
            "    - builtin: python-textbook\n", "    - builtin: python-textbook\n    - synthesis: mine\n"
        )
        recipe.write_text(text)
        synth.run(recipe)
        shown = capsys.readouterr()
        assert "of 16 written, 16 planned" in shown.out and "sandbox" in shown.err
        asked = sum(server.asked.values())
        run_recipe(recipe, until="corpus.files")
        assert sum(server.asked.values()) == asked  # it takes what is written already
    capsys.readouterr()
    synth.show_plan(recipe)
    seeds = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert len(seeds) == 16 and len({seed["topic"] for seed in seeds if "topic" in seed}) > 2
    lessons = written(tmp_path)
    assert len(lessons) >= 12 and {item["kind"] for item in lessons} >= {"exercise", "section", "rewrite", "questions"}
    assert {item["passage"] for item in lessons if item["kind"] == "rewrite"} <= passages(tmp_path)
    assert next(item for item in lessons if item["kind"] == "rewrite")["source"]["name"] == "code"
    table = read_table(tmp_path / "runs" / "miniature" / "steps" / "corpus.files").to_pylist()
    rows = {row["origin"]: row for row in table if row["source"] == "synthesis:mine"}
    assert set(rows) == {item["id"] for item in lessons} and {row["kind"] for row in rows.values()} == {"synthetic"}


def written(folder: Path) -> list[dict]:
    path = folder / "runs" / "miniature" / "synthesis" / "mine" / "lessons.jsonl"
    return [json.loads(line) for line in path.read_text().splitlines()]


def passages(folder: Path) -> set[str]:
    return set(read_table(folder / "runs" / "miniature" / "steps" / "seeds.corpus.passages", ["id"])["id"].to_pylist())


def test_a_recipe_without_a_section_and_a_teacher_without_a_model_are_errors(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    recipe = write_miniature(tmp_path)
    with pytest.raises(HornbookError, match="no section `synthesis`"):
        synth.run(recipe)
    with pytest.raises(HornbookError, match="model is missing"):
        synth.teacher_at("http://localhost:1/v1", "", "")
