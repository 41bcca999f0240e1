"""The models that a training step has left."""

from pathlib import Path

from hornbook.core.errors import HornbookError


def models_by_budget(training: Path, budget: int | None = None) -> dict[int, Path]:
    """The model folders of a training step by their budgets, which ascend: all, or the one of `budget`.

    Raises HornbookError when there is none.
    """
    found = {int(path.name): path for path in training.iterdir() if path.is_dir() and path.name.isdigit()}
    found = {tokens: path for tokens, path in found.items() if budget in (None, tokens)}
    if not found:
        raise HornbookError(f"There is no model in {training}.", "Run the recipe again.")
    return dict(sorted(found.items()))
