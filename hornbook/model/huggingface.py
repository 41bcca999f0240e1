"""A decoder as a Hugging Face folder, readable by `transformers.AutoModelForCausalLM`, and back."""

import json
from collections.abc import Sequence
from pathlib import Path

import torch

from hornbook.core.documents import atomic_write
from hornbook.core.errors import HornbookError
from hornbook.model.build import build
from hornbook.model.config import ModelConfig
from hornbook.model.config_json import describe, read_config
from hornbook.model.decoder import Decoder
from hornbook.model.weights import read_weights, write_weights


def save(model: Decoder, folder: Path, eos_token_ids: Sequence[int] = (), chat_template: str | None = None) -> None:
    """Write config.json, generation_config.json and model.safetensors, in the number type of the model.

    `eos_token_ids` are all tokens that end an answer, where that of the model is not the only one. Weights of more
    than 5 GB are divided over several files with an index. config.json comes last: a folder that has it is whole.
    Tokenizer files are for the caller to add. `chat_template` is Jinja, see `chat_template.py`. Raises HornbookError
    when no published architecture computes the model. transformers has no class for phi-3-small and reads all others.
    """
    config = model.config
    described = describe(config, str(model.head_weight.dtype).removeprefix("torch."))
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    write_weights(model.state_dict(), folder)
    ends = list(dict.fromkeys((config.eos_token_id, *eos_token_ids)))
    special = {
        "bos_token_id": config.bos_token_id,
        "eos_token_id": ends if len(ends) > 1 else ends[0],
        "pad_token_id": config.pad_token_id,
    }
    atomic_write(folder / "generation_config.json", json.dumps(special, indent=1))
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
    check_tokenizer(folder, config)
    with torch.device("meta"):  # names and shapes without memory
        model = build(config)
    shapes = {name: tuple(tensor.shape) for name, tensor in model.state_dict().items()}
    model.load_state_dict(read_weights(folder, shapes, dtype), assign=True)
    return model.eval()


def check_tokenizer(folder: Path, config: ModelConfig) -> None:
    """Raise HornbookError when the tokenizer of a folder has a token without a row in the embedding.

    Without this check it would end in an error of the index, or worse.
    """
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
