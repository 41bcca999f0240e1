"""What `hornbook synth ...` does: the steps that a section of `synthesis` needs before it, then the section itself."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pydantic import ValidationError

from hornbook.core.errors import HornbookError
from hornbook.core.lock import folder_lock
from hornbook.core.step import execute
from hornbook.plan import synthesis_plan
from hornbook.recipe import Recipe, load_recipe
from hornbook.services.llm_config import TeacherConfig
from hornbook.synthesis import command
from hornbook.synthesis.planning import Plan
from hornbook.synthesis.synthesize import Written, synthesize


def run(
    path: Path,
    folder: Path | None = None,
    section: str | None = None,
    teacher: TeacherConfig | None = None,
    minutes: float | None = None,
) -> None:
    """Write the lessons of a recipe's sections (all, or one) and print what came of them.

    Raises HornbookError for anything wrong with the recipe, the teacher or the machine. With `minutes` no new item is
    begun after that time; the same command goes on.
    """
    recipe, names, folder = _opened(path, folder, section, teacher)
    for name in names:
        with _planned(recipe, name, folder) as plan:
            written = synthesize(plan, _store(folder, name), minutes=minutes)
        _tell(name, written)
        if written.accepted and written.done == written.planned and teacher is None:
            with folder_lock(folder, "Name another folder with --run"):
                list(execute(synthesis_plan(recipe, name), folder))  # so that `hornbook run` finds it done


def dry_run(path: Path, folder: Path | None = None, section: str | None = None) -> None:
    """Print one prompt of each writer, counts and cost; nothing is asked."""
    recipe, names, folder = _opened(path, folder, section, None)
    for name in names:
        with _planned(recipe, name, folder) as plan:
            command.print_dry_run(plan)


def show_plan(path: Path, folder: Path | None = None, section: str | None = None) -> None:
    """Print the seeds of all items as JSON lines."""
    recipe, names, folder = _opened(path, folder, section, None)
    for name in names:
        with _planned(recipe, name, folder) as plan:
            command.print_plan(plan)


def export_batch(
    path: Path,
    target: Path,
    folder: Path | None = None,
    section: str | None = None,
    teacher: TeacherConfig | None = None,
) -> None:
    """Write what is to be asked next into batch files below `target`."""
    recipe, names, folder = _opened(path, folder, section, teacher)
    waiting = 0
    for name in names:
        with _planned(recipe, name, folder) as plan:
            written = command.export_batch(plan, _store(folder, name), target)
        waiting += written.unanswered.get("waiting", 0)
        _tell(name, written)
    if waiting:
        print(f"Batch files: {target}. Send them to your host, then: hornbook synth import-batch ANSWERS ...")
    else:
        print("Nothing is left to ask: hornbook synth run finishes.")


def teacher_at(url: str | None, model: str, key_env: str) -> TeacherConfig | None:
    """The teacher that options of the command line name; None where they name none. HornbookError for a wrong one."""
    if url is None:
        return None
    try:
        return TeacherConfig(url=url, model=model, key_env=key_env)
    except ValidationError as error:
        message = error.errors()[0]["msg"].removeprefix("Value error, ")
        raise HornbookError(f"--teacher {url}: {message}.", "Give --teacher with --model.") from error


def _opened(
    path: Path, folder: Path | None, section: str | None, teacher: TeacherConfig | None
) -> tuple[Recipe, list[str], Path]:
    recipe = load_recipe(path)
    names = command.section(recipe.synthesis, section)
    if teacher is not None:
        changed = {name: recipe.synthesis[name].model_copy(update={"teacher": teacher}) for name in names}
        recipe = recipe.model_copy(update={"synthesis": {**recipe.synthesis, **changed}})
    return recipe, names, Path(folder or Path("runs") / recipe.name)


@contextmanager
def _planned(recipe: Recipe, name: str, folder: Path) -> Iterator[Plan]:
    """The plan of a section, once the passages that it reads are there; the run is locked meanwhile."""
    with folder_lock(folder, "Name another folder with --run"):
        documents = _documents(recipe, name, folder) if recipe.synthesis[name].reads_passages else None
        yield Plan(name, recipe.synthesis[name], documents)


def _documents(recipe: Recipe, name: str, folder: Path) -> Path:
    *before, _ = synthesis_plan(recipe, name)
    for done in execute(before, folder):
        if done.fresh:
            print(f"  {done.step.name}", flush=True)
    return folder / "steps" / before[-1].name


def _store(folder: Path, name: str) -> Path:
    return folder / "synthesis" / name


def _tell(name: str, written: Written) -> None:
    command.print_written(name, written)
    if written.done < written.planned:
        print(f"  {written.planned - written.done:,} items are left; the same command goes on.")
