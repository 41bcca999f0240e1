"""The recipe as one tree: its field names are the keys of the YAML file. What each section means is said where
its class is defined, in the `config.py` of its station."""

import difflib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, Self

import yaml
from pydantic import BaseModel, Field, ValidationError, field_validator, model_validator

from hornbook.ablation.config import VerdictConfig
from hornbook.core.config import Config
from hornbook.core.errors import HornbookError
from hornbook.corpus.config import HoldOutConfig, PassageConfig, SourcesConfig, Synthesis, relative_to
from hornbook.curation.config import (
    ArmConfig,
    ClassifierConfig,
    DecontaminationConfig,
    ExactDuplicatesConfig,
    FileRulesConfig,
    NearDuplicatesConfig,
    PassageRulesConfig,
)
from hornbook.deployment.config import DeploymentConfig
from hornbook.evaluation.config import ExecutionConfig, SetsConfig
from hornbook.scales import LAPTOP, at_scale, merged
from hornbook.synthesis.config import Outline, SynthesisConfig
from hornbook.tokenization.config import EncodeConfig, TokenizerConfig
from hornbook.tokenization.shards import CORPUS, LESSONS
from hornbook.training.config import ProbeConfig, TrainConfig, with_preset


class Corpus(SourcesConfig):
    """Sources, and how their files are cut and held out."""

    held_out: HoldOutConfig = HoldOutConfig()
    passages: PassageConfig = PassageConfig()

    @property
    def reading(self) -> SourcesConfig:
        """What bears on reading alone."""
        return SourcesConfig(**{name: getattr(self, name) for name in SourcesConfig.model_fields})

    @property
    def found(self) -> SourcesConfig:
        """The reading of all sources but those that are written."""
        sources = [source for source in self.sources if not isinstance(source, Synthesis)]
        return self.reading.model_copy(update={"sources": sources})

    @property
    def written(self) -> list[str]:
        """The sections of `synthesis` that are sources."""
        return [source.synthesis for source in self.sources if isinstance(source, Synthesis)]


class Curation(Config):
    """What is thrown away before any arm chooses."""

    file_rules: FileRulesConfig = FileRulesConfig()
    passage_rules: PassageRulesConfig = PassageRulesConfig()
    exact_duplicates: ExactDuplicatesConfig = ExactDuplicatesConfig()
    classifier: ClassifierConfig = ClassifierConfig()
    near_duplicates: NearDuplicatesConfig = NearDuplicatesConfig()
    decontamination: DecontaminationConfig = DecontaminationConfig()


class Tokenization(TokenizerConfig):
    """The tokenizer, and how it is applied."""

    encoding: EncodeConfig = EncodeConfig()

    @property
    def tokenizer(self) -> TokenizerConfig:
        """What bears on the tokenizer alone."""
        return TokenizerConfig(**{name: getattr(self, name) for name in TokenizerConfig.model_fields})


class Evaluation(SetsConfig):
    """The texts that models are measured on, and whether what they write is executed."""

    execution: ExecutionConfig = ExecutionConfig()

    @property
    def sets(self) -> SetsConfig:
        """What bears on the texts alone."""
        return SetsConfig(**{name: getattr(self, name) for name in SetsConfig.model_fields})


class Arm(ArmConfig):
    """An arm of the comparison, or a phase of a training without one: what it selects, and where it differs from the
    sections `curation` and `training`."""

    data: str | None = None  # an arm whose data this one reads, instead of a selection of its own
    curation: dict[str, Any] = Field(default={})  # for instance {near_duplicates: {enabled: false}}
    training: dict[str, Any] = Field(default={})  # for instance {model: {num_hidden_layers: 8}}
    budgets: tuple[int, ...] | None = Field(None, min_length=1)  # tokens at which a model is finished
    lesson_share: float | tuple[float, float] | None = None  # of the tokens trained on
    # Of a phase: the one whose model it goes on with, the one before it unless given. null: fresh weights.
    start_from: str | None = None

    @field_validator("training")
    @classmethod
    def _fill_in_preset(cls, training: dict[str, Any]) -> dict[str, Any]:
        """A preset stands for all its numbers, also where it is one difference of several."""
        model = training.get("model")
        return {**training, "model": with_preset(model)} if isinstance(model, dict) else training

    def own_selection(self) -> list[str]:
        """What it says about its selection, by key."""
        keys = [key for key in ("curation", *ArmConfig.model_fields) if key not in ("name", "seed")]
        return [key for key in keys if getattr(self, key) != type(self).model_fields[key].default]

    def selection(self, repeat: int = 0) -> ArmConfig:
        """What bears on the selection alone, so that a new budget does not select again."""
        own = {name: getattr(self, name) for name in ArmConfig.model_fields}
        return ArmConfig(**{**own, "seed": self.seed + repeat})


class Recipe(Config):
    """The whole way, from sources to the report: with arms, which are compared, or with phases, where each goes on with
    the model of the one before and that of the last is the result."""

    name: str = Field(pattern=r"^[\w.-]+$")
    seed: int = Field(0, ge=0)  # of what is drawn and trained, unless a section gives its own
    corpus: Corpus
    synthesis: dict[Annotated[str, Field(pattern=r"^[a-z][a-z0-9_-]*$")], SynthesisConfig] = Field(default={})
    curation: Curation = Curation()
    arms: tuple[Arm, ...] = ()
    phases: tuple[Arm, ...] = ()
    tokenization: Tokenization = Tokenization()
    probe: ProbeConfig = ProbeConfig()
    training: TrainConfig = TrainConfig()
    evaluation: Evaluation = Evaluation()
    ablation: VerdictConfig = VerdictConfig()
    deployment: DeploymentConfig = DeploymentConfig()

    @model_validator(mode="before")
    @classmethod
    def _spread_seed(cls, data: Any) -> Any:
        if isinstance(data, dict) and isinstance(data.get("seed"), int):
            return _with_seed(cls, data, data["seed"])
        return data

    @model_validator(mode="before")
    @classmethod
    def _chain_phases(cls, data: Any) -> Any:
        phases = data.get("phases") if isinstance(data, dict) else None
        if not isinstance(phases, list) or not all(isinstance(phase, dict) for phase in phases):
            return data
        before = [{"start_from": phase.get("name")} for phase in phases[:-1]]
        return {**data, "phases": [*phases[:1], *({**a, **b} for a, b in zip(before, phases[1:], strict=True))]}

    @model_validator(mode="after")
    def _arms_fit_together(self) -> Self:
        for name in self.corpus.written:
            if name not in self.synthesis:
                raise ValueError(f"corpus.sources: there is no section synthesis.{name}")
        if bool(self.arms) == bool(self.phases) or len(self.arms) == 1:
            raise ValueError("give at least two arms to compare, or phases that follow each other")
        names = [arm.name for arm in self.trained]
        if len(set(names)) < len(names):
            raise ValueError(f"{self.kind}: each needs a name of its own")
        if self.arms and self.ablation.reference_arm not in names:
            raise ValueError(f"ablation.reference_arm: no arm is called {self.ablation.reference_arm!r}")
        if self.arms and (base := self.ablation.base_arm) is not None and base not in names:
            raise ValueError(f"ablation.base_arm: no arm is called {base!r}")
        for number, arm in enumerate(self.trained):
            self.curation_of(arm)
            self._check_links(arm, {known.name: known for known in self.trained[:number]})
            if self.budget_of(arm) not in self.training_of(arm).budgets:
                raise ValueError(
                    f"arms.{arm.name}: budgets lack the ablation.reference_budget, {self.ablation.reference_budget:,}"
                )
        return self

    @property
    def trained(self) -> tuple[Arm, ...]:
        """All that is trained, in order: the arms or the phases."""
        return self.arms or self.phases

    @property
    def kind(self) -> str:
        """The key of what is trained."""
        return "arms" if self.arms else "phases"

    def budget_of(self, arm: Arm) -> int:
        """Tokens of the model that stands for an arm: the reference budget, or the largest one of a phase."""
        return self.ablation.reference_budget if self.arms else max(self.training_of(arm).budgets)

    def _check_links(self, arm: Arm, earlier: dict[str, Arm]) -> None:
        """What an arm takes over from others must be there: their data, and the models that it starts from."""
        place = f"{self.kind}.{arm.name}"
        if arm.data is not None:
            if arm.data not in earlier or earlier[arm.data].data:
                raise ValueError(f"{place}.data: no {self.kind[:-1]} above it selects as {arm.data!r}")
            if own := arm.own_selection():
                raise ValueError(f"{place} reads what {arm.data} selects: take out its {', '.join(own)}")
        training = self.training_of(arm)
        if training.lesson_share and not self.selects(arm).lessons:
            raise ValueError(f"{place}.lesson_share needs lessons: true")
        if training.curriculum and self.selects(arm).filter != "classifier":
            raise ValueError(f"{place}.training.curriculum needs the scores of filter: classifier")
        if self.selects(arm).filter == "none" and not training.data.mixture and min(training.shares) < 1:
            raise ValueError(f"{place} reads lessons alone: give it lesson_share: 1")
        if self.phases:
            self._check_start(arm, training, earlier)
        elif arm.start_from:
            raise ValueError(f"{place}.start_from is of phases: an arm goes on by training.finetune")
        elif (finetune := training.finetune) is not None:
            if finetune.start_from not in earlier:
                raise ValueError(f"arms.{arm.name}: no arm above it is called {finetune.start_from!r}")
            start = self.training_of(earlier[finetune.start_from])
            if start.model != training.model or not set(training.budgets) <= set(start.budgets):
                raise ValueError(f"arms.{arm.name} needs the model and the budgets of {finetune.start_from}")

    def _check_start(self, phase: Arm, training: TrainConfig, earlier: dict[str, Arm]) -> None:
        """A phase goes on with weights that fit; what only turns or hides positions may differ."""
        place = f"phases.{phase.name}"
        if training.finetune:
            raise ValueError(f"{place} starts from the one before it: give it budgets and a schedule, not finetune")
        if phase.start_from is not None:
            if phase.start_from not in earlier:
                raise ValueError(f"{place}.start_from: no phase above it is called {phase.start_from!r}")
            if not training.model.fits(self.training_of(earlier[phase.start_from]).model):
                raise ValueError(
                    f"{place}.training.model needs the shape of {phase.start_from}, whose weights it takes"
                )

    def selects(self, arm: Arm) -> Arm:
        """The arm that selects what this one reads: itself, or the one it names in `data`."""
        return self._arm(arm.data or arm.name)

    def _arm(self, name: str) -> Arm:
        return next(arm for arm in self.trained if arm.name == name)

    def curation_of(self, arm: Arm) -> Curation:
        """The section `curation` with what the arm says otherwise."""
        with self._said_by(arm, "curation"):
            return Curation(**merged(self.curation.model_dump(), arm.curation))

    def training_of(self, arm: Arm, repeat: int = 0) -> TrainConfig:
        """The section `training` with what the arm says otherwise, and the seed of a repeat."""
        own = {name: getattr(arm, name) for name in ("budgets", "lesson_share") if getattr(arm, name) is not None}
        with self._said_by(arm, "training"):
            training = TrainConfig(**{**merged(self.training.model_dump(), arm.training), **own})
        return training.model_copy(update={"seed": training.seed + repeat})

    @contextmanager
    def _said_by(self, arm: Arm, section: str) -> Iterator[None]:
        """An error in what an arm says otherwise names the arm."""
        try:
            yield
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(map(str, (self.kind, arm.name, section, *first["loc"])))
            raise ValueError(f"{where}: {first['msg'].removeprefix('Value error, ')}") from None

    def encoding_of(self, arm: Arm) -> EncodeConfig:
        """How the documents that an arm reads become tokens: what its mixture names has a store of its own."""
        encoding = self.tokenization.encoding
        named = [*encoding.stores, *self.training_of(arm).data.stores]
        stores = tuple(name for name in dict.fromkeys(named) if name not in (CORPUS, LESSONS))
        return encoding.model_copy(update={"stores": stores})

    @property
    def reference(self) -> Arm:
        """The yardstick; of phases the first."""
        return self._arm(self.ablation.reference_arm) if self.arms else self.phases[0]

    @property
    def probing(self) -> ProbeConfig:
        """The section `probe` with the work that this recipe plans."""
        training = self.training
        planned = self.ablation.seeds * sum(sum(self.training_of(arm).budgets) for arm in self.trained)
        return self.probe.model_copy(
            update={
                "model": training.model,
                "vocab_size": self.tokenization.vocab_size,
                "context": training.context,
                "batch_tokens": training.batch_tokens,
                "micro_batch_tokens": training.micro_batch_tokens,
                "activation_checkpointing": training.activation_checkpointing,
                "planned_tokens": planned,
                "planned_arms": self.ablation.seeds * len(self.trained),
            }
        )


def load_recipe(path: Path, scale: str = LAPTOP) -> Recipe:
    """Read and check a recipe at one of its scales. Raises HornbookError that names the key and the remedy.

    Relative paths in it start where the recipe lies.
    """
    path = Path(path)
    data = _read(path)
    try:
        recipe = Recipe(**at_scale(data, scale))
    except HornbookError as error:
        raise HornbookError(f"{path}: {error.problem}", error.remedy) from None
    except (ValidationError, TypeError) as error:
        raise _explain(f"{path}, scale {scale}" if "scales" in data else str(path), error) from None
    return _resolved(recipe, path.resolve().parent)


def _read(path: Path, known: tuple[Path, ...] = ()) -> dict[str, Any]:
    """A recipe as YAML says it, merged over the one that it extends; `known` are those that extend it."""
    try:
        data = yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise HornbookError(f"There is no recipe {path}.", "`hornbook init DIR --source FOLDER` writes one.") from None
    except (OSError, UnicodeDecodeError) as error:
        raise HornbookError(f"Cannot read {path}: {error}.", "Give the path of a YAML file.") from error
    except yaml.YAMLError as error:
        raise HornbookError(f"{path} is not YAML: {error}.", "Mind the indentation near that line.") from error
    if not isinstance(data, dict):
        raise HornbookError(f"{path} is not a recipe.", "Start from recipes/laptop-python.yaml.")
    if (base := data.pop("extends", None)) is None:
        return data
    if not isinstance(base, str) or (path.parent / base).resolve() in (known := (*known, path.resolve())):
        raise HornbookError(f"{path}: extends: {base!r} is no other recipe.", "Name the file that this one changes.")
    return merged(_read(path.parent / base, known), data)


def _resolved(recipe: Recipe, folder: Path) -> Recipe:
    """The recipe with the relative paths in it, which start where the recipe lies, made absolute."""
    sources = [relative_to(source, folder) for source in recipe.corpus.sources]
    corpus = recipe.corpus.model_copy(update={"sources": sources})
    classifier = recipe.curation.classifier
    if not classifier.labels.startswith("builtin:"):
        classifier = classifier.model_copy(update={"labels": str(folder / classifier.labels)})
    curation = recipe.curation.model_copy(update={"classifier": classifier})
    written = {
        name: section.model_copy(update={"topics": Outline(outline=folder / section.topics.outline)})
        if isinstance(section.topics, Outline)
        else section
        for name, section in recipe.synthesis.items()
    }
    return recipe.model_copy(update={"corpus": corpus, "curation": curation, "synthesis": written})


# Runs with other seeds have the same corpus, survivors and evaluation sets, so that they can be compared text by text.
_FROZEN = ("corpus", "curation", "evaluation")


def _with_seed(section: type[BaseModel], data: dict[str, Any], seed: int) -> dict[str, Any]:
    """Give `seed` to every section below that has one and does not say otherwise, but not to the frozen ones."""
    data = dict(data)
    for name, field in section.model_fields.items():
        kind = field.annotation
        if name in _FROZEN:
            continue
        if name == "seed":
            data.setdefault("seed", seed)
        elif name in ("arms", "phases") and isinstance(data.get(name), list):
            data[name] = [_with_seed(Arm, arm, seed) if isinstance(arm, dict) else arm for arm in data[name]]
        elif isinstance(kind, type) and issubclass(kind, BaseModel) and isinstance(data.get(name, {}), dict):
            data[name] = _with_seed(kind, data.get(name, {}), seed)
    return data


def _explain(path: str, error: ValidationError | TypeError) -> HornbookError:
    """The first thing wrong with a recipe, with its place in dots, and what would be right."""
    if isinstance(error, TypeError):
        return HornbookError(f"{path}: {error}.", "Keys are words.")
    first = error.errors()[0]
    place = [part for part in first["loc"] if not (isinstance(part, str) and part in ("python", "distributions"))]
    where = ".".join(map(str, place)) or "recipe"
    if first["type"] == "extra_forbidden":
        known = _keys_beside([str(part) for part in first["loc"]])
        close = difflib.get_close_matches(str(first["loc"][-1]), known, n=1)
        remedy = f"Did you mean {close[0]!r}?" if close else f"Known here: {', '.join(known)}."
        return HornbookError(f"{path}: unknown key {where}.", remedy)
    message = first["msg"].removeprefix("Value error, ")
    given = "" if isinstance(first["input"], dict | list) or first["type"] == "missing" else f", not {first['input']!r}"
    return HornbookError(f"{path}: {where}: {message}{given}.", "Correct it and run again.")


def _keys_beside(place: list[str]) -> list[str]:
    """Keys that the section of `place` knows."""
    section: Any = Recipe
    for part in place[:-1]:
        if part in ("arms", "phases"):
            section = Arm
        elif isinstance(section, type) and issubclass(section, BaseModel) and part in section.model_fields:
            kind = section.model_fields[part].annotation
            section = kind if isinstance(kind, type) and issubclass(kind, BaseModel) else section
    return sorted(section.model_fields)
