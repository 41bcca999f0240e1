"""Keys and values of the tokens that a decoder has seen, row by row.

Rows may be of different length. Each begins at position 0 of its place in the cache and grows to the right, so that a
row joins, leaves and takes the place of another without a change to its neighbours.

Shapes in names as in `decoder`, and R rows and P positions that there is room for, S positions of keys.
"""

from collections.abc import Sequence

import torch

from hornbook.model.config import ModelConfig
from hornbook.model.rope import Rope, Tables


class KVCache:
    """Keys and values of all layers; give the same one to every call of a decoder.

    The first call makes the rows, and says how long each is if they are not all as long as the call. Further calls add
    the same number of positions to every row, one at a time where rows differ. `lengths` are the positions that all
    layers have seen, of each row. There is room for at most `limit` positions (None: the context of the model).
    """

    def __init__(self, config: ModelConfig, limit: int | None = None) -> None:
        self.lengths: list[int] = []
        self._limit = min(limit or config.max_position_embeddings, config.max_position_embeddings)
        self._window = config.sliding_window
        self._rope = Rope.of(config)
        self._shape = (2 * config.num_key_value_heads, config.head_dim)
        self._kv: list[torch.Tensor | None] = [None] * config.num_hidden_layers  # each [R, P, 2 K, C]
        self._last_tables: Tables | None = None  # [P, 1, R] for tokens that are the last of their row
        # What the call in progress adds: where, and which keys it sees.
        self._added: Sequence[int] = ()  # positions, of each row
        self._slots: torch.Tensor | None = None  # rows of unequal length: where in [R * P] each new position goes
        self._first = 0
        # Keys are stored turned. When LongRoPE changes its factors they are of no use, and the tokens are needed again.
        self._keep_ids = config.rope_scaling.original_max_position_embeddings if config.rope_scaling else 0
        self._ids: list[torch.Tensor] = []

    @property
    def length(self) -> int:
        """Positions of the longest row."""
        return max(self.lengths, default=0)

    @property
    def nbytes(self) -> int:
        """Memory of keys and values, room included."""
        return sum(kv.nbytes for kv in self._kv if kv is not None)

    def open(
        self, ids_BT: torch.Tensor, lengths_B: torch.Tensor | None, dtype: torch.dtype
    ) -> tuple[torch.Tensor, Tables, torch.Tensor | None]:
        """Begin a call: the tokens it must compute, rotary tables and the mask for them.

        The tokens are `ids_BT`, after all earlier ones where LongRoPE changes its factors.
        """
        start = self.length
        if self._rope.outgrows(start, start + ids_BT.shape[1]):
            ids_BT, start = torch.cat((self.restart(), ids_BT), dim=1), 0
        rows, T = ids_BT.shape
        if start and (lengths_B is not None or (T > 1 and min(self.lengths) != start)):
            raise ValueError("rows of unequal length go on by one position at a time")
        self._added = [T] * rows if lengths_B is None else lengths_B.tolist()
        self.lengths = self.lengths or [0] * rows
        self._slots, self._first = None, 0
        if T == 1 and start:
            return ids_BT, *self._open_one(ids_BT.device, dtype)
        tables = self._rope.tables(start, T, ids_BT.device, dtype, lengths_B)
        return ids_BT, tables, causal_mask(start, T, self._window, ids_BT.device)

    def _open_one(self, device: torch.device, dtype: torch.dtype) -> tuple[Tables, torch.Tensor | None]:
        """One more position for every row: no row sees what another one has further right."""
        longest, window = self.length, self._window
        for layer, kv in enumerate(self._kv):  # before places in it are counted
            assert kv is not None
            self._room(layer, len(self.lengths), longest + 1, kv)
        cos, sin = self._tables(device, dtype)
        if min(self.lengths) == longest:
            if window is not None:
                self._first = max(0, longest + 1 - window)
            return (cos[longest : longest + 1], sin[longest : longest + 1]), None
        position_B = torch.tensor(self.lengths, device=device)
        first_kv = self._kv[0]
        assert first_kv is not None
        self._slots = torch.arange(0, len(self.lengths), device=device) * first_kv.shape[1] + position_B
        position_S, position_B1 = torch.arange(longest + 1, device=device), position_B[:, None]
        hidden = position_S > position_B1
        if window is not None:
            hidden |= position_S <= position_B1 - window
        # Numbers to add to scores: attention would make them of truth values, in every layer again.
        mask = torch.zeros(hidden.shape, dtype=dtype, device=device).masked_fill_(hidden, -torch.inf)
        return (cos[position_B, None], sin[position_B, None]), mask[:, None, None]

    def append(self, layer: int, k_BKTC: torch.Tensor, v_BKTC: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Add positions to one layer; all its keys and values [B, K, S, C]. `lengths` move on with `advance`."""
        B, K, T, C = k_BKTC.shape
        start = self.length
        end = start + T
        kv = self._room(layer, B, end, k_BKTC)
        if self._slots is None:
            kv[:B, start:end, :K] = k_BKTC.transpose(1, 2)
            kv[:B, start:end, K:] = v_BKTC.transpose(1, 2)
        else:
            flat = kv.view(-1, 2 * K, C)
            flat[:, :K].index_copy_(0, self._slots, k_BKTC[:, :, 0])
            flat[:, K:].index_copy_(0, self._slots, v_BKTC[:, :, 0])
        seen = kv[:B, self._first : end].transpose(1, 2)
        return seen[:, :K], seen[:, K:]

    def advance(self, ids_BT: torch.Tensor) -> None:
        """These tokens have been seen by all layers."""
        self.lengths = [length + added for length, added in zip(self.lengths, self._added, strict=True)]
        even = min(self.lengths) == self.length
        self._ids = [*self._ids, ids_BT] if even and self.length <= self._keep_ids else []

    def restart(self) -> torch.Tensor:
        """Forget keys and values; returns the tokens [B, T] that they were of.

        Raises ValueError for rows of unequal length: let the one that outgrows its factors leave and join anew.
        """
        if not self._ids:
            raise ValueError("rows of unequal length cannot start again together")
        ids_BT = torch.cat(self._ids, dim=1)
        self.lengths, self._ids = [], []
        return ids_BT

    def join(self, other: "KVCache") -> None:
        """Add the rows of another cache of the same model after the own ones."""
        rows, end = len(self.lengths), len(self.lengths) + len(other.lengths)
        length = other.length
        for layer, theirs in enumerate(other._kv):
            assert theirs is not None
            ours = self._room(layer, end, length, theirs)
            ours[rows:end, :length] = theirs[: len(other.lengths), :length]
        self.lengths = [*self.lengths, *other.lengths]
        self._ids = []

    def leave(self, row: int) -> None:
        """Take a row out; the last row takes its place."""
        last, length = len(self.lengths) - 1, self.lengths[-1]
        if row != last:
            for kv in self._kv:
                assert kv is not None
                kv[row, :length] = kv[last, :length]
            self.lengths[row] = length
        self.lengths = self.lengths[:-1]
        self._ids = []

    def _room(self, layer: int, rows: int, positions: int, like: torch.Tensor) -> torch.Tensor:
        """Keys and values of one layer with room for so many; positions double, so that copying is a small share."""
        kv = self._kv[layer]
        if kv is not None and rows <= kv.shape[0] and positions <= kv.shape[1]:
            return kv
        if kv is not None:
            rows, positions = max(rows, kv.shape[0]), max(positions, kv.shape[1])
        # Zeros: attention multiplies what it does not see by 0, and memory as it is found may hold numbers without end.
        grown = like.new_zeros(rows, max(positions, min(2 * positions, self._limit)), *self._shape)
        if kv is not None:
            grown[: kv.shape[0], : kv.shape[1]] = kv
        self._kv[layer] = grown
        return grown

    def _tables(self, device: torch.device, dtype: torch.dtype) -> Tables:
        """Rotary tables for all positions that there is room for, made once."""
        kv = self._kv[0]
        assert kv is not None
        if self._last_tables is None or self._last_tables[0].shape[0] < kv.shape[1]:
            self._last_tables = self._rope.last_tables(kv.shape[1], device, dtype)
        return self._last_tables


def causal_mask(start: int, T: int, window: int | None, device: torch.device) -> torch.Tensor | None:
    """Which positions [T, start + T] each of T new ones sees; None where it is all up to itself.

    None lets attention take its fast causal way: it holds for one new position, or for none seen before.
    """
    windowed = window is not None and start + T > window
    if not windowed and (start == 0 or T == 1):
        return None
    mask = torch.ones(T, start + T, dtype=torch.bool, device=device).tril(start)
    return mask.triu(start - window + 1) if windowed and window else mask
