"""The plan: a recipe as a list of steps, the whole way of the data on one screen.

This is the only file that knows all stations. They hand their results on as folders; docs/ has a page on each.
"""

from hornbook.ablation.verdict import verdict_step
from hornbook.core.step import Step, content_hash
from hornbook.corpus.held_out import hold_out_step
from hornbook.corpus.passages import passages_step
from hornbook.corpus.read import fingerprint, read_step
from hornbook.curation.annotation import labels_file
from hornbook.curation.decontamination import decontamination_step
from hornbook.curation.exact_duplicates import exact_duplicates_step
from hornbook.curation.near_duplicates import near_clusters_step, near_duplicates_step
from hornbook.curation.rules import file_rules_step, passage_rules_step
from hornbook.curation.scoring import score_step, train_step, validate_step
from hornbook.curation.selection import select_step
from hornbook.deployment.export import export_step
from hornbook.evaluation.bits_per_byte import bits_step
from hornbook.evaluation.config import BitsConfig
from hornbook.evaluation.sets import fingerprint as sets_fingerprint
from hornbook.evaluation.sets import held_out_step, sets_step
from hornbook.recipe import Recipe
from hornbook.report.page import TEMPLATES, report_step
from hornbook.tokenization.encode import encode_step
from hornbook.tokenization.train import train_tokenizer_step
from hornbook.training.probe import probe_step
from hornbook.training.trainer import train_arm_step


def plan(recipe: Recipe) -> list[Step]:
    """All steps of a recipe, in the order of travel."""
    corpus, curation, arms = recipe.corpus, recipe.curation, recipe.arms

    # Corpus: sources -> files -> passages. Some files are kept away from all arms, for evaluation.
    files = Step("corpus.files", read_step, "read", corpus.reading, external=fingerprint(corpus.reading))
    held_files = Step("corpus.held_out", hold_out_step, "verdict", corpus.held_out, {"documents": files})
    passages = Step("corpus.passages", passages_step, "transform", corpus.passages, {"documents": files})

    # The evaluation sets come this early because no arm may have read them.
    sets = Step("evaluation.sets", sets_step, "read", recipe.evaluation, external=sets_fingerprint(recipe.evaluation))

    # Curation: rules, duplicates, scores, leaks; each a verdict on passages that stay where they are.
    file_rules = Step("curation.file_rules", file_rules_step, "verdict", curation.file_rules, {"documents": files})
    rules = Step(
        "curation.passage_rules",
        passage_rules_step,
        "verdict",
        curation.passage_rules,
        {"documents": passages, "files": file_rules, "held_out": held_files},
    )
    survivors = {"documents": passages, "rules": rules}
    exact = Step("curation.exact_duplicates", exact_duplicates_step, "verdict", curation.exact_duplicates, survivors)
    survivors = {**survivors, "exact": exact}
    labels = {"labels": labels_file(curation.classifier.labels)}
    libraries = ("numpy", "scipy", "scikit-learn")
    classifier = Step("curation.classifier", train_step, "train", curation.classifier, labels, libraries)
    validation = Step("curation.validation", validate_step, "evaluate", curation.classifier, labels, libraries)
    scores = Step("curation.scores", score_step, "score", None, {**survivors, "classifier": classifier}, ("numpy",))
    near = curation.near_duplicates
    clusters = Step("curation.near_clusters", near_clusters_step, "score", near, survivors, ("daft",))
    near_scored = Step(
        "curation.near_duplicates", near_duplicates_step, "verdict", near, {"clusters": clusters, "scores": scores}
    )
    near_unscored = Step(
        "curation.near_duplicates_unscored", near_duplicates_step, "verdict", near, {"clusters": clusters}
    )
    leaks = Step(
        "curation.decontamination",
        decontamination_step,
        "verdict",
        curation.decontamination,
        {**survivors, "sets": sets},
    )

    # Selection: each arm takes what it wants, in one seeded order.
    inputs = {
        "raw": {"documents": passages, "held_out_files": held_files, "exact": exact},
        "rules": {**survivors, "near": near_unscored, "leaks": leaks},
        "classifier": {**survivors, "near": near_scored, "leaks": leaks, "scores": scores},
    }
    selected = {
        arm.name: Step(f"curation.select.{arm.name}", select_step, "select", arm.selection, inputs[arm.filter])
        for arm in arms
    }

    # Tokenization: one tokenizer for all arms, then each arm as numbers.
    tokenizer = Step(
        "tokenization.tokenizer",
        train_tokenizer_step,
        "train",
        recipe.tokenization.tokenizer,
        selected,
        ("tokenizers",),
    )
    tokens = {
        name: Step(
            f"tokenization.{name}",
            encode_step,
            "transform",
            recipe.tokenization.encoding,
            {"documents": documents, "tokenizer": tokenizer},
            ("tokenizers",),
        )
        for name, documents in selected.items()
    }

    # Training and evaluation of the arms. What the probe finds of the machine holds for all of them.
    probe = Step("training.probe", probe_step, "train", recipe.probing, libraries=("torch",), by_content=True)
    models = {
        arm.name: Step(
            f"training.{arm.name}",
            train_arm_step,
            "train",
            recipe.training_of(arm),
            {"tokens": tokens[arm.name], "tokenizer": tokenizer, "probe": probe},
            ("torch",),
        )
        for arm in arms
    }
    held_out = Step(
        "evaluation.held_out",
        held_out_step,
        "select",
        recipe.evaluation,
        {"documents": passages, "held_out_files": held_files, "exact": exact},
    )
    bits = {
        name: Step(
            f"evaluation.{name}",
            bits_step,
            "evaluate",
            BitsConfig(arm=name, seed=recipe.training.seed),
            {"model": model, "sets": sets, "held_out": held_out},
            ("torch",),
        )
        for name, model in models.items()
    }

    # The verdict, the best model for llama.cpp and transformers, the page about it all.
    verdict = Step("ablation.verdict", verdict_step, "evaluate", recipe.ablation, bits)
    trained = {model.name: model for model in models.values()}
    export = Step(
        "deployment.export",
        export_step,
        "publish",
        recipe.deployment,
        {"verdict": verdict, **trained},
        ("torch", "gguf", "xllamacpp"),
    )
    steps = [
        *(files, held_files, passages, sets, file_rules, rules, exact, classifier, scores),
        *(clusters, near_scored, near_unscored, leaks, *selected.values(), tokenizer, *tokens.values()),
        *(validation, probe, *models.values(), held_out, *bits.values(), verdict, export),
    ]
    every = {step.name: step for step in steps}
    page = Step("report.page", report_step, "publish", None, every, ("matplotlib",), content_hash(TEMPLATES))
    return [*steps, page]
