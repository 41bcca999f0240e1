"""`hornbook train --plan`: what the phases or arms of a recipe cost, printed before anything starts."""

from pathlib import Path
from typing import TYPE_CHECKING

from hornbook.recipe import Recipe, load_recipe
from hornbook.report.status import wide_console
from hornbook.scales import LAPTOP
from hornbook.training.cost import GPUS, Cost, Hardware, cost_of, this_cpu
from hornbook.training.machine import Choices

if TYPE_CHECKING:
    from rich.table import Table

GPU_HOUR = 2.0  # dollars; a round number, as cards are rented for between one and several
FORMULA = (
    "FLOPs: 6 for each weight of a matrix that a token meets, and 12 for each channel of the queries and position seen "
    "in every layer.\nMemory of several cards: weights, gradients and optimiser divided over them, activations on each."
)


def print_plan(path: Path, scale: str = LAPTOP, gpu_hour: float = GPU_HOUR) -> None:
    """Print parameters, memory, tokens, FLOPs, hours and cost of all trainings of a recipe. Reads no data."""
    recipe = load_recipe(path, scale)
    costs = costs_of(recipe)
    console = wide_console()
    console.print(_trainings(recipe, costs, scale), "", _hours(list(costs.values()), gpu_hour), "", FORMULA)


def costs_of(recipe: Recipe) -> dict[str, Cost]:
    """What each arm or phase of a recipe costs on a device with its number type, bfloat16 on a GPU unless it says so.

    The vocabulary is as large as the recipe allows.
    """
    device = recipe.probe.device or "cuda"
    choices = Choices(1, True, recipe.probe.dtype or ("bfloat16" if device == "cuda" else "float32"), device)
    return {
        arm.name: cost_of(training.model.of(recipe.tokenization.vocab_size), training, choices)
        for arm in recipe.trained
        for training in [recipe.training_of(arm)]
    }


def _trainings(recipe: Recipe, costs: dict[str, Cost], scale: str) -> "Table":
    from rich.table import Table

    title = f"{recipe.name}, scale {scale}" + (f", {n} seeds" if (n := recipe.ablation.seeds) > 1 else "")
    table = Table(title=title, title_justify="left", title_style="bold", box=None, pad_edge=False)
    table.add_column(recipe.kind.removesuffix("s"))
    for name in ("parameters", "tokens", "FLOPs", "memory to train"):
        table.add_column(name, justify="right")
    for name, cost in costs.items():
        table.add_row(
            name, f"{cost.parameters:,}", f"{cost.tokens:,}", f"{cost.flops:.2e}", _gigabytes(cost.memory.peak)
        )
    return table


def _hours(costs: list[Cost], gpu_hour: float) -> "Table":
    from rich.table import Table

    table = Table(box=None, pad_edge=False)
    table.add_column("on")
    for name in ("peak TFLOP/s", "of which", "hours", f"at {gpu_hour:g} $ a GPU hour", "memory of a card"):
        table.add_column(name, justify="right")
    for hardware in (this_cpu(), *GPUS):
        hours = hardware.seconds(costs) / 3600
        table.add_row(
            hardware.name,
            f"{hardware.cards} x {hardware.peak / 1e12:.3g}",
            f"{hardware.share:.0%}",
            f"{hours:,.3g}" if hours < 100 else f"{hours:,.0f}",
            f"{hours * hardware.cards * gpu_hour:,.2f} $" if hardware in GPUS else "",
            _memory(hardware, costs),
        )
    return table


def _memory(hardware: Hardware, costs: list[Cost]) -> str:
    needed = max(hardware.bytes_per_card(cost) for cost in costs)
    if hardware.memory is None:
        return _gigabytes(needed)
    fits = "" if needed <= hardware.memory else ": does not fit"
    return f"{_gigabytes(needed)} of {_gigabytes(hardware.memory)}{fits}"


def _gigabytes(count: float) -> str:
    return f"{count / 1e9:,.3g} GB" if count < 1e11 else f"{count / 1e9:,.0f} GB"
