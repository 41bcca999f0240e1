"""`hornbook complete`: continue a text with a model, as it is generated."""

import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TextIO

from tokenizers import Tokenizer

from hornbook.core.errors import HornbookError
from hornbook.model.decoder import Decoder
from hornbook.model.generate import encode_prompt, fitting_threads, generate, stream_text
from hornbook.model.load import load_any

DEFAULT_MODEL = Path("runs/laptop-python/models/final")


def complete(
    prompt: str,
    *,
    model: Path = DEFAULT_MODEL,
    max_new_tokens: int = 128,
    temperature: float = 0.2,
    top_k: int = 0,
    top_p: float = 0.95,
    seed: int = 0,
    out: TextIO | None = None,
) -> None:
    """Print the prompt and its continuation as it comes, then tokens per second on standard error.

    Raises HornbookError when there is no model that our decoder computes, and for prompts that do not fit into its
    context.
    """
    out = out or sys.stdout
    decoder, tokenizer = open_model(Path(model))
    ids = generate(
        decoder,
        encode_prompt(decoder.config, tokenizer, prompt),
        max_new_tokens=max_new_tokens,
        temperature=temperature,
        top_k=top_k,
        top_p=top_p,
        seed=seed,
        stop_ids={decoder.config.eos_token_id},
    )
    times = [time.perf_counter()]
    print(prompt, end="", flush=True, file=out)
    with fitting_threads(decoder):
        for text in stream_text(tokenizer, _timed(ids, times)):
            print(text, end="", flush=True, file=out)
    print(file=out)
    print(_speed(times), file=sys.stderr)


def open_model(path: Path) -> tuple[Decoder, Tokenizer]:
    """The decoder in float32 and the tokenizer of a Hugging Face folder or a GGUF file."""
    if not path.is_file() and not (path / "config.json").is_file():
        raise HornbookError(
            f"There is no model in {path}.",
            "Train one with `hornbook run recipes/laptop-python.yaml`, or name its folder or file with --model.",
        )
    return load_any(path)


def _timed(ids: Iterator[int], times: list[float]) -> Iterator[int]:
    """Pass the tokens on and note when each of them came."""
    for token in ids:
        times.append(time.perf_counter())
        yield token


def _speed(times: list[float]) -> str:
    """One line about the start and the time of every token. The first token is apart: it reads the prompt."""
    if len(times) < 3:
        return f"{len(times) - 1} tokens"
    rate = (len(times) - 2) / (times[-1] - times[1])
    return f"{len(times) - 1} tokens, the first after {times[1] - times[0]:.2f} s, then {rate:,.0f} tokens/s"
