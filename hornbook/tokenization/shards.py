"""A token store: the documents of one collection as one long array of token ids in a memory-mapped file.

    tokens.bin       little-endian uint16, or uint32 for vocabularies above 65,536; every document follows its BOS
    boundaries.bin   int64 [documents + 1]: where each document (its BOS) starts; the last entry ends the file
    ids.bin          the document ids, 16 bytes each, in the same order
    meta.json        dtype, bos (its token id), tokens, documents, bytes (UTF-8 bytes of the texts), tokenizer (content
                     hash), digest (of all tokens, boundaries and ids)

All but `meta.json` is mapped, so a store opens at once whatever its size. `meta.json` is written last: a folder that
has it is whole.
"""

import hashlib
import json
import mmap
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.parse import quote

import numpy as np

from hornbook.core.documents import atomic_write
from hornbook.core.errors import HornbookError

CORPUS, LESSONS = "corpus", "lessons"  # stores of found passages, and of written ones
UINT16_VOCABULARY = 1 << 16
CHECKED_BYTES = 1 << 28  # stores up to this size are read whole and compared with their digest before a training
_FILES = ("tokens.bin", "boundaries.bin", "ids.bin")
_REMEDY = "Delete the step's folder and run the recipe again."


def token_dtype(vocab_size: int) -> np.dtype:
    """The type of `tokens.bin` for a vocabulary."""
    return np.dtype("<u2" if vocab_size <= UINT16_VOCABULARY else "<u4")


def store_folder(tokens: Path, name: str) -> Path:
    """Where the store of a source lies; characters that file systems dislike are written as in a URL."""
    return Path(tokens) / quote(name, safe=" ")


@dataclass(frozen=True)
class TokenStore:
    """A store opened for reading; its arrays are mapped, not read. `len(store)` is the number of documents."""

    folder: Path
    tokens: np.ndarray
    boundaries: np.ndarray  # int64 [documents + 1]
    id_words: np.ndarray  # uint64 [documents, 2]: the 16 bytes of each id
    meta: dict[str, Any]

    @classmethod
    def open(cls, folder: Path) -> "TokenStore":
        """Open a store. Raises HornbookError when there is none, or when its files do not belong together."""
        folder = Path(folder)
        try:
            meta = json.loads((folder / "meta.json").read_text())
            dtype = np.dtype(meta["dtype"]).newbyteorder("<")
            sizes = {name: (folder / name).stat().st_size for name in _FILES}
            tokens, boundaries, ids = (
                _mapped(folder / name, kind) for name, kind in zip(_FILES, (dtype, "<i8", "<u8"), strict=True)
            )
            wanted = (meta["tokens"] * dtype.itemsize, 8 * (meta["documents"] + 1), 16 * meta["documents"])
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise HornbookError(f"There is no readable token store in {folder} ({error}).", _REMEDY) from error
        if len(tokens) and hasattr(mmap, "MADV_RANDOM"):
            # Documents are read in a shuffled order: what the system would read ahead is never wanted.
            tokens._mmap.madvise(mmap.MADV_RANDOM)  # type: ignore[attr-defined]
        if tuple(sizes.values()) != wanted or boundaries[-1] != meta["tokens"]:
            raise HornbookError(
                f"The token store {folder} is damaged: {meta['tokens']:,} tokens were written, {len(tokens):,} are "
                "there, or their boundaries and ids do not fit.",
                _REMEDY,
            )
        return cls(folder, tokens, boundaries, ids.reshape(-1, 2), meta)

    def __len__(self) -> int:
        return len(self.boundaries) - 1

    @property
    def bytes(self) -> int:
        """UTF-8 bytes of the texts."""
        return int(self.meta["bytes"])

    def document(self, index: int) -> np.ndarray:
        """Token ids of one document, its BOS first."""
        return self.tokens[self.boundaries[index] : self.boundaries[index + 1]]

    def ids(self) -> list[str]:
        """The ids of the documents, in the order of the store."""
        digits = self.id_words.tobytes().hex()
        return [digits[i : i + 32] for i in range(0, len(digits), 32)]

    def check(self) -> None:
        """Read everything and compare it with the digest. Raises HornbookError when a byte has changed."""
        digests = [hashlib.blake2b(digest_size=16) for _ in _FILES]
        for name, digest in zip(_FILES, digests, strict=True):
            for block in _blocks(self.folder / name):
                digest.update(block)
        if _together(digests) != self.meta["digest"]:
            raise HornbookError(f"The token store {self.folder} has changed since it was written.", _REMEDY)


class StoreWriter:
    """Write a token store batch by batch; use as a context manager. Nothing stays in memory."""

    def __init__(self, folder: Path, vocab_size: int, bos_id: int, tokenizer_hash: str) -> None:
        self.folder, self.bos_id, self.tokenizer_hash = folder, bos_id, tokenizer_hash
        self.dtype = token_dtype(vocab_size)
        self.tokens = self.bytes = self.documents = 0
        self._digests = [hashlib.blake2b(digest_size=16) for _ in _FILES]
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "meta.json").unlink(missing_ok=True)  # what an interrupted run left is not whole any more

    def __enter__(self) -> Self:
        self._files = [(self.folder / name).open("wb") for name in _FILES]
        self._write(b"", np.zeros(1, "<i8").tobytes(), b"")
        return self

    def append(self, ids: Sequence[str], tokens: np.ndarray, lengths: np.ndarray, text_bytes: int) -> None:
        """Add documents: their ids, their tokens one after the other without BOS, and how many each has."""
        ends = np.cumsum(lengths, dtype="<i8") + np.arange(1, len(lengths) + 1)
        starts = ends - lengths - 1
        block = np.empty(len(tokens) + len(lengths), self.dtype)
        is_text = np.ones(len(block), bool)
        is_text[starts] = False
        block[starts] = self.bos_id
        block[is_text] = tokens
        self._write(block.tobytes(), (ends + self.tokens).astype("<i8").tobytes(), bytes.fromhex("".join(ids)))
        self.tokens += len(block)
        self.documents += len(lengths)
        self.bytes += text_bytes

    def _write(self, *parts: bytes) -> None:
        for file, digest, part in zip(self._files, self._digests, parts, strict=True):
            file.write(part)
            digest.update(part)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for file in self._files:
            file.close()
        if kind is not None:
            return
        meta = {
            "dtype": self.dtype.name,
            "bos": self.bos_id,
            "tokens": self.tokens,
            "documents": self.documents,
            "bytes": self.bytes,
            "tokenizer": self.tokenizer_hash,
            "digest": _together(self._digests),
        }
        atomic_write(self.folder / "meta.json", json.dumps(meta, indent=1))


def _mapped(path: Path, dtype: np.dtype | str) -> np.ndarray:
    """A file as an array that is read where it is looked at; an empty file cannot be mapped."""
    return np.memmap(path, dtype, "r") if path.stat().st_size else np.empty(0, dtype)


def _blocks(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while block := file.read(1 << 22):
            yield block


def _together(digests: Sequence["hashlib.blake2b"]) -> str:
    return hashlib.blake2b(b"".join(digest.digest() for digest in digests), digest_size=16).hexdigest()
