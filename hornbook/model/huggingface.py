"""A decoder as a Hugging Face folder, readable by `transformers.AutoModelForCausalLM`, and back."""

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from hornbook.core.documents import atomic_write
from hornbook.core.errors import HornbookError
from hornbook.model.config import ModelConfig
from hornbook.model.config_json import REMEDY, describe, read_config
from hornbook.model.decoder import Decoder

WEIGHTS = "model.safetensors"
INDEX = "model.safetensors.index.json"
SHARD_BYTES = 5 * 10**9  # more than this goes into several files, as transformers does
_FLOATS = {"F64", "F32", "F16", "BF16"}


def save(model: Decoder, folder: Path, chat_template: str | None = None) -> None:
    """Write config.json, generation_config.json and model.safetensors, in the number type of the model.

    Weights of more than 5 GB are divided over several files with an index. config.json comes last: a folder that has
    it is whole. Tokenizer files are for the caller to add. `chat_template` is Jinja, see `chat_template.py`. Raises
    HornbookError when transformers has no such model.
    """
    described = describe(model.config, str(model.head_weight.dtype).removeprefix("torch."))
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    shards = _shards({name: tensor.detach() for name, tensor in model.state_dict().items()})
    names = {name: file for file, weights in shards.items() for name in weights}
    for file, weights in shards.items():
        _write(folder / file, weights)
    if len(shards) > 1:
        size = sum(tensor.nbytes for weights in shards.values() for tensor in weights.values())
        atomic_write(folder / INDEX, json.dumps({"metadata": {"total_size": size}, "weight_map": names}, indent=1))
    (folder / (WEIGHTS if len(shards) > 1 else INDEX)).unlink(missing_ok=True)  # of an older model in this place
    special = {name: getattr(model.config, name) for name in ("bos_token_id", "eos_token_id", "pad_token_id")}
    atomic_write(folder / "generation_config.json", json.dumps({"_from_model_config": True, **special}, indent=1))
    if chat_template is not None:
        atomic_write(folder / "chat_template.jinja", chat_template)
    atomic_write(folder / "config.json", json.dumps(described, indent=1))


def load(folder: Path, dtype: torch.dtype = torch.float32) -> Decoder:
    """The decoder of a folder, in `dtype` and ready to evaluate.

    Raises HornbookError when a file is missing or corrupt, when files contradict each other, or when they describe
    what our decoder does not compute.
    """
    folder = Path(folder)
    config = read_config(folder)
    _check_tokenizer(folder, config)
    with torch.device("meta"):  # names and shapes without memory
        model = Decoder(config)
    files = _files_by_name(folder)
    if config.tie_word_embeddings:
        files.pop("lm_head.weight", None)
    _check_names(folder, set(files), set(model.state_dict()))
    shapes = {name: tuple(tensor.shape) for name, tensor in model.state_dict().items()}
    weights: dict[str, torch.Tensor] = {}
    for path in sorted(set(files.values())):
        wanted = {name: shapes[name] for name, file in files.items() if file == path}
        weights |= {name: tensor.to(dtype) for name, tensor in _read(path, wanted)}
    model.load_state_dict(weights, assign=True)
    return model.eval()


def _shards(weights: dict[str, torch.Tensor]) -> dict[str, dict[str, torch.Tensor]]:
    """File name -> its weights, in the order of the model."""
    groups: list[dict[str, torch.Tensor]] = [{}]
    room = SHARD_BYTES
    for name, tensor in weights.items():
        if tensor.nbytes > room and groups[-1]:
            groups.append({})
            room = SHARD_BYTES
        groups[-1][name] = tensor
        room -= tensor.nbytes
    if len(groups) == 1:
        return {WEIGHTS: groups[0]}
    return {f"model-{n:05d}-of-{len(groups):05d}.safetensors": group for n, group in enumerate(groups, start=1)}


def _write(path: Path, weights: dict[str, torch.Tensor]) -> None:
    """Write a safetensors file; it appears only when whole."""
    temporary = path.with_name(f".{path.name}.tmp")
    on_cpu = {name: tensor.cpu().contiguous() for name, tensor in weights.items()}
    save_file(on_cpu, temporary, metadata={"format": "pt"})
    with open(temporary, "rb") as file:
        os.fsync(file.fileno())
    os.replace(temporary, path)


def _files_by_name(folder: Path) -> dict[str, Path]:
    """The file that each weight lies in; a single file comes first, as in transformers."""
    path, index = folder / WEIGHTS, folder / INDEX
    if path.is_file():
        with _opened(path) as file:
            return dict.fromkeys(file.keys(), path)
    if not index.is_file():
        raise HornbookError(f"There is no file {path}, nor {INDEX}.", REMEDY)
    try:
        names: dict[str, str] = json.loads(index.read_text())["weight_map"]
        files = {name: folder / file for name, file in names.items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise HornbookError(f"{index} is damaged ({type(error).__name__}: {error}).", REMEDY) from error
    if missing := sorted({path.name for path in files.values() if not path.is_file()}):
        raise HornbookError(
            f"{folder} is not complete: {', '.join(missing)} is missing, and {INDEX} names it.",
            "Download the folder again.",
        )
    return files


def _opened(path: Path) -> Any:
    try:
        return safe_open(path, "pt")
    except (OSError, SafetensorError) as error:  # safetensors checks the length of the file when it opens it
        raise HornbookError(f"{path} is damaged or cut short ({error}).", REMEDY) from error


def _read(path: Path, wanted: dict[str, tuple[int, ...]]) -> Iterator[tuple[str, torch.Tensor]]:
    """Weights of a file by name, each checked before it is read."""
    with _opened(path) as file:
        there = set(file.keys())
        for name, shape in wanted.items():
            if name not in there:
                raise HornbookError(f"{path} does not hold {name}, and {INDEX} says it does.", REMEDY)
            found = file.get_slice(name)
            if (has := tuple(found.get_shape())) != shape:
                raise HornbookError(
                    f"The files in {path.parent} do not belong together: for {name}, {path.name} has {has} "
                    f"and config.json asks for {shape}.",
                    REMEDY,
                )
            if found.get_dtype() not in _FLOATS:
                raise HornbookError(
                    f"Hornbook cannot run the model in {path.parent}: {name} is quantised ({found.get_dtype()}).",
                    "Use its unquantised weights.",
                )
            yield name, file.get_tensor(name)


def _check_names(folder: Path, found: set[str], wanted: set[str]) -> None:
    for name in sorted(found ^ wanted):
        have, ask = ("one", "nothing") if name in found else ("nothing", "one")
        raise HornbookError(
            f"The files in {folder} do not belong together: of {name}, there is {have} and config.json asks for {ask}.",
            REMEDY,
        )


def _check_tokenizer(folder: Path, config: ModelConfig) -> None:
    """A token without a row in the embedding would end in an error of the index, or worse."""
    try:
        tokenizer = json.loads((folder / "tokenizer.json").read_text())
        vocabulary = tokenizer["model"]["vocab"]
        ids = [*vocabulary.values()] if isinstance(vocabulary, dict) else [len(vocabulary) - 1]  # unigram: a list
        largest = max([*ids, *(token["id"] for token in tokenizer.get("added_tokens") or ())])
    except (OSError, ValueError, KeyError, TypeError):
        return  # none, or none that can be read: whoever needs it will say so
    if largest >= config.vocab_size:
        raise HornbookError(
            f"The tokenizer in {folder} has the id {largest}, and the model only {config.vocab_size} rows "
            "(vocab_size in config.json).",
            "Use the tokenizer that the model was trained with.",
        )
