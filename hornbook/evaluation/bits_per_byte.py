"""Bits per byte: how well a model predicts texts, in a unit that does not depend on its tokenizer.

The prompt and the text are tokenised apart, and their tokens follow each other. This stream is cut into
consecutive windows of (context - 1) tokens; each starts afresh with the model's BOS token (EOS where there is
none). Every token of the text is predicted, tokens of the prompt only condition. The bits of all texts are
summed and divided by their UTF-8 bytes.

Shapes in names: N scored tokens.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import torch
from tokenizers import Tokenizer

from hornbook.core.documents import write_table
from hornbook.core.errors import HornbookError
from hornbook.core.progress import Progress
from hornbook.evaluation.config import BitsConfig
from hornbook.evaluation.items import Item, read_items
from hornbook.evaluation.models import models_by_budget
from hornbook.model import huggingface
from hornbook.model.decoder import Decoder
from hornbook.model.score import logprobs_of_batch
from hornbook.model.text import start_id
from hornbook.tokenization.encode import open_tokenizer
from hornbook.training.machine import machine, read_choices

BATCH_TOKENS = 2048  # what a layer makes of so many stays in the cache
BITS = pa.schema(
    [
        ("arm", pa.string()),
        ("budget", pa.int64()),
        ("seed", pa.int64()),
        ("parameters", pa.int64()),  # of the model, a tied head once
        ("set", pa.string()),
        ("id", pa.string()),
        ("bits", pa.float64()),
        ("bytes", pa.int64()),
    ]
)


@dataclass(frozen=True)
class _Window:
    ids: tuple[int, ...]  # BOS and at most context - 1 tokens
    first: int  # position of the first token that is predicted; 1 unless the prompt reaches into the window
    item: int


def bits(
    model: Decoder,
    tokenizer: Tokenizer,
    items: Sequence[Item],
    context: int,
    batch: int = BATCH_TOKENS,
    advance: Callable[[float], None] = lambda share: None,
) -> tuple[np.ndarray, np.ndarray]:
    """Bits (float64) and UTF-8 bytes (int64) of every item's text.

    `context` is the number of positions of a window, BOS included; `batch` the number of positions computed
    at a time. The order of the items has no bearing on their bits. `advance` is told the items done,
    in fractions. On a CPU several batches go side by side, one on each of torch's threads: small operations gain
    little from a second one.
    Raises HornbookError when the tokenizer has tokens that the model does not know.
    """
    if context < 2:
        raise HornbookError(f"A context of {context} has no room for a token after BOS.", "Use at least 2.")
    if tokenizer.get_vocab_size() > model.config.vocab_size:
        raise HornbookError(
            f"The tokenizer has {tokenizer.get_vocab_size():,} tokens, the model {model.config.vocab_size:,}.",
            "Use the tokenizer that the model was trained with.",
        )
    windows = _windows(tokenizer, items, start_id(model.config), context)
    total = sum(len(window.ids) for window in windows)
    total_bits = np.zeros(len(items))
    groups = list(_batches(windows, batch))
    threads = torch.get_num_threads() if model.head_weight.device.type == "cpu" else 1
    with ThreadPoolExecutor(threads, initializer=torch.set_num_threads, initargs=(1,)) as pool:
        for group, (nats, lengths) in zip(groups, pool.map(partial(_nats, model), groups), strict=True):
            owners = np.repeat([window.item for window in group], lengths)
            total_bits += np.bincount(owners, weights=nats.double().numpy(), minlength=len(items)) / math.log(2)
            advance(len(items) * sum(len(window.ids) for window in group) / total)
    return total_bits, np.array([len(item.text.encode()) for item in items], np.int64)


def bpb(model_folder: Path, file: Path, field: str = "text", prompt_field: str | None = None) -> dict[str, Any]:
    """Bits per byte of a model folder on the texts of a JSONL file: `bpb`, `bits`, `bytes`, `texts`.

    Raises HornbookError when there is no model, when a line is not what was promised, and when all texts are
    empty.
    """
    model, tokenizer = _open(Path(model_folder))
    items = read_items(Path(file), field, prompt_field)
    if not any(item.text for item in items):
        raise HornbookError(f"There is no text in {file}.", f"Give every line a {field!r} that is not empty.")
    context = model.config.max_position_embeddings
    with Progress("bits per byte", len(items)) as bar:
        item_bits, item_bytes = bits(model, tokenizer, items, context, advance=bar.advance)
    total_bits, total_bytes = float(item_bits.sum()), int(item_bytes.sum())
    return {"bpb": total_bits / total_bytes, "bits": total_bits, "bytes": total_bytes, "texts": len(items)}


def bits_step(inputs: dict[str, Path], out: Path, config: BitsConfig) -> dict[str, Any]:
    """Measure every budget of `inputs["model"]` on the JSONL sets of `sets` and `held_out`; write bits.parquet.

    The models compute as they did in training: in the number type and on the device of `inputs["probe"]`.
    Counters: `bits_per_byte` by set and budget. Raises HornbookError when no model or no set is there.
    """
    models = models_by_budget(inputs["model"])
    sets = _read_sets([path for name, path in sorted(inputs.items()) if name not in ("model", "probe")], config.sets)
    choices = read_choices(inputs["probe"])

    tables = []
    per_byte: dict[str, dict[str, float]] = {name: {} for name in sets}
    total = len(models) * sum(map(len, sets.values()))
    with machine(choices), Progress(f"bits per byte {config.arm}", total) as bar:
        for budget, folder in models.items():
            model, tokenizer = _open(folder)
            model.to(choices.device, getattr(torch, choices.dtype))
            context = model.config.max_position_embeddings
            for name, items in sets.items():
                item_bits, item_bytes = bits(model, tokenizer, items, context, config.batch_tokens, bar.advance)
                per_byte[name][str(budget)] = float(item_bits.sum() / item_bytes.sum())
                about = (config.arm, budget, config.seed, model.num_parameters())
                tables.append(_table(about, name, items, item_bits, item_bytes))
    table = pa.concat_tables(tables)
    write_table(table, out / "bits.parquet")
    return {"rows_out": table.num_rows, "bits_per_byte": per_byte, "models": len(models)}


def _open(folder: Path) -> tuple[Decoder, Tokenizer]:
    return huggingface.load(folder), open_tokenizer(folder)


def _streams(tokenizer: Tokenizer, items: Sequence[Item]) -> Iterator[tuple[list[int], list[int]]]:
    """Token ids of the prompt and of the text of every item."""
    for column in zip(
        tokenizer.encode_batch_fast([item.prompt for item in items], add_special_tokens=False),
        tokenizer.encode_batch_fast([item.text for item in items], add_special_tokens=False),
        strict=True,
    ):
        yield column[0].ids, column[1].ids


def _windows(tokenizer: Tokenizer, items: Sequence[Item], bos: int, context: int) -> list[_Window]:
    """All windows with something to predict."""
    windows = []
    for item, (prompt, text) in enumerate(_streams(tokenizer, items)):
        stream = prompt + text
        for start in range(0, len(stream), context - 1):
            ids = (bos, *stream[start : start + context - 1])
            first = max(len(prompt) - start, 0) + 1
            if first < len(ids):
                windows.append(_Window(ids, first, item))
    return windows


def _batches(windows: list[_Window], positions: int) -> Iterator[list[_Window]]:
    """Windows of similar length together. Sorting by content too makes batches independent of the items' order."""
    batch: list[_Window] = []
    for window in sorted(windows, key=lambda window: (len(window.ids), window.ids, window.first)):
        if batch and (len(batch) + 1) * len(window.ids) > positions:
            yield batch
            batch = []
        batch.append(window)
    if batch:
        yield batch


def _nats(model: Decoder, group: list[_Window]) -> tuple[torch.Tensor, list[int]]:
    """Negative log-likelihood of the predicted tokens [N], window after window, and how many each has."""
    logprobs_N = logprobs_of_batch(model, [window.ids for window in group], [window.first for window in group])
    return -logprobs_N, [len(window.ids) - window.first for window in group]


def _read_sets(folders: Sequence[Path], wanted: Sequence[str]) -> dict[str, list[Item]]:
    paths = {path.stem: path for folder in folders for path in sorted(folder.glob("*.jsonl"))}
    missing = [name for name in wanted if name not in paths]
    if missing or not paths:
        raise HornbookError(
            f"There is no evaluation set {', '.join(missing) or 'at all'}.", f"There are: {', '.join(paths)}."
        )
    return {
        name: read_items(path, prompt_field="prompt") for name, path in paths.items() if not wanted or name in wanted
    }


def _table(
    about: tuple[str, int, int, int], name: str, items: list[Item], item_bits: np.ndarray, item_bytes: np.ndarray
) -> pa.Table:
    """Rows of a set; `about`: arm, budget, seed, parameters."""
    same = [[value] * len(items) for value in (*about, name)]
    return pa.table([*same, [item.id for item in items], item_bits, item_bytes], schema=BITS)
