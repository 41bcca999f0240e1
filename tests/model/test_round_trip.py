"""Our checkpoint -> transformers -> our checkpoint: the same bits, the same text, the same special tokens."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from hornbook.model import huggingface
from hornbook.model.config import LongRope
from hornbook.model.generate import generate
from hornbook.model.load import eos_token_ids, load_any
from hornbook.model.text import encode_prompt
from tests.model.tiny import SHAPES, tiny_folder, tiny_model

PROMPT = "def fibonacci(n):"
MODELS: dict[str, dict[str, Any]] = {
    **SHAPES,
    "LongRoPE that the answer crosses": {"rope_scaling": LongRope(16, (1.0,) * 8, tuple(1.0 + i for i in range(8)))},
    "LongRoPE with a factor of its own": {"rope_scaling": LongRope(16, (1.0,) * 8, (4.0,) * 8, attention_factor=1.3)},
}


@pytest.mark.parametrize("shape", MODELS)
def test_transformers_generates_the_same_text_and_saves_the_same_model(tmp_path: Path, shape: str) -> None:
    ours = tiny_folder(tmp_path / "ours", **MODELS[shape])
    tokenizer, theirs = AutoTokenizer.from_pretrained(ours), AutoModelForCausalLM.from_pretrained(ours)
    model, own_tokenizer = load_any(ours)
    ids = encode_prompt(model.config, own_tokenizer, PROMPT)
    assert ids == [0, *tokenizer(PROMPT)["input_ids"]]
    row = torch.tensor([ids])
    text = theirs.generate(row, attention_mask=torch.ones_like(row), max_new_tokens=40, do_sample=False)[0, len(ids) :]
    stopped = list(generate(model, ids, max_new_tokens=40, stop_ids=eos_token_ids(ours)))
    assert own_tokenizer.decode(stopped) == tokenizer.decode(text, skip_special_tokens=True)

    theirs.save_pretrained(tmp_path / "theirs")
    tokenizer.save_pretrained(tmp_path / "theirs")
    again, their_tokenizer = load_any(tmp_path / "theirs")
    assert again.config == model.config
    assert again.state_dict().keys() == model.state_dict().keys()
    assert all(torch.equal(again.state_dict()[name], weight) for name, weight in model.state_dict().items())
    assert their_tokenizer.encode(PROMPT).ids == own_tokenizer.encode(PROMPT).ids


def test_all_tokens_that_end_an_answer_travel(tmp_path: Path) -> None:
    folder = tiny_folder(tmp_path / "ours")
    assert eos_token_ids(folder) == (0,)
    huggingface.save(tiny_model(), folder, (7, 0, 9))
    assert json.loads((folder / "generation_config.json").read_text())["eos_token_id"] == [0, 7, 9]
    theirs = AutoModelForCausalLM.from_pretrained(folder)
    assert theirs.generation_config.eos_token_id == [0, 7, 9] and theirs.config.eos_token_id == 0
    theirs.save_pretrained(tmp_path / "theirs")
    assert eos_token_ids(tmp_path / "theirs") == eos_token_ids(folder) == (0, 7, 9)
    assert eos_token_ids(tmp_path / "nowhere") == ()
