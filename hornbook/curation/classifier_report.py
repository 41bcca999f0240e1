"""How good the classifier is: cross-validation by file and by package, with intervals, and its calibration.

Every number comes from passages that the classifier which judged them has not seen: neither the passage, nor
another passage of its file, and in *leave-package-out* none of its package. Statistics of the features (scales,
document frequencies) are learnt anew in every fold.
"""

from collections.abc import Callable
from typing import Any

import numpy as np

from hornbook.core.errors import HornbookError
from hornbook.core.progress import Progress
from hornbook.curation.annotation import Labels
from hornbook.curation.classifier import TARGETS, train
from hornbook.curation.config_classifier import ClassifierConfig
from hornbook.curation.features import Features

_MAX_PACKAGE_FOLDS = 20  # beyond that the smallest packages are left out together
_MIN_BIN = 25  # labels in a bin of the calibration table, else it is joined to the bin below
_BIN_EDGES = np.arange(0.5, 5, 0.5)

Metric = Callable[[np.ndarray, np.ndarray], float]  # of labels and predictions, nan where it is not defined


def make_report(labels: Labels, features: Features, config: ClassifierConfig) -> dict[str, Any]:
    """The report as JSON values; README of its keys in docs/annotation.md.

    Raises HornbookError when all labels come from one file, so that nothing can be left out.
    """
    file, package = group_numbers(labels.files), group_numbers(labels.packages)
    rng = np.random.default_rng(config.seed)
    folds = min(config.folds, file.max() + 1)
    if folds < 2:
        raise HornbookError("All labels come from one file.", "Label passages of several files.")
    repeats = [(rng.permutation(file.max() + 1) % folds)[file] for _ in range(config.repeats)]
    by_package = _package_folds(package)
    plans = [*repeats, *([] if by_package is None else [by_package])]
    with Progress("cross-validation", sum(len(np.unique(plan)) for plan in plans), "folds") as bar:
        predicted = [out_of_fold(features, labels.values, plan, config.ridge, bar) for plan in plans]
    crossed, left_out = predicted[: len(repeats)], predicted[len(repeats) :]
    return {
        "labels": len(labels.texts),
        "files": int(file.max()) + 1,
        "packages": int(package.max()) + 1,
        "useful": config.useful,
        "useful_share": round(float((labels.values[:, 0] >= config.useful).mean()), 4),
        "cross_validation": {
            "left_out": "files",
            "folds": int(folds),
            "repeats": config.repeats,
            "metrics": _metrics(labels.values, crossed, file, config),
        },
        "leave_package_out": None
        if by_package is None
        else {
            "left_out": "packages",
            "folds": int(by_package.max()) + 1,
            "repeats": 1,
            "metrics": _metrics(labels.values, left_out, package, config),
        },
        "calibration": _calibration(labels.values[:, 0], crossed[0][:, 0], file, config),
        "out_of_fold": {
            target: {
                "label": np.round(labels.values[:, index], 2).tolist(),
                "predicted": np.round(crossed[0][:, index].astype(float), 2).tolist(),
            }
            for index, target in enumerate(TARGETS)
        },
    }


def out_of_fold(
    features: Features, values: np.ndarray, fold: np.ndarray, ridge: float, bar: Progress | None = None
) -> np.ndarray:
    """[passages, targets] predictions, each by a classifier trained on the other folds."""
    predicted = np.zeros(values.shape, np.float32)
    for left_out in np.unique(fold):
        inside, outside = np.flatnonzero(fold != left_out), np.flatnonzero(fold == left_out)
        classifier = train(features.take(inside), values[inside], ridge)
        predicted[outside] = classifier.predict_features(features.take(outside))
        if bar is not None:
            bar.advance(1)
    return predicted


def spearman(label: np.ndarray, predicted: np.ndarray) -> float:
    """Rank correlation; ties share their mean rank."""
    a, b = _ranks(label), _ranks(predicted)
    a, b = a - a.mean(), b - b.mean()
    norm = np.sqrt((a @ a) * (b @ b))
    return float(a @ b / norm) if norm else np.nan


def roc_auc(useful: np.ndarray, predicted: np.ndarray) -> float:
    """Chance that a useful passage scores above one that is not, ties counting half (Hanley, McNeil 1982)."""
    positives = int(useful.sum())
    pairs = positives * (len(useful) - positives)
    rank_sum = _ranks(predicted)[useful].sum()
    return float((rank_sum - positives * (positives + 1) / 2) / pairs) if pairs else np.nan


def average_precision(useful: np.ndarray, predicted: np.ndarray) -> float:
    """Mean over the useful passages of the precision at their score; tied passages enter together."""
    if not useful.any():
        return np.nan
    order = np.argsort(-predicted, kind="stable")
    hits = np.cumsum(useful[order])
    last_of_tie = np.append(np.diff(predicted[order]) != 0, True)
    hits, seen = hits[last_of_tie], np.flatnonzero(last_of_tie) + 1
    return float((np.diff(hits, prepend=0) * hits / seen).sum() / hits[-1])


def precision_and_recall(useful: np.ndarray, predicted: np.ndarray, share: float) -> tuple[float, float]:
    """How many of the best `share` of the passages by prediction are useful, and how many of the useful are in it."""
    best = np.argsort(-predicted, kind="stable")[: max(1, round(share * len(predicted)))]
    hits, all_useful = int(useful[best].sum()), int(useful.sum())
    return hits / len(best), hits / all_useful if all_useful else np.nan


def _ranks(values: np.ndarray) -> np.ndarray:
    """Ranks from 1; ties share their mean rank."""
    order = np.argsort(values)
    last = np.append(np.flatnonzero(np.diff(values[order])), len(values) - 1)
    size = np.diff(last, prepend=-1)
    ranks = np.empty(len(values))
    ranks[order] = np.repeat(last + 1 - (size - 1) / 2, size)
    return ranks


def group_numbers(names: list[str]) -> np.ndarray:
    """A number from 0 for every name, the same for the same name."""
    return np.unique(names, return_inverse=True)[1]


def _package_folds(package: np.ndarray) -> np.ndarray | None:
    """One fold per package, the smallest packages together; None when there are fewer than three packages."""
    size = np.bincount(package)
    if len(size) < 3:
        return None
    fold = np.arange(len(size))
    surplus = max(0, len(size) - _MAX_PACKAGE_FOLDS + 1)
    if surplus > 1:
        fold[np.argsort(size, kind="stable")[:surplus]] = len(size)
    return np.unique(fold, return_inverse=True)[1][package]


def _metrics(
    values: np.ndarray, predictions: list[np.ndarray], group: np.ndarray, config: ClassifierConfig
) -> dict[str, Any]:
    """Each metric: its mean over the repeats, and a 95 % interval from a bootstrap over whole groups."""
    samples = [np.arange(len(values)), *resamples(group, config)]
    useful = values[:, 0] >= config.useful
    rows: dict[str, tuple[Metric, np.ndarray, int]] = {
        f"spearman_{target}": (spearman, values[:, index], index) for index, target in enumerate(TARGETS)
    }
    rows |= {"auc_edu": (roc_auc, useful, 0), "average_precision_edu": (average_precision, useful, 0)}
    return {
        name: estimate([np.mean([metric(label[s], p[s, column]) for p in predictions]) for s in samples])
        for name, (metric, label, column) in rows.items()
    }


def resamples(group: np.ndarray, config: ClassifierConfig) -> list[np.ndarray]:
    """Bootstrap samples of whole groups, as numbers of passages."""
    rng = np.random.default_rng(config.seed)
    order = np.argsort(group, kind="stable")
    members = np.split(order, np.cumsum(np.bincount(group))[:-1])
    return [
        np.concatenate([members[g] for g in rng.integers(0, len(members), len(members))])
        for _ in range(config.bootstrap)
    ]


def estimate(values: list[Any]) -> dict[str, float | None]:
    """The first value is the estimate; the others are resamples. None where it is not defined."""
    first, resampled = float(values[0]), np.array(values[1:])
    resampled = resampled[np.isfinite(resampled)]
    if not np.isfinite(first) or not len(resampled):
        return {"value": None, "low": None, "high": None}
    low, high = np.quantile(resampled, (0.025, 0.975))
    return {"value": round(first, 4), "low": round(float(low), 4), "high": round(float(high), 4)}


def _calibration(
    label: np.ndarray, predicted: np.ndarray, group: np.ndarray, config: ClassifierConfig
) -> list[dict[str, Any]]:
    """What labels passages have that the classifier scores between `low` and `high`, by half points of `edu`."""
    edges = [0.0, *_BIN_EDGES, 5.01]
    while len(edges) > 2:  # join bins that are too small to say anything, from the top
        sizes = np.histogram(predicted, edges)[0]
        small = np.flatnonzero(sizes < _MIN_BIN)
        if not len(small):
            break
        del edges[small[-1] if small[-1] > 0 else 1]
    bins = np.digitize(predicted, edges[1:-1])
    samples = resamples(group, config)
    table = []
    for index in range(len(edges) - 1):
        inside = bins == index
        resampled = [label[s][inside[s]].mean() if inside[s].any() else np.nan for s in samples]
        mean = estimate([label[inside].mean(), *resampled])
        table.append(
            {
                "low": float(edges[index]),
                "high": min(float(edges[index + 1]), 5.0),
                "labels": int(inside.sum()),
                "predicted": round(float(predicted[inside].mean()), 3),
                "mean": mean["value"],
                "interval": [mean["low"], mean["high"]],
                "useful_share": round(float((label[inside] >= config.useful).mean()), 3),
            }
        )
    return table
