"""`hornbook compare`: arms of one recipe over several seeds, and the base arm without each of its decisions."""

import json

import pytest

from hornbook.compare import leave_one_out, swept, with_arms
from hornbook.core.errors import HornbookError
from hornbook.recipe import Recipe, load_recipe
from tests.miniature import hornbook


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


def test_compare_runs_the_arms_over_seeds_and_tells_what_is_decided(workspace):
    command = ("compare", "recipe.yaml", "--arms", "curated,textbook", "--seeds", "2", "--run", "compared")
    done = hornbook(*command, cwd=workspace)
    assert done.returncode == 0, done.stderr
    assert "against textbook" in done.stdout and "difference, 95 %" in done.stdout
    assert "corpus.files" in done.stdout and done.stdout.count("training.curated") == 2
    results = json.loads((workspace / "compared" / "results.json").read_text())
    assert results["comparison"]["seeds"] == [0, 1] and results["comparison"]["note"] == ""
    rows = {(row["set"], row["arm"]): row for row in results["differences"]}
    row = rows["humaneval", "curated"]
    assert row["base"] == "textbook" and row["low"] <= row["value"] <= row["high"]
    assert list(results["arms"]) == ["raw", "curated", "textbook"]
    page = (workspace / "compared" / "report.html").read_text()
    assert "Against textbook" in page and "2 seeds" in page
    again = hornbook(*command, cwd=workspace)
    assert "Nothing to do" in again.stdout


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
        ("textbook", "lesson_shar=0,1", "no number 'lesson_shar'.*lesson_share"),
        ("textbook", "lesson_share=0,much", "cannot be 'much'"),
        ("curated", "top_share=0.1,7", "cannot be '7'"),
    ],
)
def test_a_sweep_of_what_is_not_there_is_a_clear_error(recipe, arm, setting, message):
    with pytest.raises(HornbookError, match=message):
        swept(recipe, arm, setting)


def test_sweep_draws_a_plot_per_set(workspace):
    command = ("sweep", "recipe.yaml", "curated", "top_share=0.1,0.5", "--run", "swept")
    done = hornbook(*command, cwd=workspace)
    assert done.returncode == 0, done.stderr
    page = (workspace / "swept" / "report.html").read_text()
    assert 'id="sweep"' in page and "humaneval by top_share. 0.1:" in page
    results = json.loads((workspace / "swept" / "results.json").read_text())
    assert results["comparison"]["sweep"]["values"] == {"curated-0.1": 0.1, "curated-0.5": 0.5}
    assert results["arms"]["curated-0.1"]["epochs"]["corpus"] > results["arms"]["curated-0.5"]["epochs"]["corpus"]
