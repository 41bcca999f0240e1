"""Files that were damaged, mixed up or changed by hand: one clear error, or the very model that was saved."""

import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from hornbook.core.errors import HornbookError
from hornbook.model import weights
from hornbook.model.gguf import export
from hornbook.model.load import load_any
from tests.model.llama_files import tiny_llama, write_llama_folder
from tests.model.tiny import SHAPES, tiny_folder, tiny_model

CHANGES: dict[str, Callable[[int], Any]] = {
    "one more": lambda n: n + 1,
    "half": lambda n: n // 2,
    "twice": lambda n: 2 * n,
    "none": lambda n: 0,
    "negative": lambda n: -n,
    "a text": str,
    "a list": lambda n: [n],
    "half a one": lambda n: n + 0.5,
}
COUNTS = ("vocab_size", "hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads", "head_dim")


def opens_as_saved_or_not_at_all(path: Path, saved: dict[str, torch.Tensor], named: str) -> bool:
    """Whether it opens; anything but the same weights, or an error that names the file and a remedy, fails."""
    try:
        found = load_any(path)[0].state_dict()
    except HornbookError as error:
        assert named in error.problem and error.remedy, error
        return False
    assert found.keys() == saved.keys()
    assert all(torch.equal(found[name], weight) for name, weight in saved.items())
    return True


@pytest.mark.parametrize("shape", ["plain", "parallel blocks"])
def test_a_folder_with_damaged_weights(tmp_path: Path, shape: str) -> None:
    folder = tiny_folder(tmp_path, **SHAPES[shape])
    saved = tiny_model(**SHAPES[shape]).state_dict()
    assert opens_as_saved_or_not_at_all(folder, saved, "")
    path = folder / "model.safetensors"
    data, draw = path.read_bytes(), random.Random(0)
    header = 8 + int.from_bytes(data[:8], "little")
    for _ in range(30):
        path.write_bytes(data[: draw.randrange(len(data))])
        assert not opens_as_saved_or_not_at_all(folder, saved, "model.safetensors is damaged or cut short")
    for _ in range(150):
        damaged = bytearray(data)
        damaged[draw.randrange(header)] ^= 1 << draw.randrange(8)
        path.write_bytes(damaged)
        opens_as_saved_or_not_at_all(folder, saved, str(folder))


@pytest.mark.parametrize("shape", ["plain", "parallel blocks"])
def test_a_damaged_gguf_file(tmp_path: Path, shape: str) -> None:
    folder, path = tiny_folder(tmp_path, **SHAPES[shape]), tmp_path / "model.gguf"
    export(folder, path, "F32")
    saved = tiny_model(**SHAPES[shape]).state_dict()
    assert opens_as_saved_or_not_at_all(path, saved, "")
    data, draw = path.read_bytes(), random.Random(0)
    header = len(data) - sum(weight.nbytes for weight in saved.values())
    for _ in range(20):
        path.write_bytes(data[: draw.randrange(len(data))])
        assert not opens_as_saved_or_not_at_all(path, saved, "model.gguf is no GGUF file, is damaged")
    for _ in range(80):
        damaged = bytearray(data)
        damaged[draw.randrange(header)] ^= 1 << draw.randrange(8)
        path.write_bytes(damaged)
        opens_as_saved_or_not_at_all(path, saved, "model.gguf")


@pytest.mark.parametrize("shape", ["plain", "grouped queries", "parallel blocks"])
def test_a_config_with_another_number(tmp_path: Path, shape: str) -> None:
    folder = tiny_folder(tmp_path, **SHAPES[shape])
    saved = tiny_model(**SHAPES[shape]).state_dict()
    path = folder / "config.json"
    described = json.loads(path.read_text())
    for name in (*COUNTS, "num_key_value_heads"):
        for change in CHANGES.values():
            path.write_text(json.dumps(described | {name: change(described[name])}))
            opened = opens_as_saved_or_not_at_all(folder, saved, str(folder))
            assert not opened or (name, change(described[name])) == ("head_dim", 0)  # it follows from the others
        path.write_text(json.dumps({key: value for key, value in described.items() if key != name}))
        opens_as_saved_or_not_at_all(folder, saved, str(folder))


def test_a_head_that_contradicts_the_flag(tmp_path: Path) -> None:
    folder = tiny_folder(tmp_path)
    saved, path, config = tiny_model().state_dict(), folder / "model.safetensors", folder / "config.json"
    embedding, described = saved["model.embed_tokens.weight"], json.loads(config.read_text())
    config.write_text(json.dumps(described | {"tie_word_embeddings": False}))
    with pytest.raises(HornbookError, match=r"lm_head\.weight, there is nothing.*tie_word_embeddings is false"):
        load_any(folder)
    config.write_text(json.dumps(described))
    save_file(load_file(path) | {"lm_head.weight": embedding.clone()}, path)
    assert opens_as_saved_or_not_at_all(folder, saved, "")
    save_file(load_file(path) | {"lm_head.weight": embedding + 1}, path)
    with pytest.raises(HornbookError, match=r"tie_word_embeddings.*differs.*Set tie_word_embeddings"):
        load_any(folder)


def test_shards_of_two_models_mixed_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(weights, "SHARD_BYTES", 60_000)
    ours, other = tiny_folder(tmp_path / "ours"), tiny_folder(tmp_path / "other", **SHAPES["head of its own"])
    second = sorted(ours.glob("model-*"))[1]
    second.unlink()
    with pytest.raises(HornbookError, match=rf"{second.name} is missing"):
        load_any(ours)
    second.write_bytes(sorted(other.glob("model-*"))[0].read_bytes())
    with pytest.raises(HornbookError, match=rf"{second.name} does not hold model\."):
        load_any(ours)


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"bos_token_id": 320}, "config.json contradicts itself. bos_token_id is 320, and vocab_size 320"),
        ({"bos_token_id": None, "eos_token_id": 4000}, "eos_token_id is 4000, and vocab_size 320"),
        ({"bos_token_id": -1}, "bos_token_id is -1"),
    ],
)
def test_texts_cannot_start_with_a_token_that_is_not_there(tmp_path: Path, changes: dict[str, Any], named: str) -> None:
    folder = tiny_folder(tmp_path)
    path = folder / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))
    with pytest.raises(HornbookError, match=named):
        load_any(folder)


def test_a_llama_folder_with_other_numbers(tmp_path: Path) -> None:
    folder = write_llama_folder(tmp_path, tiny_llama())
    saved, path = load_any(folder)[0].state_dict(), folder / "config.json"
    described = json.loads(path.read_text())
    for name in COUNTS:
        for change in CHANGES.values():
            path.write_text(json.dumps(described | {name: change(described[name])}))
            opened = opens_as_saved_or_not_at_all(folder, saved, str(folder))
            assert not opened or (name, change(described[name])) == ("head_dim", 0)  # it follows from the others
