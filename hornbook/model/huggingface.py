"""A decoder as a Hugging Face folder, readable by `transformers.AutoModelForCausalLM`, and back."""

import json
import os
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from hornbook.core.documents import atomic_write
from hornbook.core.errors import HornbookError
from hornbook.model.config import ModelConfig
from hornbook.model.decoder import Decoder

WEIGHTS = "model.safetensors"
_REMEDY = "Make the folder again, or name another one."


def save(model: Decoder, folder: Path) -> None:
    """Write config.json, generation_config.json and model.safetensors, in the number type of the model.

    config.json comes last: a folder that has it is whole. Tokenizer files are for the caller to add.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    temporary = folder / f".{WEIGHTS}.tmp"
    weights = {name: tensor.detach().cpu().contiguous() for name, tensor in model.state_dict().items()}
    save_file(weights, temporary, metadata={"format": "pt"})
    with open(temporary, "rb") as file:
        os.fsync(file.fileno())
    os.replace(temporary, folder / WEIGHTS)
    special = {name: getattr(model.config, name) for name in ("bos_token_id", "eos_token_id", "pad_token_id")}
    atomic_write(folder / "generation_config.json", json.dumps({"_from_model_config": True, **special}, indent=1))
    described = {
        "architectures": ["Phi3ForCausalLM"],
        "model_type": "phi3",
        "torch_dtype": str(model.head_weight.dtype).removeprefix("torch."),
        "hidden_act": "silu",
        "original_max_position_embeddings": model.config.max_position_embeddings,
        "rope_scaling": None,
        "attention_dropout": 0.0,
        "embd_pdrop": 0.0,
        "resid_pdrop": 0.0,
        "use_cache": True,
        **asdict(model.config),
    }
    atomic_write(folder / "config.json", json.dumps(described, indent=1))


def load(folder: Path) -> Decoder:
    """The decoder of a folder, in float32 and ready to evaluate.

    Raises HornbookError when a file is missing or corrupt, or describes what our decoder does not compute.
    """
    folder = Path(folder)
    config = load_config(folder)
    with torch.device("meta"):  # names and shapes without memory
        model = Decoder(config)
    weights = _load_weights(folder / WEIGHTS)
    if config.tie_word_embeddings:
        weights.pop("lm_head.weight", None)
    _check_names_and_shapes(folder, weights, model.state_dict())
    model.load_state_dict({name: tensor.float() for name, tensor in weights.items()}, assign=True)
    return model.eval()


def load_config(folder: Path) -> ModelConfig:
    """What config.json of a folder says. Raises HornbookError as `load` does."""
    path = Path(folder) / "config.json"
    try:
        described = json.loads(path.read_text())
        if not isinstance(described, dict):
            raise ValueError("it is not a JSON object")
    except FileNotFoundError:
        raise HornbookError(f"There is no model in {folder}: config.json is missing.", _REMEDY) from None
    except (OSError, ValueError) as error:
        raise HornbookError(f"Cannot read {path} ({error}).", _REMEDY) from error
    for reason in _unsupported(described):
        raise HornbookError(
            f"Hornbook cannot run the model in {folder}: {reason}.", "Use a Phi-3 model without these features."
        )
    # Newer versions of transformers keep what belongs to rotary embeddings together.
    described |= {key: value for key, value in _rope(described).items() if value is not None}
    described.setdefault("num_key_value_heads", described.get("num_attention_heads"))
    if isinstance(described.get("eos_token_id"), list):
        described["eos_token_id"] = described["eos_token_id"][0]
    try:
        return ModelConfig(**{f.name: described[f.name] for f in fields(ModelConfig) if f.name in described})
    except TypeError as error:
        raise HornbookError(f"{path} is not complete ({error}).", _REMEDY) from error


def _rope(described: dict[str, Any]) -> dict[str, Any]:
    return described.get("rope_parameters") or described.get("rope_scaling") or {}


def _unsupported(described: dict[str, Any]) -> list[str]:
    """Reasons why our decoder would compute something else than the model that is described."""
    reasons = []
    if described.get("model_type") != "phi3":
        reasons.append(f"its model_type is {described.get('model_type')!r}, and only 'phi3' is known")
    kind = _rope(described).get("rope_type", _rope(described).get("type", "default"))
    if kind != "default":
        reasons.append(f"its rotary embeddings are scaled ({kind})")
    if described.get("hidden_act", "silu") != "silu":
        reasons.append(f"its activation is {described['hidden_act']!r}, and only 'silu' is known")
    if described.get("quantization_config"):
        reasons.append("its weights are quantised")
    return reasons


def _load_weights(path: Path) -> dict[str, torch.Tensor]:
    if not path.is_file():
        raise HornbookError(f"There is no file {path}.", _REMEDY)
    try:
        return load_file(path)
    except (OSError, SafetensorError) as error:
        raise HornbookError(f"{path} is damaged ({error}).", _REMEDY) from error


def _check_names_and_shapes(folder: Path, found: dict[str, torch.Tensor], wanted: dict[str, torch.Tensor]) -> None:
    for name in sorted(found.keys() | wanted.keys()):
        shapes = [tuple(side[name].shape) if name in side else "nothing" for side in (found, wanted)]
        if shapes[0] != shapes[1]:
            raise HornbookError(
                f"The files in {folder} do not belong together: for {name}, {WEIGHTS} has {shapes[0]} "
                f"and config.json asks for {shapes[1]}.",
                _REMEDY,
            )
