"""Walk the way of a recipe: bring every step up to date, tell what happened, and put the results in plain sight."""

import json
import os
import shutil
import time
from pathlib import Path
from typing import Any

import yaml

from hornbook.core.documents import atomic_write
from hornbook.core.errors import HornbookError
from hornbook.core.lock import folder_lock
from hornbook.core.step import Done, execute, read_manifest
from hornbook.plan import plan
from hornbook.recipe import Recipe, load_recipe
from hornbook.report.status import PLAN
from hornbook.report.summary import print_summary
from hornbook.scales import LAPTOP

RESULTS = ("report.html", "comparison.html", "results.json")


def run_recipe(path: Path, folder: Path | None = None, until: str | None = None, scale: str = LAPTOP) -> None:
    """Run the recipe at `path` in `folder`, up to the step `until` (default: all).

    `folder` is runs/<name> unless given, at another scale than laptop runs/<name>-<scale>. Raises HornbookError for
    anything wrong with the recipe, its sources or the machine.
    """
    recipe = load_recipe(path, scale)
    name = recipe.name if scale == LAPTOP else f"{recipe.name}-{scale}"
    walk(recipe, Path(folder or Path("runs") / name), _kept(path, recipe), until)


def train_recipe(path: Path, folder: Path | None = None, scale: str = LAPTOP) -> None:
    """Run the recipe at `path` up to its last training; see `run_recipe`."""
    run_recipe(path, folder, f"training.{load_recipe(path, scale).trained[-1].name}", scale)


def _kept(path: Path, recipe: Recipe) -> str:
    """The recipe as it lies beside its results: as it was written, but one of phases as it is at its scale."""
    if recipe.arms:
        return Path(path).read_text()
    return yaml.safe_dump(recipe.model_dump(mode="json"), sort_keys=False, allow_unicode=True)


def walk(recipe: Recipe, run: Path, text: str, until: str | None = None) -> None:
    """Bring the steps of a recipe up to date in the folder `run`; `text` is the recipe as it is kept there."""
    steps = plan(recipe)
    names = [step.name for step in steps]
    if until is not None and until not in names:
        raise HornbookError(f"The recipe {recipe.name} has no step {until!r}.", f"Its steps are {', '.join(names)}.")
    steps = steps[: names.index(until) + 1] if until else steps

    started, fresh = time.monotonic(), 0
    with folder_lock(run, "Name another folder with --run"):
        atomic_write(run / "recipe.yaml", text)
        atomic_write(run / PLAN, json.dumps(names))
        print(f"{recipe.name}: {len(steps)} steps in {run}", flush=True)
        for done in execute(steps, run):
            fresh += done.fresh
            if done.fresh:
                print(line(done), flush=True)
        if not until:
            _publish(recipe, run)
    if fresh:
        print(f"{fresh} steps in {_duration(time.monotonic() - started)}; {len(steps) - fresh} were done already.")
    else:
        print("Nothing to do: every step is up to date.")
    if not until:
        print_summary(run)


def line(done: Done) -> str:
    """What a step did, on one line: seconds, kept of how many, and the main reasons for dropping."""
    manifest, counters = done.manifest, done.manifest["counters"]
    parts = [f"  {manifest['name']:<36} {_duration(manifest['seconds']):>8}"]
    if done.step.kind in ("read", "verdict", "select") and counters.get("rows_in"):
        parts.append(f"kept {counters['rows_out']:,} of {counters['rows_in']:,}")
    elif "rows_out" in counters:
        parts.append(f"{counters['rows_out']:,} rows")
    for key, unit in (("unique_tokens", "unique tokens"), ("epochs", "epochs")):
        if key in counters:
            values = ", ".join(f"{name} {_number(value)}" for name, value in counters[key].items())
            parts.append(f"{unit}: {values}")
    dropped = sorted(counters.get("dropped", {}).items(), key=lambda item: -item[1])
    if dropped:
        more = f", {len(dropped) - 3} other reasons" if len(dropped) > 3 else ""
        parts.append("dropped " + ", ".join(f"{reason} {count:,}" for reason, count in dropped[:3]) + more)
    return "  ".join(parts)


def _number(value: Any) -> str:
    return f"{value:,}" if isinstance(value, int) else f"{value:.2f}"


def _duration(seconds: float) -> str:
    return f"{seconds:.1f} s" if seconds < 100 else f"{seconds / 60:.1f} min"


def _publish(recipe: Recipe, run: Path) -> None:
    """Copy the report, the results and the models from their steps to where people look for them.

    What was copied is noted last; a kill in between leaves the note behind, and the next run copies again.
    """
    note = run / ".published.json"
    steps = run / "steps"
    sources = {f"models/{arm.name}": f"training.{arm.name}" for arm in recipe.trained}
    wanted = {name: _identity(steps / name) for name in [*sources.values(), "deployment.export", "report.page"]}
    if _read(note) == wanted and all((run / name).exists() for name in [*sources, "models/final", *RESULTS]):
        return
    fresh = run / ".models"
    shutil.rmtree(fresh, ignore_errors=True)
    for arm in recipe.trained:
        shutil.copytree(steps / f"training.{arm.name}" / str(recipe.budget_of(arm)), fresh / arm.name)
    for item in (steps / "deployment.export").iterdir():
        if item.is_dir():
            shutil.copytree(item, fresh / item.name)
        elif item.suffix == ".gguf":
            shutil.copyfile(item, fresh / item.name)
    shutil.rmtree(run / "models", ignore_errors=True)
    os.replace(fresh, run / "models")
    for name in RESULTS:
        atomic_write(run / name, (steps / "report.page" / name).read_bytes())
    atomic_write(note, json.dumps(wanted))


def _identity(folder: Path) -> str | None:
    manifest = read_manifest(folder)
    return manifest["identity"] if manifest else None


def _read(path: Path) -> Any:
    try:
        return json.loads(path.read_text())
    except (OSError, ValueError):
        return None
