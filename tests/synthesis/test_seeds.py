"""Seeds: nothing is drawn twice, topics are covered evenly, a plan can be repeated and continued."""

import json
from collections import Counter
from itertools import combinations
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hornbook.core.errors import HornbookError
from hornbook.corpus.builtin import COLLECTIONS
from hornbook.synthesis.config import Outline, SynthesisConfig
from hornbook.synthesis.permutation import permuted
from hornbook.synthesis.planning import Plan
from hornbook.synthesis.seeds import _subset, shipped_plan
from hornbook.synthesis.topics import builtin_tree, leaves, read_outline


def plan(name: str = "lessons", **fields) -> Plan:
    return Plan(name, SynthesisConfig(**fields))


@given(st.integers(1, 500), st.text(max_size=5))
@settings(max_examples=30, deadline=None)
def test_a_permutation_has_every_number_once(size, key):
    assert sorted(permuted(i, size, key) for i in range(size)) == list(range(size))


def test_a_permutation_needs_no_list_of_its_numbers():
    size = 10**30
    found = {permuted(i, size, "x") for i in range(1000)}
    assert len(found) == 1000 and min(found) >= 0 and max(found) < size
    assert max(found) > 0.9 * size and min(found) < 0.1 * size
    with pytest.raises(IndexError):
        permuted(size, size, "x")


def test_every_subset_of_words_has_a_number():
    assert [tuple(_subset(i, 6, 3)) for i in range(20)] == list(combinations(range(6), 3))


def test_no_seed_is_drawn_twice_and_topics_are_covered_evenly():
    seeds = list(plan(writers={"exercise": 1000}, words_each=1, levels=[1, 2]))
    assert len({json.dumps({**seed.record(), "id": ""}) for seed in seeds}) == 1000
    counts = Counter((seed.topic, seed.subtopic) for seed in seeds)
    assert set(counts) == set(leaves(builtin_tree("python"))) and set(counts.values()) == {6, 7}
    assert set(Counter(seed.level for seed in seeds)) == {1, 2}
    assert min(Counter(seed.tests for seed in seeds).values()) > 250
    assert len({seed.words for seed in seeds}) > 100
    assert all(seed.function.endswith(f"_{seed.words[0]}") for seed in seeds)


def test_a_small_product_is_used_up_to_the_last_seed_and_not_beyond(tmp_path):
    outline = tmp_path / "outline.yaml"
    outline.write_text("baking: [bread, cake]\n")
    fields = {"topics": Outline(outline=outline), "audiences": ["you"], "levels": [1, 2], "words": ["a", "b", "c"]}
    section = {"items": 24, "formats": ["x", "y"]}
    seeds = list(plan(writers={"section": section}, words_each=2, **fields))
    assert len({(s.subtopic, s.level, s.format, s.words) for s in seeds}) == 24
    with pytest.raises(HornbookError, match="different seeds"):
        list(plan(writers={"section": {**section, "items": 25}}, words_each=2, **fields))


def test_more_items_keep_those_that_are_there_and_another_seed_draws_others():
    few, many = (list(plan(writers={"section": n})) for n in (40, 400))
    assert many[:40] == few
    other = list(plan(writers={"section": 40}, seed=1))
    assert not {(s.words, s.level) for s in few} >= {(s.words, s.level) for s in other}


def test_the_plan_of_the_shipped_textbook_is_repeated_item_by_item():
    seeds = {seed.id: seed for seed in plan(plan="python-textbook")}
    assert len(seeds) == 992
    for id, _, about in COLLECTIONS["python-textbook"].read():
        seed = seeds[id].record()
        assert {name: seed[name] for name in ("kind", "topic", "subtopic", "level", "words")} == {
            name: about[name] for name in ("kind", "topic", "subtopic", "level", "words")
        }
    assert {(seed.topic, seed.subtopic) for seed in seeds.values()} == set(leaves(builtin_tree("python")))


def test_a_continuation_has_no_combination_of_the_textbook():
    first = {
        (s.writer, s.topic, s.subtopic, s.level, s.audience, frozenset(s.words))
        for s in shipped_plan("python-textbook")
    }
    few_words = sorted({word for seed in first for word in seed[5]})[:12]
    more = list(plan(writers={"exercise": 20_000}, beyond="python-textbook", words=few_words))
    assert len(more) == 20_000
    assert not first & {(s.writer, s.topic, s.subtopic, s.level, s.audience, frozenset(s.words)) for s in more}


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("o.md", "# Course\n\n## Bread\n\n- flour\n- yeast\n\n## Cake\n\n1. eggs\n2. sugar\n"),
        ("o.md", "- Bread\n  - flour\n  - yeast\n- Cake\n  - eggs\n  - sugar\n"),
        ("o.yaml", "Bread: [flour, yeast]\nCake:\n  - eggs\n  - sugar\n"),
        ("o.yml", "- Bread: [flour, yeast]\n- Cake: [eggs, sugar]\n"),
    ],
)
def test_an_outline_is_a_topic_tree(tmp_path, name, text):
    (tmp_path / name).write_text(text)
    assert read_outline(tmp_path / name) == {"Bread": ("flour", "yeast"), "Cake": ("eggs", "sugar")}


def test_a_topic_without_subtopics_is_its_own(tmp_path):
    (tmp_path / "o.md").write_text("- Bread\n- Cake\n")
    assert read_outline(tmp_path / "o.md") == {"Bread": ("Bread",), "Cake": ("Cake",)}


@pytest.mark.parametrize(
    ("name", "text"), [("o.md", "no list here\n"), ("o.yaml", "a: {b: c}"), ("o.yaml", "[a: b: c")]
)
def test_what_is_no_outline_is_an_error(tmp_path, name, text):
    (tmp_path / name).write_text(text)
    with pytest.raises(HornbookError, match="outline"):
        read_outline(tmp_path / name)
    with pytest.raises(HornbookError, match="outline"):
        read_outline(Path(tmp_path / "none.md"))


def test_both_trees_that_ship_are_large_and_name_nothing_twice():
    for name, least in (("python", 160), ("general", 120)):
        found = leaves(builtin_tree(name))
        assert len(found) == len(set(found)) >= least
