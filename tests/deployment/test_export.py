"""What a run publishes: the best arm's model in two forms, checked in llama.cpp; samples of all arms."""

import json
import math
from pathlib import Path

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from hornbook.core.errors import HornbookError
from hornbook.deployment.agreement import check, compare
from hornbook.deployment.config import DeploymentConfig
from hornbook.deployment.engines import open_model
from hornbook.deployment.export import export_gguf, export_step
from hornbook.model import gguf
from tests.model.tiny import tiny_folder

CONFIG = DeploymentConfig(max_new_tokens=8, positions=50, prompts=("def add(a, b):", "naïve 🙂\n\n  x\t='s "))


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished export of two arms: `rules` (seed 1) and the better `textbook` (seed 2)."""
    folder = tmp_path_factory.mktemp("run")
    inputs = {"verdict": folder / "verdict"}
    for seed, arm in enumerate(("rules", "textbook"), start=1):
        inputs[f"training.{arm}"] = folder / arm
        tiny_folder(folder / arm / "600", seed)
        tiny_folder(folder / arm / "300", seed + 10)
    inputs["verdict"].mkdir()
    verdict = {"best_arm": "textbook", "reference_budget": 600}
    (inputs["verdict"] / "verdict.json").write_text(json.dumps(verdict))
    out = folder / "out"
    out.mkdir()
    (out / "final-F16.gguf").write_text("left over from a run that was killed")
    counters = export_step(inputs, out, CONFIG)
    (out / "counters.json").write_text(json.dumps(counters))
    return out


def test_the_best_arm_at_the_reference_budget_is_published(published: Path) -> None:
    model, _ = open_model(published / "final")
    best, _ = open_model(published.parent / "textbook" / "600")
    assert torch.equal(model.head_weight, best.head_weight)


def test_transformers_opens_what_is_published(published: Path) -> None:
    tokenizer = AutoTokenizer.from_pretrained(published / "final")
    model = AutoModelForCausalLM.from_pretrained(published / "final")
    ids = tokenizer("def add(a, b):", return_tensors="pt")["input_ids"]
    assert model.generate(ids, max_new_tokens=4, do_sample=False).shape[1] <= ids.shape[1] + 4


def test_llama_cpp_agrees_at_fifty_positions_and_more(published: Path) -> None:
    agreement = json.loads((published / "agreement.json").read_text())
    assert agreement.keys() == {"F16", "Q8_0"}
    for measured in agreement.values():
        assert measured["positions"] >= 50
        assert measured["top_token"] >= 0.9
    assert agreement["F16"]["kl_divergence"] < 1e-4 and agreement["Q8_0"]["kl_divergence"] < 1e-2
    assert agreement["F16"]["logprob_difference"] < 1e-2
    counters = json.loads((published / "counters.json").read_text())
    assert counters["agreement"] == agreement
    assert counters["files"] == {p.name: p.stat().st_size for p in sorted(published.glob("*.gguf"))}


def test_all_arms_complete_the_same_prompts(published: Path) -> None:
    completions = json.loads((published / "samples.json").read_text())["completions"]
    assert completions.keys() == {"rules", "textbook"}
    for rows in completions.values():
        assert [row["prompt"] for row in rows] == list(CONFIG.prompts)
        assert all(row.keys() == {"prompt", "greedy", "sampled"} for row in rows)
    assert completions["rules"] != completions["textbook"]


def test_the_model_card_says_what_was_measured(published: Path) -> None:
    card = (published / "final" / "README.md").read_text()
    assert card.startswith("---\nlibrary_name: transformers\n")
    assert "| Q8_0 | " in card and "{" not in card.split("```")[0]


def test_another_shape_agrees_too(tmp_path: Path) -> None:
    folder = tiny_folder(tmp_path, tie_word_embeddings=False, partial_rotary_factor=0.5)
    measured = export_gguf(folder, tmp_path / "model.gguf", "F32", CONFIG)
    assert measured.kl_divergence < 1e-5 and measured.top_token == 1


def test_a_file_of_other_weights_is_refused_with_numbers(tmp_path: Path) -> None:
    ours, other = tiny_folder(tmp_path / "a"), tiny_folder(tmp_path / "b", seed=5)
    gguf.export(other, tmp_path / "other.gguf", "F16")
    model, tokenizer = open_model(ours)
    measured = compare(model, tokenizer, tmp_path / "other.gguf", CONFIG.prompts, [list(range(50))], "F16")
    assert measured.positions == 50 and math.isfinite(measured.kl_divergence)
    with pytest.raises(HornbookError, match=r"other\.gguf.*top_token"):
        check(measured, tmp_path / "other.gguf", "F16")
