"""A token store: the documents of one collection as one long array of token ids in a memory-mapped file.

    tokens.bin       little-endian uint16, or uint32 for vocabularies above 65,536; every document follows its BOS
    boundaries.npy   int64 [documents + 1]: where each document (its BOS) starts; the last entry ends the file
    ids.txt          one document id a line, in the same order
    meta.json        dtype, tokens, documents, bytes (UTF-8 bytes of the texts), tokenizer (content hash)

`meta.json` is written last: a folder that has it is whole.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np

from hornbook.core.documents import atomic_write
from hornbook.core.errors import HornbookError

UINT16_VOCABULARY = 1 << 16


def token_dtype(vocab_size: int) -> np.dtype:
    """The type of `tokens.bin` for a vocabulary."""
    return np.dtype("<u2" if vocab_size <= UINT16_VOCABULARY else "<u4")


@dataclass(frozen=True)
class TokenStore:
    """A store opened for reading. `tokens` is mapped, not read; `len(store)` is the number of documents."""

    folder: Path
    tokens: np.ndarray
    boundaries: np.ndarray
    bytes: int
    meta: dict[str, Any]

    @classmethod
    def open(cls, folder: Path) -> "TokenStore":
        """Open a store. Raises HornbookError when there is none, or when its files do not belong together."""
        folder = Path(folder)
        try:
            meta = json.loads((folder / "meta.json").read_text())
            boundaries = np.load(folder / "boundaries.npy")
            dtype = np.dtype(meta["dtype"]).newbyteorder("<")
            size = (folder / "tokens.bin").stat().st_size
            # An empty file cannot be mapped.
            tokens = np.memmap(folder / "tokens.bin", dtype, "r") if size else np.empty(0, dtype)
        except (OSError, ValueError, KeyError) as error:
            raise HornbookError(
                f"There is no readable token store in {folder} ({error}).",
                "Delete the step's folder and run the recipe again.",
            ) from error
        if len(tokens) != meta["tokens"] or boundaries[-1] != meta["tokens"]:
            raise HornbookError(
                f"The token store {folder} is damaged: {meta['tokens']:,} tokens were written, "
                f"{len(tokens):,} are there.",
                "Delete the step's folder and run the recipe again.",
            )
        return cls(folder, tokens, boundaries, meta["bytes"], meta)

    def __len__(self) -> int:
        return len(self.boundaries) - 1

    def document(self, index: int) -> np.ndarray:
        """Token ids of one document, its BOS first."""
        return self.tokens[self.boundaries[index] : self.boundaries[index + 1]]

    def ids(self) -> list[str]:
        """The ids of the documents, in the order of the store."""
        return (self.folder / "ids.txt").read_text().splitlines()


class StoreWriter:
    """Write a token store batch by batch; use as a context manager. Only offsets and ids stay in memory."""

    def __init__(self, folder: Path, vocab_size: int, bos_id: int, tokenizer_hash: str) -> None:
        self.folder, self.bos_id, self.tokenizer_hash = folder, bos_id, tokenizer_hash
        self.dtype = token_dtype(vocab_size)
        self.tokens = self.bytes = self.documents = 0
        self._boundaries = [np.zeros(1, np.int64)]
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "meta.json").unlink(missing_ok=True)  # what an interrupted run left is not whole any more

    def __enter__(self) -> Self:
        self._tokens_file = (self.folder / "tokens.bin").open("wb")
        self._ids_file = (self.folder / "ids.txt").open("w")
        return self

    def append(self, ids: Sequence[str], tokens: np.ndarray, lengths: np.ndarray, text_bytes: int) -> None:
        """Add documents: their ids, their tokens one after the other without BOS, and how many each has."""
        ends = np.cumsum(lengths, dtype=np.int64) + np.arange(1, len(lengths) + 1)
        starts = ends - lengths - 1
        block = np.empty(len(tokens) + len(lengths), self.dtype)
        is_text = np.ones(len(block), bool)
        is_text[starts] = False
        block[starts] = self.bos_id
        block[is_text] = tokens
        self._tokens_file.write(block.tobytes())
        self._ids_file.writelines(f"{name}\n" for name in ids)
        self._boundaries.append(ends + self.tokens)
        self.tokens += len(block)
        self.documents += len(lengths)
        self.bytes += text_bytes

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._tokens_file.close()
        self._ids_file.close()
        if kind is not None:
            return
        np.save(self.folder / "boundaries.npy", np.concatenate(self._boundaries))
        meta = {
            "dtype": self.dtype.name,
            "tokens": self.tokens,
            "documents": self.documents,
            "bytes": self.bytes,
            "tokenizer": self.tokenizer_hash,
        }
        atomic_write(self.folder / "meta.json", json.dumps(meta, indent=1))
