"""The educational-value classifier: a ridge regression from features of a passage to `edu`, `self`, `level`.

The score of a passage is the sum of a constant, one curve per count (each count is cut into LEVELS steps of a
tenth of a standard deviation), and one weight per n-gram, tf-idf weighted and normalised within its block.
That is linear in its parameters, so training solves one system of equations of the size of the labels (kernel
ridge regression, Saunders et al. 1998), and scoring is table look-up and addition. Nothing is drawn at random.
"""

import json
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import Any

import numpy as np
from scipy.sparse import csr_array

from hornbook.core.documents import atomic_write
from hornbook.core.errors import HornbookError
from hornbook.curation.annotation import RANGES
from hornbook.curation.features import BLOCKS, BUCKETS, Features, batches, count_names

TARGETS = tuple(RANGES)
LEVELS = 61  # of a count: -3 to +3 standard deviations
FORMAT = 1
_STEPS_PER_DEVIATION = 10
_SHARE_OF_COUNTS = 0.7  # their weight in the kernel beside the n-grams; 0.5 to 1 do equally well
_FREQUENT = 2000  # n-grams; they cause nine tenths of the products of pairs, which BLAS does faster
_MIN_DOCUMENTS = 2  # an n-gram that one passage alone has teaches nothing
_DECIMALS = 4  # of a score: hides the last bits, which differ between processors


@dataclass(frozen=True)
class Classifier:
    """A trained classifier; `predict` is a pure function of each text."""

    names: tuple[str, ...]  # of the counts
    bias: np.ndarray  # [targets]
    mean: np.ndarray  # [counts]
    deviation: np.ndarray  # [counts]
    curves: np.ndarray  # [counts, LEVELS, targets]
    idf: np.ndarray  # [BUCKETS] float32, 0 where the n-gram is unknown
    weights: np.ndarray  # [BUCKETS, targets] float32, of an n-gram in a passage with n-grams of norm 1

    def predict(self, texts: Sequence[str]) -> dict[str, np.ndarray]:
        """Scores of `texts`: `edu` (0-5), `self` (0-3) and `level` (1-5), each [len(texts)] float32."""
        parts = [self.predict_features(features) for features in batches(texts)]
        scores = np.concatenate(parts) if parts else np.zeros((0, len(TARGETS)), np.float32)
        return {target: scores[:, index] for index, target in enumerate(TARGETS)}

    def predict_features(self, features: Features) -> np.ndarray:
        """[passages, targets] float32, within the ranges of the rubric.

        Sums are sparse products, which add up every row from left to right: a score does not depend on the batch.
        """
        codes = _codes(features.counts, self.mean, self.deviation)
        passages, counts = codes.shape
        steps = (codes + np.arange(counts) * LEVELS).ravel()
        ones, starts = np.ones(len(steps)), np.arange(passages + 1) * counts
        scores = csr_array((ones, steps, starts), shape=(passages, counts * LEVELS)) @ self.curves.reshape(
            counts * LEVELS, -1
        )
        ngrams = features.ngrams
        squares = csr_array((ngrams.data**2, ngrams.indices, ngrams.indptr), shape=ngrams.shape)
        norm = np.sqrt(squares @ self._squared_idf)
        sums = (ngrams @ self._weighted_idf) / np.maximum(norm, 1e-9)[:, None]
        for block in range(BLOCKS):
            scores += sums[block::BLOCKS]
        low, high = np.array(list(RANGES.values())).T
        return np.clip(scores + self.bias, low, high).round(_DECIMALS).astype(np.float32)

    @cached_property
    def _squared_idf(self) -> np.ndarray:
        return self.idf**2

    @cached_property
    def _weighted_idf(self) -> np.ndarray:
        return self.weights * self.idf[:, None]


def train(features: Features, values: np.ndarray, ridge: float) -> Classifier:
    """Fit a classifier to the features of labelled passages; `values` is [passages, targets]."""
    from scipy.linalg import solve
    from scipy.spatial.distance import cdist

    passages, counts = features.counts.shape
    mean, deviation = features.counts.mean(axis=0), features.counts.std(axis=0)
    deviation = np.where(deviation < 1e-9, np.inf, deviation)
    codes = _codes(features.counts, mean, deviation)
    documents = np.bincount(features.ngrams.indices, minlength=BUCKETS)
    idf = np.where(documents < _MIN_DOCUMENTS, 0, np.log((1 + passages) / (1 + documents)) + 1)

    # The kernel of the counts is the number of level boundaries on whose same side two passages lie, which is
    # the inner product of 0/1 features "the count is above level k", so the ridge smooths every curve.
    scale = _SHARE_OF_COUNTS / (_STEPS_PER_DEVIATION * counts)
    kernel = scale * (counts * (LEVELS - 1) - cdist(codes, codes, "cityblock"))
    known = np.flatnonzero(idf)
    ngrams = _normalised(features.ngrams, idf, known)
    kernel += _inner_products(ngrams)
    kernel[np.diag_indices(passages)] += ridge
    bias = values.mean(axis=0)
    alpha = solve(kernel, values - bias, assume_a="pos", overwrite_a=True)  # [passages, targets]

    levels = np.arange(LEVELS)
    agreement = scale * (LEVELS - 1 - np.abs(levels[:, None] - levels))
    steps = (codes + np.arange(counts) * LEVELS).ravel()
    at_level = [np.bincount(steps, np.repeat(a, counts), minlength=counts * LEVELS) for a in alpha.T]
    curves = np.einsum("kl,tcl->ckt", agreement, np.reshape(at_level, (-1, counts, LEVELS)))
    weights = np.zeros((BUCKETS, len(bias)), np.float32)
    weights[known] = ngrams.T @ alpha
    return Classifier(features.names, bias, mean, deviation, curves, idf.astype(np.float32), weights)


def save(classifier: Classifier, folder: Path) -> None:
    """Write `classifier.npz` and `classifier.json` into `folder`: arrays and names, no code."""
    known = np.flatnonzero(classifier.idf)
    with open(folder / "classifier.npz", "wb") as file:
        np.savez_compressed(
            file,
            bias=classifier.bias,
            mean=classifier.mean,
            deviation=classifier.deviation,
            curves=classifier.curves,
            known=known.astype(np.int32),
            idf=classifier.idf[known],
            weights=classifier.weights[known],
        )
    atomic_write(folder / "classifier.json", json.dumps(_head(classifier.names), indent=1))


@cache
def load(folder: Path) -> Classifier:
    """Read a saved classifier (once per process). HornbookError when it is missing or of another version."""
    remedy = "Run the recipe up to curation.classifier again."
    try:
        head = json.loads((Path(folder) / "classifier.json").read_text())
        with np.load(Path(folder) / "classifier.npz", allow_pickle=False) as arrays:
            data = {name: arrays[name] for name in arrays.files}
    except (OSError, ValueError, zipfile.BadZipFile) as error:
        raise HornbookError(f"No readable classifier in {folder}: {error}.", remedy) from error
    if head != _head(count_names()):
        raise HornbookError(f"The classifier in {folder} was trained by another version of hornbook.", remedy)
    idf = np.zeros(BUCKETS, np.float32)
    weights = np.zeros((BUCKETS, len(TARGETS)), np.float32)
    idf[data["known"]], weights[data["known"]] = data["idf"], data["weights"]
    return Classifier(
        tuple(head["counts"]), data["bias"], data["mean"], data["deviation"], data["curves"], idf, weights
    )


def _head(names: Sequence[str]) -> dict[str, Any]:
    return {"format": FORMAT, "targets": list(TARGETS), "buckets": BUCKETS, "counts": list(names)}


def _codes(counts: np.ndarray, mean: np.ndarray, deviation: np.ndarray) -> np.ndarray:
    """[passages, counts]: the level (0 to LEVELS - 1) of every count."""
    steps = np.rint((counts - mean) / deviation * _STEPS_PER_DEVIATION) + LEVELS // 2
    return np.clip(steps, 0, LEVELS - 1).astype(np.int64)


def _normalised(ngrams: csr_array, idf: np.ndarray, known: np.ndarray) -> csr_array:
    """tf-idf of the known n-grams, [passages, known]; the part of each block has length 1."""
    place = np.zeros(BUCKETS, np.int32)
    place[known] = np.arange(len(known))
    value = ngrams.data * idf[ngrams.indices]
    cell = np.repeat(np.arange(ngrams.shape[0]), np.diff(ngrams.indptr))
    norm = np.sqrt(np.bincount(cell, value**2, minlength=ngrams.shape[0]))
    value /= np.maximum(norm, 1e-9)[cell]
    kept = value > 0
    passage = cell[kept] // BLOCKS
    starts = np.searchsorted(passage, np.arange(ngrams.shape[0] // BLOCKS + 1))
    return csr_array((value[kept], place[ngrams.indices[kept]], starts), shape=(len(starts) - 1, len(known)))


def _inner_products(ngrams: csr_array) -> np.ndarray:
    """[passages, passages] inner products of the rows."""
    order = np.argsort(-np.bincount(ngrams.indices, minlength=ngrams.shape[1]), kind="stable")
    frequent = ngrams[:, order[:_FREQUENT]].toarray().astype(np.float32)
    rare = ngrams[:, order[_FREQUENT:]]
    return frequent @ frequent.T + (rare @ rare.T).toarray()
