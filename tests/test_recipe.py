"""Recipes: what is wrong is said with its place and the remedy, before anything runs."""

import json
import os
from pathlib import Path

import pytest
import yaml

from hornbook.core.errors import HornbookError
from hornbook.corpus.config import Dataset, Jsonl, SourcesConfig, Warc
from hornbook.corpus.sources import list_sources
from hornbook.init import init_recipe
from hornbook.recipe import load_recipe
from tests.miniature import RECIPE

LAPTOP = Path(__file__).parent.parent / "recipes" / "laptop-python.yaml"


def changed(tmp_path: Path, **changes: object) -> Path:
    path = tmp_path / "recipe.yaml"
    path.write_text(yaml.safe_dump({**yaml.safe_load(RECIPE), **changes}))
    return path


def test_the_laptop_recipe_compares_four_arms_at_one_budget():
    recipe = load_recipe(LAPTOP)
    budgets = {arm.name: recipe.training_of(arm).budgets for arm in recipe.arms}
    assert list(budgets) == ["raw", "rules", "curated", "textbook"]
    assert all(recipe.ablation.reference_budget in each for each in budgets.values())
    assert max(budgets["raw"]) == 2_400_000


def test_a_recipe_for_own_files_differs_in_name_and_sources_only(tmp_path):
    (tmp_path / "my code").mkdir()
    for number in range(40):
        with open(tmp_path / "my code" / f"{number}.py", "wb") as file:
            file.truncate(4_000_000)
    path = init_recipe(tmp_path / "mine", tmp_path / "my code")
    mine, laptop = load_recipe(path), load_recipe(LAPTOP)
    assert mine.name == "mine"
    assert mine.corpus.sources[0].folder.resolve() == (tmp_path / "my code").resolve()
    assert mine.corpus.sources[1:] == laptop.corpus.sources[-1:]
    for section in ("arms", "curation", "training", "tokenization", "ablation"):
        assert getattr(mine, section) == getattr(laptop, section)
    with pytest.raises(HornbookError, match="exists"):
        init_recipe(tmp_path / "mine", tmp_path / "my code")


def test_of_a_small_folder_a_larger_share_counts_as_best(tmp_path):
    (tmp_path / "small").mkdir()
    (tmp_path / "small" / "a.py").write_text("x = 1\n")
    recipe = load_recipe(init_recipe(tmp_path / "mine", tmp_path / "small"))
    assert [arm.top_share for arm in recipe.arms] == [None, None, 0.3, 0.3]


def test_a_recipe_can_be_made_for_tables_and_crawls(tmp_path, monkeypatch):
    line = json.dumps({"text": "A line of text."}) + "\n"
    for name in ("data/a.jsonl", "data/b.jsonl", "set/data/train-0.jsonl"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(line)
    (tmp_path / "a.warc.gz").write_bytes(b"WARC/1.0\r\n")
    monkeypatch.chdir(tmp_path)
    for number, (source, found) in enumerate(
        {
            "data/*.jsonl": Jsonl(jsonl=[str(tmp_path / "data" / "*.jsonl")]),
            str(tmp_path / "data" / "b.jsonl"): Jsonl(jsonl=[str(tmp_path / "data" / "b.jsonl")]),
            "set": Dataset(dataset=str(tmp_path / "set")),
            "a.warc.gz": Warc(warc=[str(tmp_path / "a.warc.gz")]),
        }.items()
    ):
        path = init_recipe(tmp_path / f"mine{number}", source)
        assert str(tmp_path) not in path.read_text()  # relative, so that the folder can move
        recipe = load_recipe(path)
        [made] = list_sources(SourcesConfig(sources=recipe.corpus.sources[:1]))
        [expected] = list_sources(SourcesConfig(sources=[found]))
        assert [os.path.realpath(file.path) for file in made.files] == [file.path for file in expected.files]
    with pytest.raises(HornbookError, match="is no source"):
        init_recipe(tmp_path / "other", path)


def test_the_seed_of_a_recipe_reaches_what_is_drawn_and_trained_and_leaves_the_evaluation_alone(tmp_path):
    recipe = load_recipe(changed(tmp_path, seed=7, tokenization={"vocab_size": 512, "seed": 3}))
    assert recipe.training.seed == recipe.arms[0].seed == recipe.ablation.seed == 7
    assert recipe.corpus.held_out.seed == recipe.evaluation.seed == recipe.curation.exact_duplicates.seed == 0
    assert recipe.tokenization.seed == 3


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"trainning": {}}, r"unknown key trainning\. Did you mean 'training'"),
        ({"tokenization": {"vocab_sise": 512}}, r"unknown key tokenization\.vocab_sise\. Did you mean 'vocab_size'"),
        ({"tokenization": {"vocab_size": -1}}, r"tokenization\.vocab_size: .* not -1"),
        ({"corpus": {"sources": []}}, r"corpus\.sources"),
        ({"corpus": {"sources": [{"hub": "x"}]}}, r"corpus\.sources\.0: a source is one of"),
        ({"corpus": {"sources": [{"distributions": ["hornbook"]}]}}, "hornbook is never read"),
        ({"name": "a/b"}, "name"),
        ({"arms": [{"name": "raw", "filter": "raw"}]}, "arms"),
        ({"arms": [{"name": "raw", "min_eduu": 2}, {"name": "b"}]}, r"arms\.0\.min_eduu\. Did you mean 'min_edu'"),
        ({"arms": [{"name": "a"}, {"name": "b"}]}, "no arm is called 'raw'"),
        ({"ablation": {"reference_budget": 5000}}, "budgets lack .* 5,000"),
        ({"training": {"budgets": [4000, 8000], "context": 1024}}, "context is longer"),
    ],
)
def test_what_is_wrong_is_named_with_the_remedy(tmp_path, changes, message):
    with pytest.raises(HornbookError, match=message) as caught:
        load_recipe(changed(tmp_path, **changes))
    assert caught.value.remedy
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "message"), [("a: [1", "is not YAML"), ("just text", "is not a recipe"), ("1: 2", "recipe")]
)
def test_a_file_that_is_no_recipe_is_one_clear_error(tmp_path, text, message):
    path = tmp_path / "recipe.yaml"
    path.write_text(text)
    with pytest.raises(HornbookError, match=message):
        load_recipe(path)


def test_a_missing_recipe_tells_how_to_get_one(tmp_path):
    with pytest.raises(HornbookError, match="hornbook init"):
        load_recipe(tmp_path / "none.yaml")


@pytest.mark.parametrize(
    ("arm", "message"),
    [
        ({"data": "curatd"}, "no arm above it selects as 'curatd'"),
        ({"data": "curated", "max_bytes": 100}, "reads what curated selects: take out its max_bytes"),
        ({"data": "curated", "curation": {"near_duplicates": {"bands": 3}}}, "take out its curation"),
        ({"data": "curated", "lesson_share": 0.5}, "lesson_share needs lessons"),
        ({"training": {"model": {"hidden_sizes": 3}}}, r"arms\.odd\.training\.model\.hidden_sizes"),
        ({"training": {"curriculum": 0.5}, "budgets": [8000]}, "curriculum needs the scores"),
        ({"filter": "none", "lessons": ["exercise"]}, "lesson_share: 1"),
        ({"training": {"finetune": {"start_from": "nobody", "tokens": 5000}}}, "no arm above it is called 'nobody'"),
        (
            {
                "training": {
                    "finetune": {"start_from": "curated", "tokens": 5000},
                    "model": {"num_hidden_layers": 3},
                }
            },
            "needs the model and the budgets of curated",
        ),
    ],
)
def test_an_arm_that_takes_what_is_not_there_is_refused(tmp_path, arm, message):
    arms = [*yaml.safe_load(RECIPE)["arms"], {"name": "odd", **arm}]
    with pytest.raises(HornbookError, match=message):
        load_recipe(changed(tmp_path, arms=arms))
