"""How fast one core scores passages, beside the feature extraction of a usual text classifier."""

import statistics
import sysconfig
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from record import record
from threadpoolctl import threadpool_limits

from hornbook.curation.annotation import read_labels
from hornbook.curation.classifier import load, save, train
from hornbook.curation.config_classifier import ClassifierConfig
from hornbook.curation.features import batches, extract

PASSAGE, MEGABYTES, ROUNDS = 2000, 8.0, 7
USUAL = "word 1-2-grams of scikit-learn, features alone"


def passages() -> list[str]:
    """The standard library cut at line ends into pieces of at most some 2,000 characters."""
    pieces, size = [], 0
    for path in sorted(Path(sysconfig.get_paths()["stdlib"]).glob("*.py")):
        piece = ""
        for line in path.read_text(encoding="utf-8", errors="replace").splitlines(keepends=True):
            if piece and len(piece) + len(line) > PASSAGE:
                pieces.append(piece)
                size += len(piece.encode("utf-8", "replace"))
                piece = ""
            piece += line
        pieces.append(piece)
        size += len(piece.encode("utf-8", "replace"))
        if size > MEGABYTES * 1e6:
            break
    return pieces


def seconds(function: Callable[[], object]) -> float:
    """Seconds of processor time, so that other programs on the machine weigh less."""
    started = time.process_time()
    function()
    return time.process_time() - started


def main() -> None:
    from sklearn.feature_extraction.text import HashingVectorizer

    labels = read_labels()
    texts = passages()
    megabytes = sum(len(text.encode("utf-8", "replace")) for text in texts) / 1e6
    some = texts[::4]  # the usual way is slow
    part_of_text = sum(map(len, some)) / sum(map(len, texts))
    usual = HashingVectorizer(ngram_range=(1, 2), token_pattern=r"\w+|[^\w\s]", lowercase=False)
    with threadpool_limits(1), tempfile.TemporaryDirectory() as folder:
        save(train(extract(labels.texts), labels.values, ClassifierConfig().ridge), Path(folder))
        classifier = load(Path(folder))
        sides: dict[str, Callable[[], object]] = {
            "scores (edu, self and level)": lambda: classifier.predict(texts),
            "of that, features": lambda: sum(len(part.counts) for part in batches(texts)),
            USUAL: lambda: usual.transform(some),
        }
        classifier.predict(texts[:200])
        taken: dict[str, list[float]] = {name: [] for name in sides}
        for _ in range(ROUNDS):  # in turn, so that all sides see the same machine
            for name, side in sides.items():
                share = part_of_text if name == USUAL else 1.0
                taken[name].append(share * megabytes / seconds(side))
    lines = [
        f"{len(texts):,} passages of the standard library, {megabytes:.1f} MB, one core, "
        f"median (range) of {ROUNDS} rounds, by processor time.",
        "",
        "| | MB/s |",
        "|---|---|",
        *(
            f"| {name} | {statistics.median(rates):.1f} ({min(rates):.1f}-{max(rates):.1f}) |"
            for name, rates in taken.items()
        ),
    ]
    record("Scoring passages", "\n".join(lines))


if __name__ == "__main__":
    main()
