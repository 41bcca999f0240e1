"""Documents to token stores, with gigatoken where its ids equal those of tokenizers, else with tokenizers.

A document is text and nothing else: "<|endoftext|>" written in a document is encoded letter by letter, and
never becomes the token that separates documents.
"""

import json
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from tokenizers import Tokenizer

from hornbook.core.documents import count_rows, shards
from hornbook.core.engine import add_counters, workers
from hornbook.core.errors import HornbookError
from hornbook.core.progress import Progress
from hornbook.core.step import content_hash
from hornbook.tokenization.config import EncodeConfig
from hornbook.tokenization.shards import CORPUS, LESSONS, StoreWriter, store_folder
from hornbook.tokenization.train import END_OF_TEXT

# (texts) -> (token ids of all texts one after the other, number of tokens of each)
EncodeFunction = Callable[[Sequence[str]], tuple[np.ndarray, np.ndarray]]

# What encoders are known to disagree on: blanks, line ends, other scripts, digits, the separator itself.
HARD_TEXTS = (
    "",
    " ",
    "\n\n\t \r\n  x",
    f"a{END_OF_TEXT}b {END_OF_TEXT}\n",
    "naïve café — 漢字 かな 한국어 🙂👩‍👩‍👧 e\u0301 \u00a0\u2003\u3000",
    "x1 = 0x1F + 1_000_000e-7; y²³ ½ ٣٤",
    "it's we'll I'M they'Re 'tis don''t 's'd",
    "def f(a, *, b=None):\n    return a if b is None else {**a, 'k': b}\n",
    "\x00\x7f\ufeff\ufffd\U0010ffff",
    "a" * 3000 + " " * 300 + "\n" * 50,
)


def encode_step(inputs: dict[str, Path], out: Path, config: EncodeConfig) -> dict[str, Any]:
    """Encode `inputs["documents"]` with `inputs["tokenizer"]` into `out/corpus` and, if any, `out/lessons`.

    Lessons are the documents of kind "synthetic". Sources and kinds in `config.stores` get a store of their own.
    Raises HornbookError when there is no document. Counters: rows, text bytes, tokens and documents per store, and
    which encoder was used.
    """
    documents, folder = inputs["documents"], inputs["tokenizer"]
    paths = shards(documents)
    if not count_rows(documents):
        raise HornbookError(f"There is no document to encode in {documents}.", "Lower the arm's thresholds.")
    encode, encoder = fastest_encoder(folder, _sample(paths[0], config.check_documents))
    tokenizer, tokenizer_hash = open_tokenizer(folder), content_hash(folder / "tokenizer.json")
    bos_id = tokenizer.token_to_id(END_OF_TEXT)
    if bos_id is None:
        raise HornbookError(f"{folder} has no token {END_OF_TEXT}.", "Use a tokenizer made by Hornbook.")

    stores: dict[str, StoreWriter] = {}
    with ExitStack() as stack, Progress("encode", count_rows(documents)) as bar:
        for batch in _batches(paths, config.batch_documents):
            store = _store_of(batch, config.stores)
            for name in dict.fromkeys((CORPUS, LESSONS, *config.stores)):
                part = batch.filter(pc.equal(store, name))
                if name not in stores and (part.num_rows or name == CORPUS):
                    place = store_folder(out, name)
                    writer = StoreWriter(place, tokenizer.get_vocab_size(), bos_id, tokenizer_hash)
                    stores[name] = stack.enter_context(writer)
                if part.num_rows:
                    ids, lengths = encode(part["text"].to_pylist())
                    text_bytes = pc.sum(pc.binary_length(part["text"])).as_py()
                    stores[name].append(part["id"].to_pylist(), ids, lengths, text_bytes)
            bar.advance(batch.num_rows)
    counts = {
        name: {"tokens": store.tokens, "documents": store.documents, "bytes": store.bytes}
        for name, store in stores.items()
    }
    total = add_counters(counts.values())
    return {
        "rows_in": total["documents"],
        "rows_out": total["documents"],
        "bytes_in": total["bytes"],
        "bytes_out": total["bytes"],
        "tokens": total["tokens"],
        "encoder": encoder,
        "stores": counts,
    }


def _store_of(batch: pa.RecordBatch, names: Sequence[str]) -> pa.Array:
    """The store of each document: its source, its kind of lesson or its kind if they have one, else the usual two."""
    synthetic = pc.equal(batch["kind"], "synthetic")
    store = pc.if_else(synthetic, LESSONS, CORPUS)
    if not names:
        return store
    lesson = pa.array([json.loads(meta).get("kind", "") for meta in batch["meta"].to_pylist()], pa.string())
    for label in (batch["kind"], lesson, batch["source"]):
        store = pc.if_else(pc.is_in(label, value_set=pa.array(names, pa.string())), label, store)
    return store


def open_tokenizer(folder: Path) -> Tokenizer:
    """The tokenizer of a Hugging Face folder, set to read special tokens in a text as plain text.

    Raises HornbookError when tokenizer.json is missing or unreadable.
    """
    path = Path(folder) / "tokenizer.json"
    try:
        tokenizer = Tokenizer.from_file(str(path))
    except Exception as error:  # tokenizers raises bare Exception
        raise HornbookError(f"{path} is not a readable tokenizer ({error}).") from error
    tokenizer.encode_special_tokens = True
    tokenizer.no_padding()
    tokenizer.no_truncation()
    return tokenizer


def fastest_encoder(folder: Path, sample: Sequence[str]) -> tuple[EncodeFunction, str]:
    """gigatoken if its ids equal those of tokenizers on `sample` and on HARD_TEXTS, else tokenizers; and which.

    A fall-back is told on standard error.
    """
    reference = tokenizers_encoder(folder)
    try:
        encode = gigatoken_encoder(folder)
        texts = [*HARD_TEXTS, *sample]
        (ids, lengths), (wanted_ids, wanted_lengths) = encode(texts), reference(texts)
        if np.array_equal(lengths, wanted_lengths) and np.array_equal(ids, wanted_ids):
            return encode, "gigatoken"
        reason = "gives other ids than tokenizers for this tokenizer"
    except ImportError:
        reason = "is not installed"
    except Exception as error:  # whatever a fast path runs into, the slow one is right
        reason = f"failed ({error})"
    print(f"  gigatoken {reason}; encoding with tokenizers, which is slower.", file=sys.stderr)
    return reference, "tokenizers"


def gigatoken_encoder(folder: Path) -> EncodeFunction:
    """Encode with gigatoken."""
    import gigatoken

    described = json.loads((Path(folder) / "tokenizer.json").read_text())
    # gigatoken has no switch that makes special tokens plain text. One that is never declared is never seen.
    described["added_tokens"] = [token for token in described["added_tokens"] if not token["special"]]
    tokenizer = gigatoken.Tokenizer.from_json(json.dumps(described))
    parallel = workers() > 1

    def encode(texts: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
        layout = tokenizer.encode_batch(list(texts), parallel=parallel).layout
        offsets = np.asarray(layout.offsets.data)
        return np.asarray(layout.content.data)[offsets[0] : offsets[-1]], np.diff(offsets)

    return encode


def tokenizers_encoder(folder: Path) -> EncodeFunction:
    """Encode with tokenizers, the reference."""
    tokenizer = open_tokenizer(folder)
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "true" if workers() > 1 else "false")

    def encode(texts: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
        rows = [encoding.ids for encoding in tokenizer.encode_batch_fast(list(texts), add_special_tokens=False)]
        lengths = np.array([len(row) for row in rows], np.int64)
        return np.fromiter((token for row in rows for token in row), np.uint32, int(lengths.sum())), lengths

    return encode


def _batches(paths: list[Path], size: int) -> Iterator[pa.RecordBatch]:
    for path in paths:
        yield from pq.ParquetFile(path).iter_batches(size, columns=["id", "text", "kind", "source", "meta"])


def _sample(path: Path, count: int) -> list[str]:
    if not count:
        return []
    batches = pq.ParquetFile(path).iter_batches(count, columns=["text"])
    return next((batch["text"].to_pylist() for batch in batches), [])
