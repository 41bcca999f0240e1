"""The whole way with blocks of phi-1: what is published is a phi, for transformers and for llama.cpp."""

import json
from pathlib import Path

import gguf
import pytest

from tests.miniature import hornbook, write_miniature


@pytest.mark.stress
def test_a_recipe_in_the_style_of_phi_1_walks_the_whole_way(tmp_path: Path) -> None:
    recipe = write_miniature(tmp_path)
    text = recipe.read_text()
    assert "intermediate_size: 96," in text
    recipe.write_text(text.replace("intermediate_size: 96,", "intermediate_size: 256, style: phi,"))
    done = hornbook("run", recipe, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    models = tmp_path / "runs" / "miniature" / "models"
    assert json.loads((models / "final" / "config.json").read_text())["model_type"] == "phi"
    assert "PhiForCausalLM" in (models / "final" / "README.md").read_text()
    fields = gguf.GGUFReader(models / "final-Q8_0.gguf").fields
    assert fields["general.architecture"].contents() == "phi2"
