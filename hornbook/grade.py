"""What `hornbook grade` does: a teacher labels a sample, a classifier learns from it, and the best passages are kept.

The steps are those of a recipe's curation, behind two of its own: the sample and the labels.
"""

import json
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hornbook.core.documents import atomic_write
from hornbook.core.errors import HornbookError
from hornbook.core.lock import folder_lock
from hornbook.core.step import Step, execute
from hornbook.corpus.config import HoldOutConfig, PassageConfig, SourcesConfig, relative_to
from hornbook.corpus.guess import source_of
from hornbook.corpus.held_out import hold_out_step
from hornbook.corpus.identity import fingerprint
from hornbook.corpus.passages import passages_step
from hornbook.corpus.read import read_step
from hornbook.curation.annotation import LABELS, MAX_LABELS, MIN_LABELS, labels_file, read_labels
from hornbook.curation.config import (
    ArmConfig,
    ClassifierConfig,
    ExactDuplicatesConfig,
    FileRulesConfig,
    PassageRulesConfig,
)
from hornbook.curation.config_labelling import LabellingConfig, LearningConfig, SampleConfig
from hornbook.curation.exact_duplicates import exact_duplicates_step
from hornbook.curation.kept_passages import KEPT, kept_passages_step
from hornbook.curation.labelling import grading_prompt, label_step, rubric_file
from hornbook.curation.learning_curve import learning_step
from hornbook.curation.rules import file_rules_step, passage_rules_step
from hornbook.curation.sampling import sample_step
from hornbook.curation.scoring import score_step, train_step, validate_step
from hornbook.curation.selection import select_step
from hornbook.plan import LEARNING
from hornbook.report.grading import agreement_lines, kept_lines, learning_lines, quality_lines
from hornbook.report.status import PLAN
from hornbook.run import line
from hornbook.services.llm_config import BudgetConfig, TeacherConfig

_ALL_BYTES = 1 << 62  # the share decides, no amount
_SHOWN = {  # what people look for, and where it is
    LABELS: f"steps/curation.labels/{LABELS}",
    "scores": "steps/curation.scores",
    "verdicts": "steps/curation.select.kept/verdicts",
    KEPT: f"steps/curation.kept/{KEPT}",
}


def grade(
    corpus: str,
    keep: str,
    rubric: str = "code",
    teacher: TeacherConfig | None = None,
    labels: int = 2000,
    labels_jsonl: Path | None = None,
    budget: int | None = None,
    folder: Path | None = None,
) -> None:
    """Keep the best share of a corpus, by a classifier that learnt from a teacher's labels, and print how good it is.

    `corpus` is what `hornbook init` takes; `keep` a share of the bytes, such as 15%; `teacher` the embedded one unless
    given; `labels_jsonl` labels that exist, in place of a teacher; `budget` the most tokens. Results lie in `folder`,
    runs/<corpus>-graded unless given. Raises HornbookError for anything wrong with these, or with the teacher.
    """
    folder = Path(folder or Path("runs") / f"{_name(corpus)}-graded")
    steps = grade_plan(corpus, _share(keep), rubric, teacher, labels, labels_jsonl, budget)
    results: dict[str, Mapping[str, Any]] = {}
    with folder_lock(folder, "Name another folder with --run"):
        atomic_write(folder / PLAN, json.dumps([step.name for step in steps]))
        print(f"{len(steps)} steps in {folder}", flush=True)
        for done in execute(steps, folder):
            results[done.step.name] = done.manifest["counters"]
            if done.fresh:
                print(line(done), flush=True)
            if done.step.name == "curation.labels":
                print("\n".join(agreement_lines(results["curation.labels"])), flush=True)
        _show(folder, steps)
        report = json.loads((folder / "steps" / "curation.validation" / "report.json").read_text())
    learning = results["curation.learning"]
    lines = [*quality_lines(report), *learning_lines(learning), *kept_lines(results["curation.select.kept"])]
    print("\n".join(lines))
    print(f"{' '.join(name for name in _SHOWN if (folder / name).exists())}: in {folder}")


def grade_plan(
    corpus: str,
    keep: float,
    rubric: str = "code",
    teacher: TeacherConfig | None = None,
    labels: int = 2000,
    labels_jsonl: Path | None = None,
    budget: int | None = None,
) -> list[Step]:
    """The steps of `grade`, in the order of travel."""
    if not MIN_LABELS <= labels <= MAX_LABELS:
        raise HornbookError(f"--labels is {labels}.", f"Give a number from {MIN_LABELS} to {MAX_LABELS:,}.")
    steps: list[Step] = []

    def add(*args: Any, **more: Any) -> Step:
        steps.append(Step(*args, **more))
        return steps[-1]

    # Corpus and rules, as in every recipe; nothing is held out.
    sources = SourcesConfig(sources=[relative_to(source_of(corpus), Path.cwd())])
    files = add("corpus.files", read_step, "read", sources, external=fingerprint(sources))
    held_out = add("corpus.held_out", hold_out_step, "verdict", HoldOutConfig(share=0), {"documents": files})
    documents = add("corpus.passages", passages_step, "transform", PassageConfig(), {"documents": files})
    of_files = add("curation.file_rules", file_rules_step, "verdict", FileRulesConfig(), {"documents": files})
    given: dict[str, Step | Path] = {"documents": documents, "files": of_files, "held_out": held_out}
    rules = add("curation.passage_rules", passage_rules_step, "verdict", PassageRulesConfig(), given)
    given = {"documents": documents, "rules": rules}
    exact = add("curation.exact_duplicates", exact_duplicates_step, "verdict", ExactDuplicatesConfig(), given)
    survivors: dict[str, Step | Path] = {**given, "exact": exact}

    # Labels: those that exist, or a teacher's.
    source: Step | Path
    if labels_jsonl is not None and teacher is not None:
        raise HornbookError("--labels-file takes the place of a teacher.", "Leave --teacher or --labels-file away.")
    if labels_jsonl is not None:
        read_labels(labels_jsonl)  # what is wrong with them is said before the work begins
        source = labels_file(str(labels_jsonl))
    else:
        sample = add("curation.sample", sample_step, "select", SampleConfig(passages=labels), survivors)
        teacher = teacher or TeacherConfig()
        if budget is not None:
            teacher = teacher.model_copy(update={"budget": BudgetConfig(tokens=budget)})
        about, given = LabellingConfig(teacher=teacher), {"sample": sample, "rubric": rubric_file(rubric)}
        source = add("curation.labels", label_step, "transform", about, given, external=grading_prompt().hash)

    # What is learnt from them, how good it is, and what it says of all passages.
    learnt, given = ClassifierConfig(), {"labels": source}
    classifier = add("curation.classifier", train_step, "train", learnt, given, LEARNING)
    add("curation.validation", validate_step, "evaluate", learnt, given, LEARNING)
    add("curation.learning", learning_step, "evaluate", LearningConfig(keep=keep), given, LEARNING)
    given = {**survivors, "classifier": classifier}
    scores = add("curation.scores", score_step, "score", None, given, ("numpy",))
    best = ArmConfig(name="kept", filter="classifier", top_share=keep, max_bytes=_ALL_BYTES)
    selected = add("curation.select.kept", select_step, "select", best, {**survivors, "scores": scores})
    add("curation.kept", kept_passages_step, "publish", None, {"selected": selected, "scores": scores})
    return steps


def _share(text: str) -> float:
    """0.15 from 15% or 0.15."""
    try:
        share = float(text.removesuffix("%")) / (100 if text.endswith("%") else 1)
    except ValueError:
        share = 0.0
    if not 0 < share <= 1:
        raise HornbookError(f"--keep {text} is no share.", "Give one such as 15% or 0.15.")
    return share


def _name(corpus: str) -> str:
    return re.sub(r"[^\w.-]+", "-", Path(os.path.abspath(corpus)).stem).strip("-") or "corpus"


def _show(folder: Path, steps: list[Step]) -> None:
    """Links to the results of these steps where people look for them, and none to those of an earlier plan."""
    names = {step.name for step in steps}
    for name, target in _SHOWN.items():
        (folder / name).unlink(missing_ok=True)
        if target.split("/")[1] in names:
            (folder / name).symlink_to(target)
