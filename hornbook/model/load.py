"""Open a model, in whichever of the known forms it comes."""

import json
from pathlib import Path

from tokenizers import Tokenizer, decoders, processors

from hornbook.core.errors import HornbookError
from hornbook.model import gguf_read, huggingface, llama_layout
from hornbook.model.decoder import Decoder
from hornbook.model.generate import load_tokenizer


def load_any(path: Path) -> tuple[Decoder, Tokenizer]:
    """The decoder, in float32 and ready to evaluate, and the tokenizer of a model.

    `path` is a GGUF file, a Hugging Face folder of a Phi model, or one of a Llama model. A tokenizer with a
    post-processor says by it how a text starts; texts of one without start with the BOS token. Raises
    HornbookError with the reason when the model is not there, is damaged, or is one that our decoder does not compute.
    """
    path = Path(path)
    if path.is_file():
        return gguf_read.load(path)
    if _model_type(path) != "llama":
        return huggingface.load(path), load_tokenizer(path)
    decoder, tokenizer = llama_layout.load(path), load_tokenizer(path)
    if not isinstance(tokenizer.decoder, decoders.ByteLevel):
        raise HornbookError(
            f"Hornbook cannot use the tokenizer in {path}: it is no byte-level BPE.",
            "Use a model that has one, such as SmolLM2.",
        )
    if (largest := max(tokenizer.get_vocab().values(), default=0)) >= decoder.config.vocab_size:
        raise HornbookError(
            f"The tokenizer in {path} has the id {largest}, and the model only {decoder.config.vocab_size} rows.",
            "Use the tokenizer that the model was trained with.",
        )
    if tokenizer.post_processor is None:  # then transformers puts nothing before a text
        tokenizer.post_processor = processors.TemplateProcessing(single="$A")
    return decoder, tokenizer


def _model_type(folder: Path) -> str | None:
    """What config.json says; None when it cannot be read, which is for the loader to explain."""
    try:
        return json.loads((folder / "config.json").read_text())["model_type"]
    except (OSError, ValueError, KeyError, TypeError):
        return None
