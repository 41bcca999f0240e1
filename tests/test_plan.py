"""The plan: arms are differences from one recipe, and what they have in common is one step."""

from pathlib import Path

import pytest

from hornbook.core.errors import HornbookError
from hornbook.core.step import step_identity
from hornbook.plan import plan
from hornbook.recipe import load_recipe
from tests.miniature import RECIPE, write_labels


def steps(folder: Path, arms: str = "", seeds: int = 1) -> dict:
    """Steps by name of the miniature recipe with more arms."""
    (folder / "home" / "code").mkdir(parents=True, exist_ok=True)
    (folder / "home" / "code" / "a.py").write_text("def one():\n    return 1\n")
    write_labels(folder)
    text = RECIPE.replace("tokenization:", f"{arms}tokenization:")
    text = text.replace("ablation: {", f"ablation: {{seeds: {seeds}, ")
    (folder / "recipe.yaml").write_text(text)
    return {step.name: step for step in plan(load_recipe(folder / "recipe.yaml"))}


def arm(name: str, curation: str) -> str:
    return f"  - {{name: {name}, filter: classifier, top_share: 0.3, curation: {curation}}}\n"


def test_an_arm_that_switches_a_step_off_has_its_own_steps_from_there_on(tmp_path):
    base, more = steps(tmp_path), steps(tmp_path, arm("unruly", "{passage_rules: {enabled: false}}"))
    own = {name for name in more.keys() - base.keys() if "unruly" in name}
    assert {"curation.passage_rules.unruly", "curation.scores.unruly", "training.unruly"} <= own
    assert not any(name.startswith(("corpus.", "curation.file_rules", "curation.classifier")) for name in own)
    assert more["curation.select.unruly"].inputs["scores"] is more["curation.scores.unruly"]
    assert more["curation.select.curated"].inputs["scores"] is more["curation.scores"]


def test_two_arms_with_the_same_difference_share_their_steps(tmp_path):
    off = "{passage_rules: {enabled: false}}"
    found = steps(tmp_path, arm("unruly", off) + arm("wild", off))
    assert found["curation.select.wild"].inputs["scores"] is found["curation.scores.unruly"]
    assert {name for name in found if "wild" in name} == {
        f"{station}.wild" for station in ("curation.select", "tokenization", "training", "evaluation")
    }


def test_an_arm_without_near_duplicates_or_decontamination_is_selected_without_them(tmp_path):
    arms = arm("near", "{near_duplicates: {enabled: false}}") + arm("leaky", "{decontamination: {enabled: false}}")
    found = steps(tmp_path, arms)
    assert set(found["curation.select.near"].inputs) == {"documents", "rules", "exact", "leaks", "scores"}
    assert set(found["curation.select.leaky"].inputs) == {"documents", "rules", "exact", "near", "scores"}


def test_repeats_draw_and_train_anew_and_share_everything_else(tmp_path):
    once, thrice = steps(tmp_path), steps(tmp_path, seeds=3)
    again = {name.removesuffix(".repeat-2") for name in thrice if name.endswith(".repeat-2")}
    stations = {name.rpartition(".")[0] for name in again}
    assert stations == {"curation.select", "tokenization", "training", "evaluation"}
    assert len(thrice) == len(once) + 2 * len(again)
    seeds = [thrice[f"training.raw{end}"].config.seed for end in ("", ".repeat-1", ".repeat-2")]
    assert seeds == [0, 1, 2]
    assert len(thrice["ablation.verdict"].inputs) == 3 * len(once["ablation.verdict"].inputs)


def test_an_arm_with_the_data_of_another_is_trained_on_the_same_tokens(tmp_path):
    found = steps(tmp_path, "  - {name: deep, data: curated, training: {model: {num_hidden_layers: 3}}}\n")
    assert {name for name in found if "deep" in name} == {"training.deep", "evaluation.deep"}
    assert found["training.deep"].inputs["tokens"] is found["training.curated"].inputs["tokens"]
    assert found["training.deep"].config.model.num_hidden_layers == 3


def test_fine_tuning_starts_from_the_model_of_its_own_repeat(tmp_path):
    tuned = "{finetune: {start_from: textbook, tokens: 2_000}}"
    arms = f"  - {{name: tuned, filter: none, lessons: [exercise], lesson_share: 1, training: {tuned}}}\n"
    found = steps(tmp_path, arms, seeds=2)
    for repeat in ("", ".repeat-1"):
        assert found[f"training.tuned{repeat}"].inputs["start"] is found[f"training.textbook{repeat}"]
    assert found["curation.select.tuned"].config.lessons == ("exercise",)
    assert "scores" not in found["curation.select.tuned"].inputs


def test_a_curriculum_reads_the_scores_of_its_arm(tmp_path):
    orderly = "  - {name: orderly, data: curated, budgets: [8_000], training: {curriculum: 1}}\n"
    found = steps(tmp_path, orderly)
    assert found["training.orderly"].inputs["scores"] is found["curation.scores"]
    assert "scores" not in found["training.curated"].inputs


def test_what_a_mixture_names_has_a_store_of_its_own(tmp_path):
    mixture = "{corpus: 2, lessons: 1, 'builtin:python-textbook': 1}"
    found = steps(
        tmp_path, f"  - {{name: mixed, data: textbook, training: {{data: {{mixture: {mixture}}}}}}}\n", seeds=2
    )
    for repeat in ("", ".repeat-1"):
        tokens = found[f"training.mixed{repeat}"].inputs["tokens"]
        assert tokens.config.stores == ("builtin:python-textbook",)
        assert tokens.inputs["documents"] is found[f"curation.select.textbook{repeat}"]
        other = found[f"training.textbook{repeat}"].inputs["tokens"]
        assert other is not tokens and other.config.stores == ()


@pytest.mark.parametrize(
    ("curation", "message"),
    [("{near_dups: {enabled: false}}", "near_dups"), ("{near_duplicates: {bands: 0}}", "near_duplicates.bands")],
)
def test_a_difference_that_cannot_be_is_an_error_that_names_it(tmp_path, curation, message):
    with pytest.raises(HornbookError, match=message):
        steps(tmp_path, arm("odd", curation))


def test_exercises_are_executed_at_the_reference_budget_where_the_recipe_says_so(tmp_path):
    assert not any("executed" in name for name in steps(tmp_path))
    text = RECIPE.replace("evaluation: {", "evaluation: {execution: {enabled: true}, ")
    (tmp_path / "recipe.yaml").write_text(text)
    found = {step.name: step for step in plan(load_recipe(tmp_path / "recipe.yaml"))}
    config = found["evaluation.executed.raw"].config
    assert (config.arm, config.seed, config.budget) == ("raw", 0, 8000)
    assert found["ablation.verdict"].inputs["evaluation.executed.raw"] is found["evaluation.executed.raw"]


def with_lessons(folder: Path, writers: str, more: str = "") -> dict:
    """Steps by name of the miniature recipe with lessons that are written, more keys in their section."""
    (folder / "home" / "code").mkdir(parents=True, exist_ok=True)
    (folder / "home" / "code" / "a.py").write_text("def one():\n    return 1\n")
    write_labels(folder)
    section = f"synthesis:\n  mine: {{writers: {writers}{more}}}\ncorpus:"
    text = RECIPE.replace("corpus:", section).replace("held_out: {", "held_out: {", 1)
    text = text.replace("    - builtin: python-textbook\n", "    - builtin: python-textbook\n    - synthesis: mine\n")
    (folder / "recipe.yaml").write_text(text)
    return {step.name: step for step in plan(load_recipe(folder / "recipe.yaml"))}


def test_written_lessons_are_a_source_of_the_corpus(tmp_path):
    found = with_lessons(tmp_path, "{exercise: 3}")
    assert next(iter(found)) == "synthesis.mine"
    assert found["corpus.files"].inputs == {"synthesis.mine": found["synthesis.mine"]}
    assert not any(name.startswith("seeds.") for name in found)


def test_writers_of_passages_read_what_curation_keeps_of_the_other_sources(tmp_path):
    found = with_lessons(tmp_path, "{rewrite: 3}")
    passages = found["synthesis.mine"].inputs["documents"]
    assert passages.name == "seeds.curation.select.for-mine" and passages.config.filter == "classifier"
    assert {source.__class__.__name__ for source in found["seeds.corpus.files"].config.sources} == {"Folder", "Builtin"}
    assert found["corpus.files"].name in found and "curation.scores" in found
    rules = with_lessons(tmp_path, "{rewrite: 3}", ", passages: {filter: rules}")
    assert not any(name.startswith("seeds.curation.scores") for name in rules)


def test_another_address_or_budget_of_the_teacher_writes_nothing_anew_and_another_model_does(tmp_path):
    def identity(teacher: str) -> str:
        step = with_lessons(tmp_path, "{exercise: 3}", f", teacher: {{url: 'http://{teacher}'}}")["synthesis.mine"]
        return step_identity(step, {})

    one = identity("a/v1', model: m, budget: {requests: 5}, concurrency: 3, timeout: 5, key_env: 'K")
    assert identity("b/v1', model: 'm") == one and identity("a/v1', model: 'n") != one


@pytest.mark.parametrize(
    ("writers", "message"),
    [("{novel: 3}", "synthesis.mine.writers"), ("{}", "give either writers"), ("{exercise: 0}", "exercise")],
)
def test_a_section_that_cannot_be_is_an_error_that_names_it(tmp_path, writers, message):
    with pytest.raises(HornbookError, match=message):
        with_lessons(tmp_path, writers)
