"""Recipes made from a recipe: with some of its arms, without one decision at a time, swept, or over several sizes."""

from functools import reduce
from typing import Any

import yaml
from pydantic import ValidationError

from hornbook.ablation.config import LadderConfig, SweepConfig
from hornbook.core.errors import HornbookError
from hornbook.model.presets import LADDER
from hornbook.recipe import Arm, Recipe
from hornbook.scales import merged

SWITCHES = ("file_rules", "passage_rules", "exact_duplicates", "near_duplicates", "decontamination")


def with_arms(recipe: Recipe, names: list[str]) -> Recipe:
    """The recipe with these arms, the reference arm and what they take data or models from, and no others.

    The last of them is the base arm unless the recipe names it.
    """
    wanted = {recipe.ablation.reference_arm, *(arm.name for name in names for arm in _with_sources(recipe, name))}
    if len(wanted) < 2:
        raise HornbookError("One arm cannot be compared.", f"Name others beside {recipe.ablation.reference_arm}.")
    base = recipe.ablation.base_arm if recipe.ablation.base_arm in wanted else None
    arms = tuple(arm for arm in recipe.arms if arm.name in wanted)
    return _checked(recipe, arms, recipe.ablation.model_copy(update={"base_arm": base}))


def leave_one_out(recipe: Recipe) -> Recipe:
    """The reference arm, the base arm, and the base arm without each step of curation, classifier and lessons.

    All but the reference arm are trained at the reference budget only.
    """
    ablation = recipe.ablation
    base = _arm(recipe, ablation.base_arm or recipe.arms[-1].name)
    base = base.model_copy(update={"budgets": (ablation.reference_budget,)})
    if base.filter == "raw" or base.data:
        raise HornbookError(f"The arm {base.name} has no data decision to leave out.", "Name another base_arm.")
    variants = []
    for switch in SWITCHES:
        if getattr(recipe.curation_of(base), switch).enabled:
            off = merged(base.curation, {switch: {"enabled": False}})
            variants.append(_without(base, switch.replace("_", "-"), curation=off))
    if base.filter == "classifier":
        unranked = {"min_edu": None, "top_share": None, "min_self": None, "rank_by": {"edu": 1.0}}
        variants.append(_without(base, "classifier", filter="rules", **unranked))
    if base.lessons:
        variants.append(_without(base, "lessons", lessons=False, lesson_share=None, min_lesson_edu=None))
    arms = (recipe.reference, base, *variants)
    return _checked(recipe, arms, ablation.model_copy(update={"base_arm": base.name}))


def swept(recipe: Recipe, arm: str, setting: str) -> Recipe:
    """The reference arm, and one arm with every value of `name=value,value,...`, at the reference budget.

    `name` is a number of the arm, such as top_share, or one of its differences, such as training.curriculum or
    curation.near_duplicates.bands.
    """
    name, _, given = setting.partition("=")
    base = _arm(recipe, arm)
    first = name.split(".")[0]
    if first not in Arm.model_fields:
        known = ", ".join(key for key in Arm.model_fields if key not in ("name", "seed", "data", "budgets"))
        raise HornbookError(f"An arm has no setting {name!r} to sweep.", f"These are: {known}.")
    arms, values = [], {}
    for text in given.split(","):
        try:
            value = yaml.safe_load(text)
            number = float(value)
            own = {**dict(base), "name": _name(arm, text), "budgets": (recipe.ablation.reference_budget,)}
            change = reduce(lambda inner, key: {key: inner}, reversed(name.split(".")), value)
            arms.append(Arm(**merged(own, change)))
        except (ValueError, TypeError) as error:
            reason = error.errors()[0]["msg"] if isinstance(error, ValidationError) else "it is no number"
            raise HornbookError(f"{name} cannot be {text.strip()!r}: {reason}.", "Give numbers and commas.") from error
        values[arms[-1].name] = number
    sweep = SweepConfig(setting=name, values=values)
    ablation = recipe.ablation.model_copy(update={"sweep": sweep, "base_arm": arms[0].name})
    return _checked(recipe, (recipe.reference, *arms), ablation)


def laddered(recipe: Recipe, data: list[str], sizes: list[str], budgets: list[int] | None = None) -> Recipe:
    """Models of several sizes on the data of each of some arms, the reference arm among them.

    The recipe's own model is always one of them. Every model is finished at the same `budgets` (default: half the
    reference budget, that budget, and twice as much).
    """
    if unknown := [size for size in sizes if size not in LADDER]:
        raise HornbookError(f"There is no model {', '.join(unknown)}.", f"These are: {', '.join(LADDER)}.")
    reference = recipe.ablation.reference_budget
    tokens = tuple(sorted({*(budgets or (reference // 2, 2 * reference)), reference}))
    own_shape = recipe.training.model.model_dump()
    shapes = {size: {**own_shape, **LADDER[size]} for size in sizes}
    arms: list[Arm] = []
    for name in dict.fromkeys([recipe.reference.name, *data]):
        base = _arm(recipe, name).model_copy(update={"budgets": tokens})
        if base.data or base.training.get("model"):
            raise HornbookError(f"The arm {name} has no selection or no size of its own.", "Name another.")
        arms.append(base)
        for size, shape in shapes.items():
            if shape != own_shape:
                own: dict[str, Any] = {"budgets": tokens, "lesson_share": base.lesson_share}
                own["training"] = {**base.training, "model": shape}
                arms.append(Arm(name=_name(name, size), data=name, seed=base.seed, **own))
    reads = {arm.name: arm.data or arm.name for arm in arms}
    ladder = LadderConfig(data=reads)
    base_arm = recipe.ablation.base_arm if recipe.ablation.base_arm in reads else [*reads.values()][-1]
    return _checked(recipe, tuple(arms), recipe.ablation.model_copy(update={"ladder": ladder, "base_arm": base_arm}))


def _arm(recipe: Recipe, name: str) -> Arm:
    by_name = {arm.name: arm for arm in recipe.arms}
    if name not in by_name:
        raise HornbookError(f"The recipe has no arm {name}.", f"Its arms are {', '.join(by_name)}.")
    return by_name[name]


def _with_sources(recipe: Recipe, name: str) -> list[Arm]:
    """An arm and all that it takes data or models from."""
    arm = _arm(recipe, name)
    finetune = recipe.training_of(arm).finetune
    sources = [source for source in (arm.data, finetune.start_from if finetune else None) if source]
    return [arm, *(further for source in sources for further in _with_sources(recipe, source))]


def _name(arm: str, value: str) -> str:
    """A name that arms may have: small letters, digits, dots and hyphens; a minus becomes a word."""
    value = value.strip().replace("_", "").lower()
    return f"{arm}-" + (f"minus-{value[1:]}" if value.startswith("-") else value)


def _checked(recipe: Recipe, arms: tuple[Arm, ...], ablation: Any) -> Recipe:
    """The recipe with these arms, all its rules checked again."""
    try:
        return Recipe(**{**dict(recipe), "arms": arms, "ablation": ablation})
    except ValidationError as error:
        message = error.errors()[0]["msg"].removeprefix("Value error, ")
        raise HornbookError(f"These arms do not fit the recipe: {message}.", "Correct the values.") from error


def _without(base: Arm, what: str, **changes: object) -> Arm:
    return Arm(**{**dict(base), **changes, "name": f"no-{what}"})
