"""Recipes made from a recipe: some of its arms, one decision less at a time, a number swept, a ladder of sizes."""

import pytest

from hornbook.arms import laddered, leave_one_out, swept, with_arms
from hornbook.core.errors import HornbookError
from hornbook.model.presets import LADDER
from hornbook.recipe import Recipe, load_recipe


@pytest.fixture
def recipe(workspace) -> Recipe:
    return load_recipe(workspace / "recipe.yaml")


def test_leave_one_out_switches_off_one_decision_of_the_base_arm_at_a_time(recipe):
    found = leave_one_out(recipe)
    names = ["file-rules", "passage-rules", "exact-duplicates", "near-duplicates", "decontamination"]
    assert [arm.name for arm in found.arms] == [
        *("raw", "textbook"),
        *(f"no-{name}" for name in [*names, "classifier", "lessons"]),
    ]
    arms = {arm.name: arm for arm in found.arms}
    off = found.curation_of(arms["no-near-duplicates"])
    assert not off.near_duplicates.enabled and off.passage_rules.enabled
    assert arms["no-classifier"].filter == "rules" and arms["no-classifier"].lessons
    assert not arms["no-lessons"].lessons and arms["no-lessons"].top_share == arms["textbook"].top_share
    assert found.training_of(arms["raw"]).budgets == (4000, 8000, 16_000)
    assert {found.training_of(arm).budgets for arm in found.arms[1:]} == {(8000,)}
    Recipe(**found.model_dump())  # and it is a recipe that holds together


def test_arms_by_name_keep_the_reference_and_unknown_ones_are_an_error(recipe):
    found = with_arms(recipe, ["curated"])
    assert [arm.name for arm in found.arms] == ["raw", "curated"]
    with pytest.raises(HornbookError, match=r"no arm textbok.*raw, rules, curated, textbook"):
        with_arms(recipe, ["textbok"])
    with pytest.raises(HornbookError, match="One arm cannot be compared"):
        with_arms(recipe, ["raw"])


def test_a_sweep_is_one_arm_with_several_values(recipe):
    found = swept(recipe, "textbook", "lesson_share=0, 0.25,0.5")
    assert [arm.name for arm in found.arms] == ["raw", "textbook-0", "textbook-0.25", "textbook-0.5"]
    assert [arm.lesson_share for arm in found.arms[1:]] == [0, 0.25, 0.5]
    assert found.ablation.sweep.values == {"textbook-0": 0, "textbook-0.25": 0.25, "textbook-0.5": 0.5}
    Recipe(**found.model_dump())


def test_large_numbers_may_be_written_as_in_a_recipe(recipe):
    found = swept(recipe, "curated", "max_bytes=100_000,1_000_000")
    assert [(arm.name, arm.max_bytes) for arm in found.arms[1:]] == [
        ("curated-100000", 100_000),
        ("curated-1000000", 1_000_000),
    ]


@pytest.mark.parametrize(
    ("arm", "setting", "message"),
    [
        ("textbok", "lesson_share=0,1", "no arm textbok"),
        ("textbook", "lesson_shar=0,1", "no setting 'lesson_shar'.*lesson_share"),
        ("textbook", "lesson_share=0,much", "cannot be 'much'"),
        ("curated", "top_share=0.1,7", "cannot be '7'"),
    ],
)
def test_a_sweep_of_what_is_not_there_is_a_clear_error(recipe, arm, setting, message):
    with pytest.raises(HornbookError, match=message):
        swept(recipe, arm, setting)


def test_a_number_deep_in_the_recipe_is_swept_too(recipe):
    found = swept(recipe, "curated", "training.curriculum=-1,0,0.5")
    assert [arm.name for arm in found.arms[1:]] == ["curated-minus-1", "curated-0", "curated-0.5"]
    assert [found.training_of(arm).curriculum for arm in found.arms[1:]] == [-1, 0, 0.5]
    deep = swept(recipe, "textbook", "curation.near_duplicates.bands=5,20")
    assert [deep.curation_of(arm).near_duplicates.bands for arm in deep.arms[1:]] == [5, 20]
    with pytest.raises(HornbookError, match=r"training\.curriculum needs the scores"):
        swept(recipe, "rules", "training.curriculum=0.5")
    with pytest.raises(HornbookError, match=r"curriculums?: Extra inputs"):
        swept(recipe, "curated", "training.curriculums=1")


def test_a_ladder_trains_every_size_on_the_data_of_every_arm(recipe):
    found = laddered(recipe, ["curated"], ["0.3M", "3M"], [4000])
    assert [(arm.name, arm.data) for arm in found.arms] == [
        *(("raw", None), ("raw-0.3m", "raw"), ("raw-3m", "raw")),
        *(("curated", None), ("curated-0.3m", "curated"), ("curated-3m", "curated")),
    ]
    sizes = [found.training_of(arm).model.hidden_size for arm in found.arms[:3]]
    assert sizes == [recipe.training.model.hidden_size, LADDER["0.3M"]["hidden_size"], LADDER["3M"]["hidden_size"]]
    assert {found.training_of(arm).budgets for arm in found.arms} == {(4000, 8000)}
    assert found.ablation.ladder.data["curated-3m"] == "curated"
    Recipe(**found.model_dump())
    with pytest.raises(HornbookError, match=r"no model 2M.*0\.3M"):
        laddered(recipe, ["curated"], ["2M"])


def test_lessons_keep_their_share_on_every_rung(recipe):
    found = laddered(recipe, ["textbook"], ["3M"])
    assert {found.training_of(arm).lesson_share for arm in found.arms if "textbook" in arm.name} == {0.4}


def test_an_arm_comes_with_those_that_it_takes_data_or_models_from(recipe):
    deeper = {"name": "deeper", "data": "curated", "training": {"model": {"num_hidden_layers": 3}}}
    tuned = {"name": "tuned", "data": "textbook", "lesson_share": 1}
    tuned |= {"training": {"finetune": {"start_from": "textbook", "tokens": 2000}}}
    data = recipe.model_dump()
    whole = Recipe(**{**data, "arms": [*data["arms"], deeper, tuned]})
    assert [arm.name for arm in with_arms(whole, ["deeper"]).arms] == ["raw", "curated", "deeper"]
    assert [arm.name for arm in with_arms(whole, ["tuned"]).arms] == ["raw", "textbook", "tuned"]
