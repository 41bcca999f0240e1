"""Continue token rows: many at a time, of any length, each as if it were alone.

Every row has its own random numbers. Rows that are done leave the batch, and waiting ones take their place. Prompts of
similar length are read together.

Shapes in names: B rows, T positions, V vocabulary.
"""

import random
from collections import deque
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, field

import torch

from hornbook.core.errors import HornbookError
from hornbook.model.decoder import Decoder
from hornbook.model.kv_cache import KVCache
from hornbook.model.sampling import SamplingOptions, choose

MAX_ROWS = 16
READ_TOKENS = 8192  # positions of prompts that are read at a time
SHORT = 64  # padding of so many positions costs less than another pass over the weights


@dataclass(eq=False)
class _Row:
    number: int
    ids: list[int]  # of the prompt and of what was generated
    left: int  # tokens that may still come
    draws: random.Random = field(repr=False)


def generate(
    model: Decoder,
    ids: Sequence[int],
    *,
    max_new_tokens: int,
    temperature: float = 0.0,
    top_k: int = 0,
    top_p: float = 1.0,
    min_p: float = 0.0,
    repetition_penalty: float = 1.0,
    seed: int = 0,
    stop_ids: Collection[int] = (),
) -> Iterator[int]:
    """Yield the tokens that continue one prompt: `generate_rows` for a single row."""
    options = SamplingOptions(temperature, top_k, top_p, min_p, repetition_penalty)
    rows = generate_rows(model, [ids], options, max_new_tokens=max_new_tokens, seeds=[seed], stop_ids=stop_ids)
    for _, token in rows:
        yield token


@torch.inference_mode()
def generate_rows(
    model: Decoder,
    prompts: Sequence[Sequence[int]],
    options: SamplingOptions | None = None,
    *,
    max_new_tokens: int | Sequence[int],
    seeds: Sequence[int] | None = None,
    stop_ids: Collection[int] = (),
    is_done: Callable[[int, int], bool] = lambda row, token: False,
    max_rows: int = MAX_ROWS,
) -> Iterator[tuple[int, int]]:
    """Yield (number of a prompt, token) as the tokens come, at most `max_new_tokens` of each row (or of all).

    A row ends before a token of `stop_ids`, after a token for which `is_done(number, token)` is true, and where prompt
    and continuation fill the context of the model. The same seed repeats a row's draws, whatever lies beside it in the
    batch; `seeds` are 0, 1, 2 ... unless given. At most `max_rows` rows are computed at a time. Raises HornbookError
    when a prompt is empty or leaves no room.
    """
    options = options or SamplingOptions()
    context = model.config.max_position_embeddings
    for ids in prompts:
        if not 0 < len(ids) < context:
            raise HornbookError(
                f"The prompt has {len(ids)} tokens, and this model wants 1 to {context - 1}.", "Change the prompt."
            )
    limits = [max_new_tokens] * len(prompts) if isinstance(max_new_tokens, int) else max_new_tokens
    rows = [
        _Row(number, list(ids), min(limit, context - len(ids)), random.Random(seed))
        for number, (ids, limit, seed) in enumerate(
            zip(prompts, limits, range(len(prompts)) if seeds is None else seeds, strict=True)
        )
        if limit > 0
    ]
    batch = _Batch(model, options, max((len(row.ids) + row.left for row in rows), default=0))
    waiting = deque(sorted(rows, key=lambda row: len(row.ids)))
    max_rows = max_rows if model.ragged else 1
    while waiting or batch.rows:
        entering = batch.pop_outgrown()
        while waiting and len(batch.rows) + len(entering) < max_rows:
            entering.append(waiting.popleft())
        tokens = batch.step(entering)
        done = []
        for row, token in zip(batch.rows, tokens, strict=True):
            if token in stop_ids:
                done.append(row)
                continue
            row.ids.append(token)
            row.left -= 1
            if is_done(row.number, token) or not row.left:
                done.append(row)
            yield row.number, token
        for row in done:
            batch.remove(row)


class _Batch:
    """The rows that are computed together, with their cache."""

    def __init__(self, model: Decoder, options: SamplingOptions, limit: int) -> None:
        self.rows: list[_Row] = []
        self._model, self._options, self._limit = model, options, limit
        self._device = model.head_weight.device
        self._cache = self._new_cache()
        self._seen_BV: torch.Tensor | None = None  # tokens that each row has, if there is a penalty for them

    def step(self, entering: list[_Row]) -> list[int]:
        """Read prompts that enter, and choose the next token of every row."""
        logits = []
        if self.rows:
            last_B1 = torch.tensor([row.ids[-1:] for row in self.rows], device=self._device)
            logits.append(self._model.head(self._model.hidden(last_B1, self._cache)[:, -1]))
            if self._seen_BV is not None:
                self._seen_BV.scatter_(1, last_B1, True)
        for group in _groups(entering):
            logits.append(self._read(group))
        logits_BV = logits[0] if len(logits) == 1 else torch.cat(logits)
        draws = [row.draws.random() for row in self.rows] if self._options.temperature else []
        return choose(logits_BV, self._options, draws, self._seen_BV)

    def pop_outgrown(self) -> list[_Row]:
        """Take out the rows whose keys are of no use for their next token: LongRoPE changes its factors there."""
        rope = self._model.model.rope
        outgrown = [row for row in self.rows if rope.outgrows(len(row.ids) - 1, len(row.ids))]
        for row in outgrown:
            self.remove(row)
        return outgrown

    def remove(self, row: _Row) -> None:
        """Take a row out; the last one takes its place."""
        place, last = self.rows.index(row), len(self.rows) - 1
        self._cache.leave(place)
        if self._seen_BV is not None:
            self._seen_BV[place] = self._seen_BV[last]
            self._seen_BV = self._seen_BV[:last]
        self.rows[place] = self.rows[last]
        self.rows.pop()

    def _read(self, group: list[_Row]) -> torch.Tensor:
        """Compute the tokens of rows that enter; logits of the token after each [B, V]."""
        lengths = [len(row.ids) for row in group]
        T = max(lengths)
        ids_BT = torch.tensor([row.ids + [0] * (T - len(row.ids)) for row in group], device=self._device)
        lengths_B = None if min(lengths) == T else torch.tensor(lengths, device=self._device)
        cache = self._new_cache()
        hidden_BTD = self._model.hidden(ids_BT, cache, lengths_B)
        if self.rows:
            self._cache.join(cache)
        else:
            self._cache = cache
        if self._options.repetition_penalty != 1.0:
            self._see(group)
        self.rows += group
        last_BD = hidden_BTD[:, -1] if lengths_B is None else hidden_BTD[torch.arange(len(group)), lengths_B - 1]
        return self._model.head(last_BD)

    def _see(self, group: list[_Row]) -> None:
        seen_BV = torch.zeros(len(group), self._model.config.vocab_size, dtype=torch.bool, device=self._device)
        for place, row in enumerate(group):
            seen_BV[place, torch.tensor(row.ids, device=self._device)] = True
        self._seen_BV = torch.cat((self._seen_BV, seen_BV)) if self._seen_BV is not None and self.rows else seen_BV

    def _new_cache(self) -> KVCache:
        return KVCache(self._model.config, self._limit)


def _groups(rows: list[_Row]) -> Iterator[list[_Row]]:
    """Rows of similar length, to be padded and read together."""
    group: list[_Row] = []
    for row in sorted(rows, key=lambda row: -len(row.ids)):
        longest = len(group[0].ids) if group else 0
        is_similar = longest - len(row.ids) <= max(SHORT, longest // 5)
        if group and not (is_similar and (len(group) + 1) * longest <= READ_TOKENS):
            yield group
            group = []
        group.append(row)
    if group:
        yield group
