"""How well the classifier predicts labels of files and packages that it has not seen, beside a usual baseline."""

import json
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from record import record

from hornbook.curation.annotation import Labels, labels_file, read_labels
from hornbook.curation.classifier_report import average_precision, roc_auc, spearman
from hornbook.curation.config_classifier import ClassifierConfig
from hornbook.curation.scoring import train_step, validate_step

NAMES = {
    "spearman_edu": "Spearman, edu",
    "spearman_self": "Spearman, self",
    "spearman_level": "Spearman, level",
    "auc_edu": "AUC, edu ≥ {useful}",
    "average_precision_edu": "average precision, edu ≥ {useful}",
}
ROUNDS = 3


def baseline(labels: Labels, config: ClassifierConfig) -> dict[str, float]:
    """tf-idf of word 1-2-grams with ridge regression, on the folds of the report."""
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import Ridge

    file = np.unique(labels.files, return_inverse=True)[1]
    rng = np.random.default_rng(config.seed)
    rows = []
    for _ in range(config.repeats):
        fold = (rng.permutation(file.max() + 1) % config.folds)[file]
        predicted = np.zeros(labels.values.shape)
        for left_out in range(config.folds):
            train, test = np.flatnonzero(fold != left_out), np.flatnonzero(fold == left_out)
            words = TfidfVectorizer(ngram_range=(1, 2), token_pattern=r"\w+|[^\w\s]", sublinear_tf=True, min_df=2)
            model = Ridge(0.5).fit(words.fit_transform([labels.texts[i] for i in train]), labels.values[train])
            predicted[test] = model.predict(words.transform([labels.texts[i] for i in test]))
        useful = labels.values[:, 0] >= config.useful
        rows.append(
            {
                **{
                    f"spearman_{target}": spearman(labels.values[:, i], predicted[:, i])
                    for i, target in enumerate(("edu", "self", "level"))
                },
                "auc_edu": roc_auc(useful, predicted[:, 0]),
                "average_precision_edu": average_precision(useful, predicted[:, 0]),
            }
        )
    return {name: float(np.mean([row[name] for row in rows])) for name in rows[0]}


def cell(metric: dict[str, Any]) -> str:
    return f"{metric['value']:.3f} ({metric['low']:.3f}-{metric['high']:.3f})"


def main() -> None:
    config = ClassifierConfig()
    inputs = {"labels": labels_file(config.labels)}
    training, validation = [], []
    with tempfile.TemporaryDirectory() as folder:
        for _ in range(ROUNDS):
            for step, seconds in ((train_step, training), (validate_step, validation)):
                started = time.perf_counter()
                step(inputs, Path(folder), config)
                seconds.append(time.perf_counter() - started)
        report = json.loads((Path(folder) / "report.json").read_text())
    usual = baseline(read_labels(config.labels), config)
    by_file, by_package = report["cross_validation"], report["leave_package_out"]
    lines = [
        f"{report['labels']:,} labelled passages of {report['files']} files and {report['packages']} packages; "
        f"{report['useful_share']:.1%} have edu ≥ {config.useful:g}. Means of {by_file['repeats']} rounds of "
        f"{by_file['folds']} folds by file, and {by_package['folds']} folds by package; 95 % intervals from "
        f"{config.bootstrap} bootstrap samples of files and packages. The baseline is tf-idf of word 1-2-grams "
        f"with ridge regression on the same folds by file. Training takes "
        f"{statistics.median(training):.1f} s, this validation {statistics.median(validation):.0f} s "
        f"(medians of {ROUNDS}).",
        "",
        "| | files left out | packages left out | baseline, files left out |",
        "|---|---|---|---|",
        *(
            f"| {title.format(useful=config.useful)} | {cell(by_file['metrics'][name])} "
            f"| {cell(by_package['metrics'][name])} | {usual[name]:.3f} |"
            for name, title in NAMES.items()
        ),
        "",
        "| predicted edu | passages | mean label (95 % interval) | share of useful |",
        "|---|---|---|---|",
        *(
            f"| {row['low']:.1f}-{row['high']:.1f} | {row['labels']} "
            f"| {row['mean']:.2f} ({row['interval'][0]:.2f}-{row['interval'][1]:.2f}) | {row['useful_share']:.0%} |"
            for row in report["calibration"]
        ),
    ]
    record("Educational-value classifier", "\n".join(lines))


if __name__ == "__main__":
    main()
