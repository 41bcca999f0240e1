"""What the labels are worth: the held-out correlation on parts of them, what more would bring, and the cut.

The curve through the parts is a - b / sqrt(n) (the error of a mean falls like that, and three parts do not tell
another exponent from it). It is fitted anew to every resample, so that the interval of the forecast carries the
noise of the measurements; that the form holds beyond the labels is an assumption.
"""

import json
from pathlib import Path
from typing import Any

import numpy as np

from hornbook.core.documents import atomic_write
from hornbook.core.errors import HornbookError
from hornbook.core.progress import Progress
from hornbook.curation.annotation import Labels, read_labels
from hornbook.curation.classifier import train
from hornbook.curation.classifier_report import (
    estimate,
    group_numbers,
    out_of_fold,
    precision_and_recall,
    resamples,
    spearman,
)
from hornbook.curation.config_labelling import LearningConfig
from hornbook.curation.features import Features, extract

CURVE = "learning.json"
MORE = (2, 4)  # times the labels, for which there is a forecast
_FEWEST = 30  # labels to train on


def learning_step(inputs: dict[str, Path], out: Path, config: LearningConfig) -> dict[str, Any]:
    """Measure the learning curve and the cut on `labels`; write learning.json and return it as counters."""
    import scipy.linalg  # noqa: F401  loaded here, because the limit below reaches only what is loaded
    from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

    labels = read_labels(inputs["labels"])
    with threadpool_limits(1):
        result = learning_curve(labels, extract(labels.texts), config)
    atomic_write(out / CURVE, json.dumps(result, indent=1))
    return result


def learning_curve(labels: Labels, features: Features, config: LearningConfig) -> dict[str, Any]:
    """Spearman of `edu` on files left out, trained on fractions of the other labels; forecast; precision and recall.

    Raises HornbookError when all labels come from one file.
    """
    file, edu = group_numbers(labels.files), labels.values[:, 0]
    rng = np.random.default_rng(config.seed)
    folds = min(config.folds, int(file.max()) + 1)
    if folds < 2:
        raise HornbookError("All labels come from one file.", "Label passages of several files.")
    fold = (rng.permutation(file.max() + 1) % folds)[file]
    fractions = [f for f in config.fractions if f == 1 or f * len(edu) * (folds - 1) / folds >= _FEWEST]
    plans = [f for f in fractions for _ in range(1 if f == 1 else config.draws)]
    with Progress("learning curve", len(plans) * folds, "folds") as bar:
        predicted = [_on_a_part(features, labels.values, fold, part, config.ridge, rng, bar) for part in plans]
    samples = [np.arange(len(edu)), *resamples(file, config)]
    measured = np.array(  # [samples, fractions], the mean over the draws
        [
            [
                np.mean([spearman(edu[s], p[s]) for p, plan in zip(predicted, plans, strict=True) if plan == part])
                for part in fractions
            ]
            for s in samples
        ]
    )
    trained = np.array(fractions) * len(edu) * (folds - 1) / folds
    useful, keep = edu >= config.useful, config.keep
    cut = np.array([precision_and_recall(useful[s], predicted[-1][s], keep) for s in samples])
    return {
        "labels": len(edu),
        "useful": config.useful,
        "useful_share": round(float(useful.mean()), 4),
        "keep": keep,
        "precision": estimate(list(cut[:, 0])),
        "recall": estimate(list(cut[:, 1])),
        "curve": [{"trained_on": round(n), "spearman": estimate(list(measured[:, i]))} for i, n in enumerate(trained)],
        "forecast": _forecast(trained, measured) if len(trained) > 2 else [],
    }


def _on_a_part(
    features: Features,
    values: np.ndarray,
    fold: np.ndarray,
    part: float,
    ridge: float,
    rng: np.random.Generator,
    bar: Progress,
) -> np.ndarray:
    """[passages] predicted `edu`, each by a classifier that has seen this part of the labels of the other folds."""
    if part == 1:
        return out_of_fold(features, values, fold, ridge, bar)[:, 0]
    predicted = np.zeros(len(values), np.float32)
    for left_out in np.unique(fold):
        inside, outside = np.flatnonzero(fold != left_out), np.flatnonzero(fold == left_out)
        inside = np.sort(rng.permutation(inside)[: round(part * len(inside))])
        classifier = train(features.take(inside), values[inside], ridge)
        predicted[outside] = classifier.predict_features(features.take(outside))[:, 0]
        bar.advance(1)
    return predicted


def _forecast(trained: np.ndarray, measured: np.ndarray) -> list[dict[str, Any]]:
    """What `MORE` times the labels would gain over those that are there: the gain along the fitted curve."""
    measured = measured[np.isfinite(measured).all(axis=1)]
    if not len(measured):
        return []
    design = np.stack([np.ones(len(trained)), -1 / np.sqrt(trained)], axis=1)
    slope = np.linalg.lstsq(design, measured.T, rcond=None)[0][1]
    whole = trained[-1]
    gains = {times: slope * (1 / np.sqrt(whole) - 1 / np.sqrt(times * whole)) for times in MORE}
    return [{"times": times, "gain": estimate(list(gain))} for times, gain in gains.items()]
