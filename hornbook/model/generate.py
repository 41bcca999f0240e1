"""Continue a text: one row at a time, with a cache of keys and values, token by token.

Shapes in names: B rows (here 1), T positions, V vocabulary.
"""

import codecs
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import torch
from tokenizers import Tokenizer

from hornbook.core.errors import HornbookError
from hornbook.model.config import ModelConfig
from hornbook.model.decoder import Decoder, KVCache

# Below this size a step is dozens of tiny operations, and waking a second thread costs more than it brings.
ONE_THREAD_PARAMETERS = 20_000_000


@torch.inference_mode()
def generate(
    model: Decoder,
    ids: Sequence[int],
    *,
    max_new_tokens: int,
    temperature: float = 0.0,
    top_k: int = 0,
    top_p: float = 1.0,
    seed: int = 0,
    stop_ids: Collection[int] = (),
) -> Iterator[int]:
    """Yield the tokens that continue `ids`, at most `max_new_tokens`.

    Ends before a token of `stop_ids`, and when prompt and continuation fill the context of the model. At
    temperature 0 the most likely token is taken. Otherwise the token is drawn at `temperature` from the
    `top_k` most likely ones (0: all), then from the fewest that hold `top_p` of the probability; the same
    `seed` repeats the draws. Raises HornbookError when the prompt is empty or leaves no room.
    """
    context = model.config.max_position_embeddings
    if not 0 < len(ids) < context:
        raise HornbookError(
            f"The prompt has {len(ids)} tokens, and this model wants 1 to {context - 1}.",
            "Change the prompt.",
        )
    device = next(model.parameters()).device
    generator = torch.Generator(device).manual_seed(seed)
    cache = KVCache(model.config)
    ids_BT = torch.tensor([ids], device=device)
    for _ in range(min(max_new_tokens, context - len(ids))):
        logits_V = model(ids_BT, cache)[0, -1]
        token = sample(logits_V, temperature, top_k, top_p, generator)
        if token in stop_ids:
            return
        yield token
        ids_BT = torch.tensor([[token]], device=device)


@contextmanager
def fitting_threads(model: Decoder) -> Iterator[None]:
    """While the block lasts, torch uses as many threads as serve to generate with a model of this size."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1 if model.num_parameters() < ONE_THREAD_PARAMETERS else threads)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def sample(logits_V: torch.Tensor, temperature: float, top_k: int, top_p: float, generator: torch.Generator) -> int:
    """Draw one token; the filters act in the order of transformers: temperature, top-k, top-p."""
    if temperature == 0.0:
        return int(logits_V.argmax())
    logits_V = logits_V.float() / temperature
    ids_V = None
    if 0 < top_k < len(logits_V):
        logits_V, ids_V = logits_V.topk(top_k)  # sorted, best first
    elif top_p < 1.0:
        logits_V, ids_V = logits_V.sort(descending=True)
    p_V = logits_V.softmax(-1)
    if top_p < 1.0:
        keep_V = p_V.cumsum(-1) - p_V < top_p  # a token stays while those before it hold less than top_p
        keep_V[0] = True
        p_V = p_V * keep_V
    drawn = int(torch.multinomial(p_V, 1, generator=generator))
    return drawn if ids_V is None else int(ids_V[drawn])


def load_tokenizer(folder: Path) -> Tokenizer:
    """The tokenizer of a Hugging Face folder. Raises HornbookError when it is missing or unreadable."""
    try:
        return Tokenizer.from_file(str(Path(folder) / "tokenizer.json"))
    except Exception as error:  # tokenizers raises bare Exception
        raise HornbookError(f"Cannot read {folder}/tokenizer.json ({error}).") from error


def start_id(config: ModelConfig) -> int:
    """The token that every text starts with: the model's BOS, or its EOS where it has no BOS."""
    return config.bos_token_id if config.bos_token_id is not None else config.eos_token_id


def encode_prompt(config: ModelConfig, tokenizer: Tokenizer, prompt: str) -> list[int]:
    """Token ids of the start of a text.

    A tokenizer with a post-processor says itself how a text starts; with others, such as ours, it is the model's BOS.
    """
    if tokenizer.post_processor is not None:
        return tokenizer.encode(prompt).ids or [start_id(config)]
    return [start_id(config), *tokenizer.encode(prompt, add_special_tokens=False).ids]


def stream_text(tokenizer: Tokenizer, ids: Iterable[int]) -> Iterator[str]:
    """Decode tokens of a byte-level BPE as they come; a character is held back until its last byte is there.

    As in `tokenizer.decode`, special tokens and ids that the tokenizer has not (padding of the embedding) are
    silent, and bytes that are no UTF-8 become U+FFFD.
    """
    decoder = codecs.getincrementaldecoder("utf-8")("replace")
    added = tokenizer.get_added_tokens_decoder()
    for token in ids:
        if token in added:
            data = b"" if added[token].special else added[token].content.encode()
        else:
            data = bytes(_BYTES[character] for character in tokenizer.id_to_token(token) or "")
        if text := decoder.decode(data):
            yield text
    if text := decoder.decode(b"", final=True):
        yield text


def _byte_of_character() -> dict[str, int]:
    """GPT-2's alphabet: printable Latin-1 bytes stand for themselves, the others follow from U+0100 on."""
    printable = {*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)}
    others = [byte for byte in range(256) if byte not in printable]
    return {chr(byte): byte for byte in printable} | {chr(0x100 + n): byte for n, byte in enumerate(others)}


_BYTES = _byte_of_character()
