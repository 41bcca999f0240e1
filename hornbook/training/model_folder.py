"""Weights in training as a Hugging Face folder: at the end of a budget, or of any checkpoint."""

import json
import os
import shutil
from collections.abc import Mapping
from pathlib import Path

import torch

from hornbook.core.documents import atomic_write
from hornbook.core.errors import HornbookError
from hornbook.model import huggingface
from hornbook.model.build import build
from hornbook.model.config import ModelConfig
from hornbook.model.config_json import describe, read_config
from hornbook.model.decoder import Decoder
from hornbook.training.checkpoint import MODEL, read_tensors


def write_model(out: Path, config: ModelConfig, weights: Mapping[str, torch.Tensor], tokenizer: Path) -> None:
    """Write weights and the files of a tokenizer as a Hugging Face folder, which appears when it is whole."""
    temporary = out.with_name(f".{out.name}.tmp")
    shutil.rmtree(temporary, ignore_errors=True)
    huggingface.save(_model(config, weights), temporary)
    _copy_tokenizer(tokenizer, temporary)
    os.replace(temporary, out)


def describe_model(checkpoints: Path, config: ModelConfig, tokenizer: Path) -> None:
    """Put beside the checkpoints of a run what an export needs: config.json and the files of the tokenizer."""
    folder = checkpoints / MODEL
    folder.mkdir(exist_ok=True)
    _copy_tokenizer(tokenizer, folder)
    atomic_write(folder / "config.json", json.dumps(describe(config, "float32"), indent=1))


def export_checkpoint(checkpoint: Path, out: Path) -> None:
    """Write the model of a checkpoint, `<arm>/checkpoints/<branch>-<step>`, as a Hugging Face folder in float32.

    Raises HornbookError when the checkpoint is damaged, or when `out` exists.
    """
    if out.exists():
        raise HornbookError(f"{out} exists.", "Remove it, or name another folder.")
    described = checkpoint.parent / MODEL
    if not checkpoint.is_dir() or not described.is_dir():
        raise HornbookError(
            f"There is no checkpoint {checkpoint}.",
            "They lie in the folder of an arm that is not finished, or whose checkpoints.keep_when_done is true.",
        )
    config = read_config(described)
    with torch.device("meta"):
        names = {name: p.shape for name, p in build(config).named_parameters()}
    weights = {name: torch.empty(shape) for name, shape in names.items()}
    read_tensors(checkpoint, {f"weight.{name}": tensor for name, tensor in weights.items()})
    out.parent.mkdir(parents=True, exist_ok=True)
    write_model(out, config, weights, described)


def _model(config: ModelConfig, weights: Mapping[str, torch.Tensor]) -> Decoder:
    """A decoder around these very tensors."""
    with torch.device("meta"):
        model = build(config)
    model.load_state_dict(dict(weights), assign=True)
    return model


def _copy_tokenizer(source: Path, target: Path) -> None:
    for file in sorted(source.iterdir()):
        if file.is_file() and file.name not in ("manifest.json", "config.json"):
            shutil.copyfile(file, target / file.name)
