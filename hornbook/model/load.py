"""Open a model, in whichever of the known forms it comes, and what its files say about using it."""

import json
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer, decoders, processors

from hornbook.core.errors import HornbookError
from hornbook.model import gguf_read, huggingface, llama_layout
from hornbook.model.decoder import Decoder
from hornbook.model.gguf_header import GGUFFile
from hornbook.model.text import load_tokenizer


def load_any(path: Path) -> tuple[Decoder, Tokenizer]:
    """The decoder, in float32 and ready to evaluate, and the tokenizer of a model.

    `path` is a GGUF file, a Hugging Face folder of a Phi model, or one of a Llama model. A tokenizer with a
    post-processor says by it how a text starts; texts of one without start with the BOS token. Raises
    HornbookError with the reason when the model is not there, is damaged, or is one that our decoder does not compute.
    """
    path = Path(path)
    if path.is_file():
        return gguf_read.load(path)
    if _object(path / "config.json").get("model_type") != "llama":
        return huggingface.load(path), load_tokenizer(path)
    decoder, tokenizer = llama_layout.load(path), load_tokenizer(path)
    if not isinstance(tokenizer.decoder, decoders.ByteLevel):
        raise HornbookError(
            f"Hornbook cannot use the tokenizer in {path}: it is no byte-level BPE.",
            "Use a model that has one, such as SmolLM2.",
        )
    if tokenizer.post_processor is None:  # then transformers puts nothing before a text
        tokenizer.post_processor = processors.TemplateProcessing(single="$A")
    return decoder, tokenizer


def eos_token_ids(path: Path) -> tuple[int, ...]:
    """All tokens that end an answer of a model, the one of its config first; () where the files name none.

    A chat model has two or more: one ends a text, another a turn. Folders name them in config.json and
    generation_config.json, GGUF files as tokens that end a text, a turn and a message. Raises HornbookError for a
    file that is no GGUF file.
    """
    path = Path(path)
    if path.is_file():
        file = GGUFFile(path)
        found = [file.value(f"tokenizer.ggml.{name}_token_id") for name in ("eos", "eot", "eom")]
    else:
        found = []
        for name in ("config.json", "generation_config.json"):
            ids = _object(path / name).get("eos_token_id")
            found += ids if isinstance(ids, list) else [ids]
    return tuple(dict.fromkeys(id for id in found if isinstance(id, int) and id >= 0))


def chat_template(path: Path) -> str | None:
    """The Jinja template of the conversations that a model was tuned on, as it lies in its folder or GGUF file.

    Of several templates in tokenizer_config.json it is the one named `default`. None where there is none.
    """
    path = Path(path)
    if path.is_file():
        found = GGUFFile(path).value("tokenizer.chat_template")
    elif (file := path / "chat_template.jinja").is_file():
        found = file.read_text()
    else:
        found = _object(path / "tokenizer_config.json").get("chat_template")
        if isinstance(found, list):  # of {"name": ..., "template": ...}
            found = {entry["name"]: entry["template"] for entry in found}.get("default")
    return found if isinstance(found, str) else None


def _object(path: Path) -> dict[str, Any]:
    """The object in a JSON file; an empty one where it cannot be read, which is for the loader to explain."""
    try:
        found = json.loads(path.read_text())
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}
