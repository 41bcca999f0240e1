"""`hornbook compare`: what did each decision about the data bring? Arms of one recipe, over several seeds."""

from pathlib import Path

import yaml

from hornbook.ablation.config import SweepConfig
from hornbook.core.errors import HornbookError
from hornbook.recipe import Arm, Recipe, load_recipe
from hornbook.run import walk

AUTO = "auto"
_NUMBERS = ("top_share", "min_edu", "min_self", "max_bytes", "lesson_share", "min_lesson_edu")
SWITCHES = ("file_rules", "passage_rules", "exact_duplicates", "near_duplicates", "decontamination")


def compare(path: Path, arms: str | None = None, seeds: int | None = None, folder: Path | None = None) -> None:
    """Run the arms of a recipe over seeds in `folder` (default: runs/<name>-compare), and print what differs.

    `arms`: names divided by commas, or "auto" for the base arm without each of its data decisions (see
    `leave_one_out`). Raises HornbookError for names that the recipe does not know.
    """
    recipe = load_recipe(path)
    if arms == AUTO:
        recipe = leave_one_out(recipe)
    elif arms:
        recipe = with_arms(recipe, [name.strip() for name in arms.split(",")])
    run_arms(recipe, folder or Path("runs") / f"{recipe.name}-compare", seeds)


def sweep(path: Path, arm: str, setting: str, seeds: int | None = None, folder: Path | None = None) -> None:
    """Run one arm with several values of a setting, `name=value,value,...`, and plot what they bring.

    `folder` is runs/<name>-<setting> unless given. Raises HornbookError for arms and settings that are not there.
    """
    recipe = swept(load_recipe(path), arm, setting)
    name = setting.partition("=")[0].replace("_", "-")
    run_arms(recipe, folder or Path("runs") / f"{recipe.name}-{name}", seeds)


def run_arms(recipe: Recipe, folder: Path, seeds: int | None = None) -> None:
    """Run a recipe that was put together here; it is kept beside its results."""
    if seeds:
        recipe = recipe.model_copy(update={"ablation": recipe.ablation.model_copy(update={"seeds": seeds})})
    walk(recipe, folder, yaml.safe_dump(recipe.model_dump(mode="json"), sort_keys=False, allow_unicode=True))


def with_arms(recipe: Recipe, names: list[str]) -> Recipe:
    """The recipe with the reference arm and these arms only, the last of them as base unless the recipe names it."""
    known = [arm.name for arm in recipe.arms]
    if unknown := [name for name in names if name not in known]:
        raise HornbookError(f"The recipe has no arm {', '.join(unknown)}.", f"Its arms are {', '.join(known)}.")
    wanted = {recipe.ablation.reference_arm, *names}
    if len(wanted) < 2:
        raise HornbookError("One arm cannot be compared.", f"Name others beside {recipe.ablation.reference_arm}.")
    base = recipe.ablation.base_arm if recipe.ablation.base_arm in wanted else None
    ablation = recipe.ablation.model_copy(update={"base_arm": base})
    return recipe.model_copy(
        update={"arms": tuple(arm for arm in recipe.arms if arm.name in wanted), "ablation": ablation}
    )


def leave_one_out(recipe: Recipe) -> Recipe:
    """The reference arm, the base arm, and the base arm without each step of curation, classifier and lessons.

    All but the reference arm are trained at the reference budget only.
    """
    ablation = recipe.ablation
    by_name = {arm.name: arm for arm in recipe.arms}
    base = by_name[ablation.base_arm or recipe.arms[-1].name].model_copy(
        update={"budgets": (ablation.reference_budget,)}
    )
    if base.filter == "raw":
        raise HornbookError(f"The arm {base.name} has no data decision to leave out.", "Name another base_arm.")
    variants = []
    for switch in SWITCHES:
        if getattr(recipe.curation_of(base), switch).enabled:
            off = {**base.curation, switch: {**base.curation.get(switch, {}), "enabled": False}}
            variants.append(_without(base, switch.replace("_", "-"), curation=off))
    if base.filter == "classifier":
        unranked = {"min_edu": None, "top_share": None, "min_self": None, "rank_by": {"edu": 1.0}}
        variants.append(_without(base, "classifier", filter="rules", **unranked))
    if base.lessons:
        variants.append(_without(base, "lessons", lessons=False, lesson_share=None, min_lesson_edu=None))
    return recipe.model_copy(
        update={
            "arms": (by_name[ablation.reference_arm], base, *variants),
            "ablation": ablation.model_copy(update={"base_arm": base.name}),
        }
    )


def swept(recipe: Recipe, arm: str, setting: str) -> Recipe:
    """The reference arm, and one arm with every value of `name=value,value,...`, at the reference budget."""
    name, _, given = setting.partition("=")
    by_name = {known.name: known for known in recipe.arms}
    if arm not in by_name:
        raise HornbookError(f"The recipe has no arm {arm}.", f"Its arms are {', '.join(by_name)}.")
    if name not in _NUMBERS:
        raise HornbookError(f"An arm has no number {name!r} to sweep.", f"These are: {', '.join(_NUMBERS)}.")
    arms, values = [], {}
    for text in given.split(","):
        try:
            value = yaml.safe_load(text)
            own = {**dict(by_name[arm]), name: value, "name": f"{arm}-{value}"}
            arms.append(Arm(**{**own, "budgets": (recipe.ablation.reference_budget,)}))
            values[arms[-1].name] = float(value)
        except (ValueError, TypeError) as error:
            raise HornbookError(f"{name} cannot be {text.strip()!r}.", "Give numbers divided by commas.") from error
    sweep = SweepConfig(setting=name, values=values)
    ablation = recipe.ablation.model_copy(update={"sweep": sweep, "base_arm": arms[0].name})
    return recipe.model_copy(update={"arms": (by_name[ablation.reference_arm], *arms), "ablation": ablation})


def _without(base: Arm, what: str, **changes: object) -> Arm:
    return Arm(**{**dict(base), **changes, "name": f"no-{what}"})
