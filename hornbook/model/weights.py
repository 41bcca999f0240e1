"""Weights in a folder as safetensors files, one or many, with the names that a model asks for or not at all.

Format: that of Hugging Face checkpoints. `model.safetensors` holds everything, or `model.safetensors.index.json` says
which file holds which weight.
"""

import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from hornbook.core.documents import atomic_write
from hornbook.core.errors import HornbookError
from hornbook.model.config_json import REMEDY, read_json

WEIGHTS = "model.safetensors"
INDEX = "model.safetensors.index.json"
SHARD_BYTES = 5 * 10**9  # more than this goes into several files, as transformers does
_FLOATS = {"F64", "F32", "F16", "BF16"}
_EMBEDDING, _HEAD = "model.embed_tokens.weight", "lm_head.weight"
_UNUSED = ".inv_freq"  # rotary frequencies that old versions of transformers have saved


def write_weights(weights: Mapping[str, torch.Tensor], folder: Path) -> None:
    """Write weights as one file, or above 5 GB as several and an index. A file appears only when it is whole."""
    shards = _shards({name: tensor.detach() for name, tensor in weights.items()})
    for file, part in shards.items():
        _write(folder / file, part)
    if len(shards) > 1:
        names = {name: file for file, part in shards.items() for name in part}
        size = sum(tensor.nbytes for tensor in weights.values())
        atomic_write(folder / INDEX, json.dumps({"metadata": {"total_size": size}, "weight_map": names}, indent=1))
    (folder / (WEIGHTS if len(shards) > 1 else INDEX)).unlink(missing_ok=True)  # of an older model in this place


def read_weights(
    folder: Path, shapes: Mapping[str, tuple[int, ...]], dtype: torch.dtype = torch.float32
) -> dict[str, torch.Tensor]:
    """The weights of a folder in `dtype`: those of `shapes`, all of them and no others.

    A head beside an embedding that `shapes` ties to it is passed over when the two are equal. Raises HornbookError
    when a file is missing or damaged, and when names, shapes or number types are not those asked for.
    """
    files = _files_by_name(folder)
    spare_head = files.pop(_HEAD, None) if _HEAD not in shapes else None
    _check_names(folder, set(files), set(shapes))
    weights: dict[str, torch.Tensor] = {}
    for path in sorted(set(files.values())):
        wanted = {name: shapes[name] for name, file in files.items() if file == path}
        weights |= {name: tensor.to(dtype) for name, tensor in _read(path, wanted)}
    if spare_head is not None:
        head = dict(_read(spare_head, {_HEAD: shapes[_EMBEDDING]}))[_HEAD]
        if not torch.equal(head.to(dtype), weights[_EMBEDDING]):
            raise HornbookError(
                f"The files in {folder} contradict each other: config.json says that the head is the embedding "
                f"(tie_word_embeddings), and {spare_head.name} holds a {_HEAD} that differs from it.",
                "Set tie_word_embeddings to false if the head is right.",
            )
    return weights


def _shards(weights: Mapping[str, torch.Tensor]) -> dict[str, dict[str, torch.Tensor]]:
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
            return {name: path for name in file.keys() if not name.endswith(_UNUSED)}  # noqa: SIM118 (not a dict)
    if not index.is_file():
        raise HornbookError(f"There is no file {path}, nor {INDEX}.", REMEDY)
    try:
        names: dict[str, str] = read_json(index)["weight_map"]
        files = {name: folder / file for name, file in names.items() if not name.endswith(_UNUSED)}
    except (KeyError, TypeError, AttributeError) as error:
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
            f"The files in {folder} do not belong together: of {name}, there is {have} and config.json asks for {ask}"
            f"{' (tie_word_embeddings is false)' if name == _HEAD else ''}.",
            REMEDY,
        )
