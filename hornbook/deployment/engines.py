"""A model that answers text with text, computed by our decoder or by llama.cpp, with the same sampling options."""

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, Protocol

import torch
from tokenizers import Tokenizer

from hornbook.core.errors import HornbookError
from hornbook.model.decoder import Decoder
from hornbook.model.gguf_header import GGUFFile
from hornbook.model.gguf_tokenizer import read_tokenizer
from hornbook.model.load import eos_token_ids, load_any
from hornbook.model.prepare import prepared
from hornbook.model.sampling import SamplingOptions
from hornbook.model.text import encode_prompt, generate_texts
from hornbook.services.llama_server import LlamaServer, serve

# Room that llama.cpp gets: it takes all memory for it at the start, and more than this makes it choose LongRoPE's long
# factors also for short texts.
LLAMA_CONTEXT = 4096
EngineName = Literal["hornbook", "llama.cpp"]


@dataclass(frozen=True)
class Ask:
    """How a text is continued: at most `max_new_tokens`, ending before the first of the strings `stop`.

    `is_whole`: the prompt is complete as it is, and the token that texts start with is not put before it.
    """

    max_new_tokens: int = 128
    sampling: SamplingOptions = field(default_factory=SamplingOptions)
    seed: int = 0
    stop: tuple[str, ...] = ()
    is_whole: bool = False


class Engine(Protocol):
    """A model that is open. `context` is the number of tokens that prompt and answer have room for together."""

    @property
    def context(self) -> int: ...

    @property
    def special_tokens(self) -> dict[str, str | None]:
        """`bos_token` and `eos_token`, for chat templates."""

    def encode(self, prompt: str, ask: Ask) -> list[int]:
        """Token ids of a prompt. Special tokens in it are recognised."""

    def stream(self, prompt: str, ask: Ask) -> Iterator[str]:
        """The continuation of a prompt, piece by piece."""


@dataclass(frozen=True)
class OurEngine:
    """Our decoder."""

    model: Decoder
    tokenizer: Tokenizer
    stop_ids: frozenset[int]

    @property
    def context(self) -> int:
        return self.model.config.max_position_embeddings

    @property
    def special_tokens(self) -> dict[str, str | None]:
        config = self.model.config
        bos = config.bos_token_id
        return {
            "bos_token": None if bos is None else self.tokenizer.id_to_token(bos),
            "eos_token": self.tokenizer.id_to_token(config.eos_token_id),
        }

    def encode(self, prompt: str, ask: Ask) -> list[int]:
        if ask.is_whole:
            return self.tokenizer.encode(prompt, add_special_tokens=False).ids
        return encode_prompt(self.model.config, self.tokenizer, prompt)

    def stream(self, prompt: str, ask: Ask) -> Iterator[str]:
        for _, piece in generate_texts(
            self.model,
            self.tokenizer,
            [self.encode(prompt, ask)],
            ask.sampling,
            max_new_tokens=ask.max_new_tokens,
            seeds=[ask.seed],
            stop_ids=self.stop_ids,
            stop=ask.stop,
        ):
            yield piece


@dataclass(frozen=True)
class LlamaEngine:
    """llama.cpp."""

    server: LlamaServer
    context: int
    special_tokens: dict[str, str | None]
    starts_with: tuple[int, ...]  # tokens before every text that llama.cpp does not put there itself

    def encode(self, prompt: str, ask: Ask) -> list[int]:
        if ask.is_whole:
            return self.server.tokenize(prompt, parse_special=True)
        return [*self.starts_with, *self.server.tokenize(prompt, parse_special=True, add_special=True)]

    def stream(self, prompt: str, ask: Ask) -> Iterator[str]:
        options = ask.sampling
        return self.server.stream(
            self.encode(prompt, ask),
            n_predict=ask.max_new_tokens,
            temperature=options.temperature,
            top_k=options.top_k,
            top_p=options.top_p,
            min_p=options.min_p,
            repeat_penalty=options.repetition_penalty,
            seed=ask.seed,
            stop=ask.stop,
        )


@contextmanager
def open_engine(path: Path, name: EngineName | None = None) -> Iterator[Engine]:
    """A model while the block lasts: a Hugging Face folder or a GGUF file.

    Without a name it is our decoder, or llama.cpp for a GGUF file that our decoder does not compute; then a line on
    standard error says why. Raises HornbookError when there is no model, or when the engine cannot run it.
    """
    path = Path(path)
    _check_there(path)
    if name == "llama.cpp" and path.is_dir():
        raise HornbookError(
            f"llama.cpp runs GGUF files, and {path} is a folder.",
            "Name a GGUF file of the model, such as the final-F16.gguf of a run, or use `--engine hornbook`.",
        )
    ours = None
    if name != "llama.cpp":
        try:
            ours = _open_ours(path)
        except HornbookError as error:
            if name == "hornbook" or path.is_dir():
                raise
            GGUFFile(path)  # what is no GGUF file is none for llama.cpp either
            print(f"hornbook: {error.problem} llama.cpp runs it instead.", file=sys.stderr)
    if ours is not None:
        with prepared(ours.model):
            yield ours
    else:
        file = GGUFFile(path)
        context = min(file.integer(f"{file.text('general.architecture')}.context_length"), LLAMA_CONTEXT)
        with serve(path, context=context, threads=torch.get_num_threads()) as server:
            yield _llama(file, context, server)


def open_model(path: Path) -> tuple[Decoder, Tokenizer]:
    """The decoder in float32 and the tokenizer of a Hugging Face folder or a GGUF file."""
    _check_there(path)
    return load_any(path)


def _check_there(path: Path) -> None:
    if not path.is_file() and not (path / "config.json").is_file():
        raise HornbookError(
            f"There is no model in {path}.",
            "Train one with `hornbook run recipes/laptop-python.yaml`, or name its folder or file.",
        )


def _open_ours(path: Path) -> OurEngine:
    model, tokenizer = load_any(path)
    return OurEngine(model, tokenizer, frozenset((*eos_token_ids(path), model.config.eos_token_id)))


def _llama(file: GGUFFile, context: int, server: LlamaServer) -> LlamaEngine:
    tokens: Sequence[str] = file.items("tokenizer.ggml.tokens", str)
    ids = {kind: file.value(f"tokenizer.ggml.{kind}_token_id") for kind in ("bos", "eos")}
    special = {f"{kind}_token": None if id is None else tokens[id] for kind, id in ids.items()}
    return LlamaEngine(server, context, special, _start(file, ids))


def _start(file: GGUFFile, ids: dict[str, int | None]) -> tuple[int, ...]:
    """What our decoder starts a text with and llama.cpp does not: files of ours tell it to put nothing there."""
    adds = file.value("tokenizer.ggml.add_bos_token")
    if adds is None or adds:
        return ()
    try:
        if read_tokenizer(file).post_processor is not None:
            return ()
    except HornbookError:
        return ()
    start = ids["bos"] if ids["bos"] is not None else ids["eos"]
    return () if start is None else (start,)
