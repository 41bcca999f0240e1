"""The plan: a recipe as a list of steps, the whole way of the data on one screen.

This is the only file that knows all stations. They hand their results on as folders; docs/ has a page on each.
"""

from dataclasses import replace
from typing import Any

from hornbook.ablation.verdict import verdict_step
from hornbook.core.errors import HornbookError
from hornbook.core.step import Step, StepFunction, content_hash
from hornbook.corpus.held_out import hold_out_step
from hornbook.corpus.identity import fingerprint
from hornbook.corpus.passages import passages_step
from hornbook.corpus.read import read_step
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
from hornbook.evaluation.executed import executed_step
from hornbook.evaluation.sets import EXERCISES, held_out_step, sets_step
from hornbook.evaluation.sets import fingerprint as sets_fingerprint
from hornbook.evaluation.while_training import train_and_evaluate_step
from hornbook.recipe import Arm, Curation, Recipe
from hornbook.report.page import TEMPLATES, report_step
from hornbook.synthesis.config import Outline
from hornbook.synthesis.prompts import PROMPTS
from hornbook.synthesis.synthesize import synthesis_step
from hornbook.tokenization.encode import encode_step
from hornbook.tokenization.train import train_tokenizer_step
from hornbook.training.probe import probe_step
from hornbook.training.trainer import train_arm_step

LEARNING = ("numpy", "scipy", "scikit-learn")


class _Steps(dict[str, Step]):
    """Steps by name, in the order of travel. What is asked for twice is one step."""

    def __init__(self, prefix: str = "") -> None:
        self.prefix = prefix  # of all names

    def add(self, name: str, run: StepFunction, kind: str, config: Any = None, *rest: Any, **more: Any) -> Step:
        """The step that does this, if there is one by this name or as a variant of it; else a new one.

        Where the name is taken by a step that does something else, the new one is called `name.variant`.
        """
        variant, name = more.pop("variant", ""), self.prefix + name
        step = Step(name, run, kind, config, *rest, **more)
        for known in self.values():
            if f"{known.name}.".startswith(f"{name}.") and replace(step, name=known.name) == known:
                return known
        if name in self:
            step = replace(step, name=f"{name}.{variant}")
        self[step.name] = step
        return step


def plan(recipe: Recipe) -> list[Step]:
    """All steps of a recipe, in the order of travel."""
    steps = _Steps()
    add, corpus, arms = steps.add, recipe.corpus, recipe.trained

    # Synthesis: lessons that a teacher writes, some of them from passages that curation keeps.
    lessons = {f"synthesis.{name}": _synthesis(steps, recipe, name) for name in corpus.written}

    # Corpus: sources -> files -> passages. Some files are kept away from all arms, for evaluation.
    files = add("corpus.files", read_step, "read", corpus.reading, lessons, external=fingerprint(corpus.reading))
    held_files = add("corpus.held_out", hold_out_step, "verdict", corpus.held_out, {"documents": files})
    passages = add("corpus.passages", passages_step, "transform", corpus.passages, {"documents": files})

    # The evaluation sets come this early because no arm may have read them.
    frozen = recipe.evaluation.sets
    sets = add("evaluation.sets", sets_step, "read", frozen, external=sets_fingerprint(frozen))

    # Curation: verdicts on passages that stay where they are. What arms have in common is done once.
    basis = {"files": files, "held_out_files": held_files, "documents": passages, "sets": sets}
    selecting = [arm for arm in arms if not arm.data]
    inputs = {arm.name: _curation(steps, recipe.curation_of(arm), arm, basis) for arm in selecting}
    exact = inputs[recipe.selects(recipe.reference).name]["exact"]

    # Selection: each arm takes what it wants, in one seeded order; every repeat draws and trains anew.
    repeats = range(recipe.ablation.seeds)
    selected = [
        {
            arm.name: add(
                f"curation.select.{arm.name}",
                select_step,
                "select",
                arm.selection(n),
                inputs[arm.name],
                variant=f"repeat-{n}",
            )
            for arm in selecting
        }
        for n in repeats
    ]

    # Tokenization: one tokenizer for all arms, then each arm as numbers.
    learned = recipe.tokenization.tokenizer
    tokenizer = add("tokenization.tokenizer", train_tokenizer_step, "train", learned, selected[0], ("tokenizers",))
    tokens: list[dict[str, Step]] = [{} for _ in repeats]  # by arm; those that read the same share a step
    for n in repeats:
        for arm in arms:
            data, encoding = recipe.selects(arm).name, recipe.encoding_of(arm)
            own = encoding != recipe.tokenization.encoding
            tokens[n][arm.name] = add(
                f"tokenization.{data}",
                encode_step,
                "transform",
                encoding,
                {"documents": selected[n][data], "tokenizer": tokenizer},
                ("tokenizers",),
                variant=".".join([arm.name] * own + [f"repeat-{n}"] * (n > 0)),
            )

    if any(arm.filter == "classifier" for arm in arms):
        labels = {"labels": labels_file(recipe.curation.classifier.labels)}
        add("curation.validation", validate_step, "evaluate", recipe.curation.classifier, labels, LEARNING)

    # Training and evaluation of the arms. What the probe finds of the machine holds for all of them.
    probe = add("training.probe", probe_step, "train", recipe.probing, libraries=("torch",), by_content=True)
    held_out = add(
        "evaluation.held_out",
        held_out_step,
        "select",
        recipe.evaluation.sets,
        {"documents": passages, "held_out_files": held_files, "exact": exact},
    )
    exercises = content_hash(EXERCISES)
    models: list[dict[str, Step]] = [{} for _ in repeats]
    measured: dict[str, Step] = {}
    for n in repeats:
        for arm in arms:
            training, data, repeat = recipe.training_of(arm, n), recipe.selects(arm).name, f"repeat-{n}"
            given = {"tokens": tokens[n][arm.name], "tokenizer": tokenizer, "probe": probe}
            if start := training.finetune.start_from if training.finetune else arm.start_from:
                given["start"] = models[n][start]
            if training.curriculum:
                given["scores"] = inputs[data]["scores"]
            name = f"training.{arm.name}"
            train: StepFunction = train_arm_step
            if training.monitor.evaluate_every:
                train, given["held_out"] = train_and_evaluate_step, held_out
            model = add(name, train, "train", training, given, ("torch",), variant=repeat)
            models[n][arm.name] = model

            about = BitsConfig(arm=arm.name, seed=training.seed)
            given = {"model": model, "sets": sets, "held_out": held_out, "probe": probe}
            name = f"evaluation.{arm.name}"
            step = add(name, bits_step, "evaluate", about, given, ("torch",), variant=repeat)
            measured[step.name] = step
            if (execution := recipe.evaluation.execution).enabled:
                about_run = {"arm": arm.name, "seed": training.seed, "budget": recipe.budget_of(arm)}
                run = execution.model_copy(update=about_run)
                name, given = f"evaluation.executed.{arm.name}", {"model": model}
                step = add(name, executed_step, "evaluate", run, given, ("torch",), exercises, variant=repeat)
                measured[step.name] = step

    # The verdict, the best or last model for llama.cpp and transformers, the page about it all.
    given, deployment = {model.name: model for model in models[0].values()}, recipe.deployment
    if recipe.arms:
        given = {"verdict": add("ablation.verdict", verdict_step, "evaluate", recipe.ablation, measured), **given}
    else:
        deployment = deployment.model_copy(update={"phases": {arm.name: recipe.budget_of(arm) for arm in arms}})
    add("deployment.export", export_step, "publish", deployment, given, ("torch", "gguf", "xllamacpp"))
    add("report.page", report_step, "publish", None, dict(steps), ("matplotlib",), content_hash(TEMPLATES))
    return list(steps.values())


def synthesis_plan(recipe: Recipe, name: str) -> list[Step]:
    """The steps of one section of `synthesis`, its own the last, whether or not it is a source of the corpus."""
    steps = _Steps()
    _synthesis(steps, recipe, name)
    return list(steps.values())


def _synthesis(steps: _Steps, recipe: Recipe, name: str) -> Step:
    """One section of `synthesis`, after the steps that give it passages to read."""
    config = recipe.synthesis[name]
    inputs = {"documents": _passages_to_read(steps, recipe, name)} if config.reads_passages else {}
    outline = content_hash(config.topics.outline) if isinstance(config.topics, Outline) else ""
    external = content_hash(PROMPTS) + outline
    return steps.add(f"synthesis.{name}", synthesis_step, "transform", config, inputs, external=external)


def _passages_to_read(steps: _Steps, recipe: Recipe, name: str) -> Step:
    """The found sources alone, curated for the writers: steps like those of all, called `seeds.corpus.files` etc."""
    corpus, wanted = recipe.corpus, recipe.synthesis[name].passages
    if not corpus.found.sources:
        raise HornbookError(f"synthesis.{name} reads passages.", "Add a source to corpus.sources that is not written.")
    frozen, seeds = recipe.evaluation.sets, _Steps("seeds.")
    seeds.update({known: step for known, step in steps.items() if known.startswith("seeds.")})
    files = seeds.add("corpus.files", read_step, "read", corpus.found, external=fingerprint(corpus.found))
    basis = {
        "files": files,
        "held_out_files": seeds.add("corpus.held_out", hold_out_step, "verdict", corpus.held_out, {"documents": files}),
        "documents": seeds.add("corpus.passages", passages_step, "transform", corpus.passages, {"documents": files}),
        "sets": steps.add("evaluation.sets", sets_step, "read", frozen, external=sets_fingerprint(frozen)),
    }
    share = wanted.top_share if wanted.filter == "classifier" else None
    arm = Arm(name=f"for-{name}", filter=wanted.filter, top_share=share, max_bytes=wanted.max_bytes)
    given = _curation(seeds, recipe.curation, arm, basis)
    selected = seeds.add(f"curation.select.{arm.name}", select_step, "select", arm.selection(), given)
    steps.update(seeds)
    return selected


def _curation(steps: _Steps, curation: Curation, arm: Arm, basis: dict[str, Step]) -> dict[str, Step]:
    """Rules, duplicates, scores and leaks as one arm wants them; returns what its selection reads."""
    add, documents, name = steps.add, basis["documents"], arm.name
    files = {"documents": basis["files"]}
    file_rules = add("curation.file_rules", file_rules_step, "verdict", curation.file_rules, files, variant=name)
    rules = add(
        "curation.passage_rules",
        passage_rules_step,
        "verdict",
        curation.passage_rules,
        {"documents": documents, "files": file_rules, "held_out": basis["held_out_files"]},
        variant=name,
    )
    survivors = {"documents": documents, "rules": rules}
    duplicates = curation.exact_duplicates
    exact = add("curation.exact_duplicates", exact_duplicates_step, "verdict", duplicates, survivors, variant=name)
    if arm.filter == "raw":
        return {"documents": documents, "held_out_files": basis["held_out_files"], "exact": exact}

    survivors = {**survivors, "exact": exact}
    inputs, scores = dict(survivors), {}
    if arm.filter == "classifier":
        labels = {"labels": labels_file(curation.classifier.labels)}
        classifier = add(
            "curation.classifier", train_step, "train", curation.classifier, labels, LEARNING, variant=name
        )
        given = {**survivors, "classifier": classifier}
        scores = {"scores": add("curation.scores", score_step, "score", None, given, ("numpy",), variant=name)}
    if (near := curation.near_duplicates).enabled:
        clusters = add("curation.near_clusters", near_clusters_step, "score", near, survivors, ("daft",), variant=name)
        step = "curation.near_duplicates" + ("" if scores else "_unscored")
        inputs["near"] = add(
            step, near_duplicates_step, "verdict", near, {"clusters": clusters, **scores}, variant=name
        )
    if (leaks := curation.decontamination).enabled:
        given = {**survivors, "sets": basis["sets"]}
        inputs["leaks"] = add("curation.decontamination", decontamination_step, "verdict", leaks, given, variant=name)
    return inputs | scores
