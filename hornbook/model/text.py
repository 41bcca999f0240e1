"""Text to tokens and back, as it streams."""

import codecs
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from pathlib import Path

from tokenizers import Tokenizer

from hornbook.core.errors import HornbookError
from hornbook.model.config import ModelConfig
from hornbook.model.decoder import Decoder
from hornbook.model.generate import MAX_ROWS, generate_rows
from hornbook.model.sampling import SamplingOptions

End = Callable[[str], int | None]  # where a text ends, or None where it does not


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
    bytes_of, decode = _token_bytes(tokenizer), codecs.getincrementaldecoder("utf-8")("replace").decode
    for token in ids:
        if text := decode(bytes_of(token)):
            yield text
    if text := decode(b"", True):
        yield text


def generate_texts(
    model: Decoder,
    tokenizer: Tokenizer,
    prompts: Sequence[Sequence[int]],
    options: SamplingOptions | None = None,
    *,
    max_new_tokens: int,
    seeds: Sequence[int] | None = None,
    stop_ids: Collection[int] = (),
    stop: Sequence[str] = (),
    end_of: End = lambda text: None,
    max_rows: int = MAX_ROWS,
) -> Iterator[tuple[int, str]]:
    """Yield (number of a prompt, piece of its continuation) as the tokens come: `generate_rows` in text.

    A text ends before the first of the strings `stop`, or where `end_of` says of what is there so far (None: it goes
    on). What may turn out to be the start of a string in `stop` is held back.
    """
    bytes_of = _token_bytes(tokenizer)
    texts = [_Text(stop, end_of) for _ in prompts]

    def is_done(number: int, token: int) -> bool:
        texts[number].add(bytes_of(token))
        return texts[number].is_over

    rows = generate_rows(
        model,
        prompts,
        options,
        max_new_tokens=max_new_tokens,
        seeds=seeds,
        stop_ids=stop_ids,
        is_done=is_done,
        max_rows=max_rows,
    )
    for number, _ in rows:
        if piece := texts[number].take():
            yield number, piece
    for number, text in enumerate(texts):
        if piece := text.take(last=True):
            yield number, piece


class _Text:
    """The text of one row: what is there, what of it may be told."""

    def __init__(self, stop: Sequence[str], end_of: End) -> None:
        self.is_over = False
        self._stop, self._end_of = stop, end_of
        self._decode = codecs.getincrementaldecoder("utf-8")("replace").decode
        self._text, self._told = "", 0

    def add(self, data: bytes, last: bool = False) -> None:
        start = len(self._text)
        self._text += self._decode(data, last)
        ends = [self._text.find(string, max(0, start - len(string) + 1)) for string in self._stop]
        ends = [at for at in (*ends, self._end_of(self._text)) if at is not None and at >= 0]
        if ends:
            self._text, self.is_over = self._text[: min(ends)], True

    def take(self, last: bool = False) -> str:
        """What was not told yet; before the last, without what a string of `stop` may begin with."""
        if last and not self.is_over:
            self.add(b"", last=True)
        sure = len(self._text)
        if not last and not self.is_over:
            sure -= max((_overlap(self._text, string) for string in self._stop), default=0)
        piece, self._told = self._text[self._told : sure], max(sure, self._told)
        return piece


def _overlap(text: str, string: str) -> int:
    """Length of the longest end of `text` that `string` goes on from."""
    return next((n for n in range(min(len(string) - 1, len(text)), 0, -1) if text.endswith(string[:n])), 0)


def _token_bytes(tokenizer: Tokenizer) -> Callable[[int], bytes]:
    """What each token of a byte-level BPE adds to a text."""
    added = tokenizer.get_added_tokens_decoder()

    def bytes_of(token: int) -> bytes:
        if token in added:
            return b"" if added[token].special else added[token].content.encode()
        return bytes(_BYTES[character] for character in tokenizer.id_to_token(token) or "")

    return bytes_of


def _byte_of_character() -> dict[str, int]:
    """GPT-2's alphabet: printable Latin-1 bytes stand for themselves, the others follow from U+0100 on."""
    printable = {*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)}
    others = [byte for byte in range(256) if byte not in printable]
    return {chr(byte): byte for byte in printable} | {chr(0x100 + n): byte for n, byte in enumerate(others)}


_BYTES = _byte_of_character()
