"""Where a curve goes beside its file: TensorBoard, Weights & Biases. Both are optional packages, and off by default.

Steps of a branch begin where it leaves the trunk, so every branch is a run of its own there.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from html import escape
from pathlib import Path
from typing import Any, Protocol

from hornbook.core.errors import HornbookError
from hornbook.core.step import step_name


class Logger(Protocol):
    """One run of a service that draws curves."""

    def log(self, step: int, values: Mapping[str, float]) -> None:
        """Numbers of a step by their name."""

    def text(self, step: int, name: str, text: str) -> None:
        """A text of a step."""

    def close(self) -> None:
        """Write what is left."""


class TensorBoard:
    """Event files in `<out>/tensorboard/<branch>`; what an interrupted run wrote from `first` on is hidden."""

    def __init__(self, out: Path, branch: str, first: int) -> None:
        try:
            from torch.utils.tensorboard.writer import SummaryWriter
        except ImportError as error:
            raise _missing("tensorboard") from error
        self._writer: Any = SummaryWriter(str(out / "tensorboard" / branch), purge_step=first)

    def log(self, step: int, values: Mapping[str, float]) -> None:
        for name, value in values.items():
            self._writer.add_scalar(name, value, step)

    def text(self, step: int, name: str, text: str) -> None:
        self._writer.add_text(name, text, step)

    def close(self) -> None:
        self._writer.close()


class WeightsAndBiases:
    """A run in the group of the arm, in the project and mode that the variables WANDB_* say; its files are in `out`."""

    def __init__(self, out: Path, branch: str, first: int) -> None:
        try:
            import wandb
        except ImportError as error:
            raise _missing("wandb") from error
        self._wandb: Any = wandb
        name = step_name(out)
        try:
            self._run = wandb.init(
                group=name,
                name=f"{name} {branch}",
                id=f"{out.name}-{branch}".lstrip("."),  # holds the identity of the step: a resumed run goes on
                resume="allow",
                dir=str(out),
            )
        except Exception as error:  # no account, no network ...
            raise HornbookError(
                f"Weights & Biases did not start a run ({error}).",
                "Log in, set WANDB_MODE=offline, or take wandb out of training.monitor.loggers.",
            ) from error

    def log(self, step: int, values: Mapping[str, float]) -> None:
        self._run.log(dict(values), step=step)

    def text(self, step: int, name: str, text: str) -> None:
        self._run.log({name: self._wandb.Html(f"<pre>{escape(text)}</pre>")}, step=step)

    def close(self) -> None:
        self._run.finish()


_KINDS: dict[str, type[TensorBoard] | type[WeightsAndBiases]] = {"tensorboard": TensorBoard, "wandb": WeightsAndBiases}


@contextmanager
def open_loggers(names: Sequence[str], out: Path, branch: str, first: int) -> Iterator[list[Logger]]:
    """Loggers by name for a branch that goes on at step `first`; closed at the end, also after an error.

    Raises HornbookError when one is not installed or cannot start.
    """
    with ExitStack() as stack:
        loggers: list[Logger] = []
        for name in names:
            loggers.append(_KINDS[name](out, branch, first))
            stack.callback(loggers[-1].close)
        yield loggers


def _missing(name: str) -> HornbookError:
    return HornbookError(
        f"{name} is not installed.", f"pip install {name}, or take it out of training.monitor.loggers."
    )
