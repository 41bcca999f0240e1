"""`hornbook compare`, `sweep` and `ladder`: what did each decision about the data bring, and to models of what size?"""

from pathlib import Path

import yaml

from hornbook.arms import laddered, leave_one_out, swept, with_arms
from hornbook.core.errors import HornbookError
from hornbook.recipe import Recipe, load_recipe
from hornbook.run import walk

AUTO = "auto"


def compare(path: Path, arms: str | None = None, seeds: int | None = None, folder: Path | None = None) -> None:
    """Run the arms of a recipe over seeds in `folder` (default: runs/<name>-compare), and print what differs.

    `arms`: names divided by commas, or "auto" for the base arm without each of its data decisions (see
    `leave_one_out`). Raises HornbookError for names that the recipe does not know.
    """
    recipe = _with_arms(path)
    if arms == AUTO:
        recipe = leave_one_out(recipe)
    elif arms:
        recipe = with_arms(recipe, [name.strip() for name in arms.split(",")])
    run_arms(recipe, folder or Path("runs") / f"{recipe.name}-compare", seeds)


def sweep(path: Path, arm: str, setting: str, seeds: int | None = None, folder: Path | None = None) -> None:
    """Run one arm with several values of a setting, `name=value,value,...`, and plot what they bring.

    `folder` is runs/<name>-<setting> unless given. Raises HornbookError for arms and settings that are not there.
    """
    recipe = swept(_with_arms(path), arm, setting)
    name = setting.partition("=")[0].replace("_", "-").replace(".", "-")
    run_arms(recipe, folder or Path("runs") / f"{recipe.name}-{name}", seeds)


def ladder(
    path: Path,
    data: str,
    sizes: str,
    budgets: str | None = None,
    seeds: int | None = None,
    folder: Path | None = None,
) -> None:
    """Train models of several sizes on the data of several arms, and tell how many times larger is as good.

    `data`, `sizes` and `budgets` are lists divided by commas. `folder` is runs/<name>-ladder unless given. Raises
    HornbookError for arms and sizes that are not there.
    """
    names, shapes = ([part.strip() for part in text.split(",")] for text in (data, sizes))
    try:
        tokens = [int(part) for part in budgets.split(",")] if budgets else None
    except ValueError:
        raise HornbookError(f"{budgets!r} are no budgets.", "Give tokens divided by commas: 300_000,600_000.") from None
    recipe = _with_arms(path)
    run_arms(laddered(recipe, names, shapes, tokens), folder or Path("runs") / f"{recipe.name}-ladder", seeds)


def _with_arms(path: Path) -> Recipe:
    recipe = load_recipe(path)
    if recipe.phases:
        raise HornbookError(f"{path} has phases, and no arms to compare.", "`hornbook run` runs it.")
    return recipe


def run_arms(recipe: Recipe, folder: Path, seeds: int | None = None) -> None:
    """Run a recipe that was put together here; it is kept beside its results."""
    if seeds:
        recipe = recipe.model_copy(update={"ablation": recipe.ablation.model_copy(update={"seeds": seeds})})
    walk(recipe, folder, yaml.safe_dump(recipe.model_dump(mode="json"), sort_keys=False, allow_unicode=True))
