"""The recipes of the Phi family: every one runs at laptop scale in miniature, and is planned at full scale."""

from pathlib import Path

import pytest
import torch
import yaml
from safetensors.torch import load_file

from hornbook.core.errors import HornbookError
from hornbook.core.step import execute
from hornbook.estimate import costs_of
from hornbook.plan import plan
from hornbook.recipe import Recipe, load_recipe
from hornbook.run import walk
from hornbook.scales import merged
from tests.miniature import RECIPE, hornbook, write_miniature

RECIPES = Path(__file__).parent.parent / "recipes"
# Parameters of the published models; phi-1-small was never released.
FAMILY = {
    "phi-1-small": 356_794_368,
    "phi-1": 1_418_270_720,
    "phi-1.5": 1_418_270_720,
    "phi-2": 2_779_683_840,
    "phi-3-mini": 3_821_079_552,
    "phi-3-small": 7_392_272_384,
    "phi-3-medium": 13_960_238_080,
    "phi-4": 14_659_507_200,
    "phi-4-mini": 3_836_021_760,
}
QUICK = {
    "corpus": {
        "sources": [{"folder": "home/code"}, {"builtin": "python-textbook"}, {"builtin": "python-exercises"}],
        "held_out": {"share": 0.05},
    },
    **{key: yaml.safe_load(RECIPE)[key] for key in ("curation", "tokenization", "probe", "evaluation", "deployment")},
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with sources; recipes that run in it one after the other share what they have in common."""
    folder = tmp_path_factory.mktemp("family")
    write_miniature(folder)
    return folder


def miniature(folder: Path, name: str, **training: object) -> Recipe:
    """The recipe of this name at laptop scale, on few files, four steps a phase; `training` is for later ones."""
    data = merged(load_recipe(RECIPES / f"{name}.yaml").model_dump(mode="json", exclude_defaults=True), QUICK)
    data["training"] = merged(data["training"], {"budgets": [8192], "warmup_tokens": 2048})
    first, *others = data["phases"]
    others = [merged(phase, {"training": {"warmup_tokens": 2048} | training}) for phase in others]
    data["phases"] = [merged(phase, {"budgets": [8192]}) for phase in (first, *others)]
    path = folder / "phases.yaml"
    path.write_text(yaml.safe_dump(data))
    return load_recipe(path)


def trained(recipe: Recipe, folder: Path) -> Path:
    """Where the steps of a recipe are that make and export its models; what they are worth is not measured."""
    evaluations = {f"evaluation.{phase.name}" for phase in recipe.phases}
    steps = [step for step in plan(recipe) if step.name not in evaluations | {"report.page"}]
    for _ in execute(steps, folder / "run"):
        pass
    return folder / "run" / "steps"


def weights(folder: Path) -> dict[str, torch.Tensor]:
    return load_file(folder / "model.safetensors")


@pytest.mark.parametrize("name", FAMILY)
def test_every_recipe_trains_at_laptop_scale_and_publishes_the_model_of_its_last_phase(folder, name):
    recipe = miniature(folder, name)
    steps = trained(recipe, folder)
    final, last = steps / "deployment.export", steps / f"training.{recipe.phases[-1].name}" / "8192"
    assert weights(final / "final").keys() == weights(last).keys()
    assert all(torch.equal(tensor, weights(last)[key]) for key, tensor in weights(final / "final").items())
    files = set() if name == "phi-3-small" else {"final-F16.gguf", "final-Q8_0.gguf"}  # llama.cpp has no such blocks
    assert {path.name for path in final.glob("*.gguf")} == files


def test_a_phase_goes_on_with_the_weights_of_the_one_before_it(folder):
    steps = trained(miniature(folder, "phi-4", optimizer={"adamw": {"lr": 1e-12}}), folder)
    first, second = (weights(steps / f"training.{name}" / "8192") for name in ("pretraining", "midtraining"))
    assert all(torch.allclose(first[key], second[key], atol=1e-6) for key in first)


def test_a_recipe_of_phases_is_walked_to_a_report_without_a_verdict(folder, capsys):
    recipe, run = miniature(folder, "phi-1-small"), folder / "run"
    walk(recipe, run, "")
    assert {path.name for path in (run / "models").iterdir() if path.is_dir()} == {"pretraining", "exercises", "final"}
    assert all(phase.name in (run / "report.html").read_text() for phase in recipe.phases)
    assert not (run / "steps" / "ablation.verdict").exists()
    walk(recipe, run, "")
    assert "Nothing to do" in capsys.readouterr().out


@pytest.mark.parametrize(("name", "parameters"), FAMILY.items())
def test_every_recipe_is_planned_at_full_scale_with_the_parameters_of_the_published_model(name, parameters):
    costs = costs_of(load_recipe(RECIPES / f"{name}.yaml", "full"))
    assert {cost.parameters for cost in costs.values()} == {parameters}
    for cost in costs.values():
        assert 5 < cost.flops / cost.tokens / parameters < 9  # 6 and attention, less what looks up an embedding
        assert cost.memory.peak > 12 * parameters  # float32 masters and both moments of AdamW


def test_the_plan_is_printed_without_data(tmp_path):
    done = hornbook("train", RECIPES / "phi-1.yaml", "--scale", "full", "--plan", "--gpu-hour", "3", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "1,418,270,720" in done.stdout and "75,497,472,000" in done.stdout
    assert "8 x H100-80GB" in done.stdout and "3 $ a GPU hour" in done.stdout
    assert list(tmp_path.iterdir()) == []


PHASES = """
name: two
corpus: {}
training: {budgets: [8192], batch_tokens: 2048, warmup_tokens: 0}
scales:
  laptop:
    phases: [{name: one}, {name: two}]
  wide:
    phases: [{name: one}, {name: two}]
    training: {model: {preset: 3M, num_key_value_heads: 1}}
"""


def written(tmp_path: Path, text: str) -> Path:
    (tmp_path / "two.yaml").write_text(text)
    return tmp_path / "two.yaml"


def test_a_scale_is_merged_over_what_scales_have_in_common(tmp_path):
    path = written(tmp_path, PHASES)
    laptop, wide = load_recipe(path), load_recipe(path, "wide")
    assert laptop.training.model.hidden_size == 128 and wide.training.model.hidden_size == 192
    assert wide.training.model.num_key_value_heads == 1 and wide.training.budgets == laptop.training.budgets
    assert [phase.start_from for phase in wide.phases] == [None, "one"]


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("{name: two}", "{name: two, start_from: three}", "no phase above it is called 'three'"),
        (
            "{name: two}",
            "{name: two, training: {model: {preset: 3M}}}",
            r"two\.training\.model needs the shape",
        ),
        ("{name: two}", "{name: two, training: {model: {preset: 3N}}}", "'3N' is no model that a recipe trains"),
        (
            "{name: two}",
            "{name: two, training: {batch: 3}}",
            r"scale laptop: .*phases\.two\.training\.batch",
        ),
        ("{name: two}", "{name: one}", "each needs a name of its own"),
        ("laptop:", "huge:", "no scale laptop. Set --scale to huge or wide"),
        ("corpus: {}", "corpus: {}\nextends: two.yaml", "is no other recipe"),
        ("corpus: {}", "corpus: {}\narms: [{name: raw}, {name: b}]", "two arms to compare, or phases"),
    ],
)
def test_what_is_wrong_with_phases_and_scales_is_named_with_the_remedy(tmp_path, old, new, message):
    with pytest.raises(HornbookError, match=message) as caught:
        load_recipe(written(tmp_path, PHASES.replace(old, new)))
    assert caught.value.remedy


def test_phases_are_not_compared(tmp_path):
    done = hornbook("compare", written(tmp_path, PHASES), cwd=tmp_path)
    assert done.returncode == 2 and "no arms to compare" in done.stderr
