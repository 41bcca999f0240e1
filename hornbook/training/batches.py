"""Batches of an arm: which tokens are read at which step, as a pure function of the step.

Documents of a source come in a seeded order (`sources`), are made into rows (`rows`), and rows of all sources are
interleaved in their shares (`interleave`, `mixture`).

Shapes in names: B rows, T positions.
"""

import hashlib
import json
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from hornbook.core.documents import read_table
from hornbook.core.errors import HornbookError
from hornbook.tokenization.shards import CHECKED_BYTES, CORPUS, LESSONS, TokenStore, store_folder
from hornbook.training.config import TrainConfig
from hornbook.training.config_data import Mixture
from hornbook.training.mixture import Phase, Positions, Stretch, stretches
from hornbook.training.rows import BestFitRows, LosslessRows, Rows
from hornbook.training.schedule import Segment, plan_segments
from hornbook.training.sources import Curriculum, Source


class DataOrder:
    """All batches of an arm. `scores` is the folder of curation's scores; only a curriculum needs it.

    Raises HornbookError when a source that the recipe asks for has no tokens or is exhausted, or a document no level.
    """

    def __init__(self, folder: Path, config: TrainConfig, scores: Path | None = None) -> None:
        self.config = config
        self._mixtures = mixtures(config)
        names = dict.fromkeys(name for mixture in self._mixtures for name in mixture)
        wanted = [name for name in names if any(mixture.get(name) for mixture in self._mixtures)]
        self.sources = {name: _open(folder, name, config.seed) for name in wanted}
        self._rows = {name: _rows(source, config) for name, source in self.sources.items()}
        self._stretches = lru_cache(maxsize=4)(self._plan)
        last = plan_segments(config)[-1]
        if config.curriculum:
            positions, window = self._positions(last, last.last), config.data.curriculum_window
            for name, source in self.sources.items():
                if source.blocks > 1 and not window:
                    raise HornbookError(
                        f"The source `{name}` has too many documents, {len(source.store):,}, to be put in one order.",
                        "Set curriculum_window, the number of tokens within which documents are ordered.",
                    )
                levels = _levels(source, scores)
                source.order_by(Curriculum(config.curriculum, levels, positions[name], window))
                self._rows[name] = _rows(source, config)  # what was packed to count epochs was in another order
            self._stretches.cache_clear()
        for segment in plan_segments(config):
            self._stretches(segment)  # an exhausted source is told now, not in hours

    def batch(self, segment: Segment, step: int) -> np.ndarray:
        """Token ids int64 [B, T + 1] of a step: inputs are all but the last, targets all but the first.

        Where a packed row is not full there is PADDING: no target, and as an input nothing that counts.
        """
        phase, parts = self._phase(segment, step)
        rows = self.config.batch_tokens // phase.context
        out = np.empty((rows, phase.context + 1), np.int64)
        first = (step - phase.step) * rows
        positions = _stretch(parts, first).positions(first)
        for i in range(rows):
            after = _stretch(parts, first + i + 1).positions(first + i + 1)
            name = next(name for name in after if after[name] > positions[name])
            out[i] = self._rows[name].row(positions[name], phase.context)
            positions = after
        return out

    def tokens_read(self, segment: Segment, steps: int) -> dict[str, int]:
        """How many tokens of each source the model of a branch has read after `steps` steps."""
        return {name: read["tokens"] for name, read in self._read(segment, steps).items()}

    def bytes_per_token(self, segment: Segment) -> float:
        """UTF-8 bytes of text that a token stands for, on average over what the model of a branch reads."""
        read = self.tokens_read(segment, segment.last)
        text = sum(n * self.sources[name].store.bytes / self.sources[name].tokens for name, n in read.items())
        return text / sum(read.values())

    def packing(self, segment: Segment, steps: int) -> dict[str, int]:
        """Positions of padding and cut documents that the model of a branch has met after `steps` steps, if any."""
        read = self._read(segment, steps).values()
        return {key: sum(r[key] for r in read) for key in ("padding", "cuts") if all(key in r for r in read)}

    def fingerprint(self) -> str:
        """Hash of everything that decides which tokens come when."""
        config = self.config
        described: list[Any] = [config.seed, config.context, config.batch_tokens, config.decay_share]
        described += [config.shares, config.curriculum, config.finetune.tokens if config.finetune else 0]
        described += [sorted(config.budgets), config.data.model_dump(mode="json")]
        digest = hashlib.blake2b(json.dumps(described).encode(), digest_size=16)
        for name, source in self.sources.items():
            digest.update(json.dumps([name, source.store.meta], sort_keys=True).encode())
            if source.curriculum:
                digest.update(source.curriculum.level_N.tobytes())
        return digest.hexdigest()

    def _read(self, segment: Segment, steps: int) -> dict[str, dict[str, int]]:
        return {name: self._rows[name].read(at) for name, at in self._positions(segment, steps).items()}

    def _positions(self, segment: Segment, steps: int) -> Positions:
        phase, parts = self._phase(segment, steps)
        row = (steps - phase.step) * (self.config.batch_tokens // phase.context)
        return _stretch(parts, row).positions(row)

    def _phase(self, segment: Segment, step: int) -> tuple[Phase, list[Stretch]]:
        """The phase that a step of a branch belongs to, and its stretches."""
        return next(found for found in reversed(self._stretches(segment)) if found[0].step <= step)

    def _plan(self, segment: Segment) -> list[tuple[Phase, list[Stretch]]]:
        """The phases that lead to the end of a segment, from step 0."""
        config = self.config
        branched = segment.first if segment.is_decay else segment.last
        trunk, decay = self._mixtures
        phases = [Phase(0, branched, config.context, trunk)]
        if segment.is_decay:
            context = config.data.decay_context or config.context
            phases.append(Phase(branched, segment.last - branched, context, decay))
        start, plan, limits = dict.fromkeys(self.sources, 0), [], self._limits(segment.last * config.batch_tokens)
        for phase in phases:
            rows = phase.steps * (config.batch_tokens // phase.context)
            parts = stretches(phase, start, rows, limits, config.data.when_exhausted == "error")
            start = parts[-1].positions(rows)
            plan.append((phase, parts))
        return plan

    def _limits(self, tokens: int) -> Positions:
        """Where the sources end that are read no further than max_epochs, as far as `tokens` tokens can get there."""
        caps = self.config.data.caps
        epochs = {name: caps.get(name, caps.get("*")) for name in self.sources}
        return {
            name: self._rows[name].position(cap)
            for name, cap in epochs.items()
            if cap is not None and cap * self.sources[name].tokens < tokens
        }


def mixtures(config: TrainConfig) -> tuple[Mixture, Mixture]:
    """The weights of the sources in the trunk and in the decay."""
    trunk, decay = config.shares
    return config.data.mixtures or ({CORPUS: 1 - trunk, LESSONS: trunk}, {CORPUS: 1 - decay, LESSONS: decay})


def _stretch(parts: list[Stretch], row: int) -> Stretch:
    return next(part for part in reversed(parts) if part.row <= row)


def _rows(source: Source, config: TrainConfig) -> Rows:
    if config.data.packing == "lossless":
        return LosslessRows(source)
    return BestFitRows(source, config.context, config.data.packing_window)


def _open(tokens: Path, name: str, seed: int) -> Source:
    folder = store_folder(tokens, name)
    if not (folder / "meta.json").exists():
        remedy = f"Take `{name}` out of the mixture, or give this arm such documents."
        if name == LESSONS:
            remedy = "Set lesson_share to 0, or give this arm lessons."
        raise HornbookError(f"The arm has no tokens of its source `{name}`.", remedy)
    store = TokenStore.open(folder)
    if not len(store.tokens):
        raise HornbookError(
            f"The source `{name}` of the arm has 0 tokens: its selection kept nothing.",
            "Lower the thresholds of the arm, or add sources.",
        )
    if store.tokens.nbytes <= CHECKED_BYTES:
        store.check()
    return Source(store, seed)


def _levels(source: Source, scores: Path | None) -> np.ndarray:
    """The level of every document of a source."""
    if scores is None:
        raise HornbookError("A curriculum needs scores.", "Set the arm's filter to classifier, or its curriculum to 0.")
    table = read_table(scores, ["id", "level"])
    row = pc.index_in(pa.array(source.store.ids()), value_set=table["id"])
    if row.null_count:
        raise HornbookError(f"{row.null_count:,} documents have no level.", "Delete the scores and run again.")
    return table["level"].take(row).to_numpy()
