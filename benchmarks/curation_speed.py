"""How fast raw files become selected passages, everything included, beside `ast.parse` alone on the same files."""

import ast
import contextlib
import statistics
import tempfile
import time
import warnings
from pathlib import Path

from record import record

from hornbook.core.documents import read_table
from hornbook.core.engine import workers
from hornbook.core.step import execute
from hornbook.plan import plan
from hornbook.recipe import load_recipe

RECIPE = Path(__file__).parent.parent / "recipes" / "laptop-python.yaml"
LAST = "curation.select.curated"
SAMPLE_BYTES = 8_000_000  # ast.parse is slow
ROUNDS = 3


def curate(run: Path) -> tuple[float, dict[str, dict]]:
    """Seconds of the whole curation in an empty run folder, and the manifests of its steps."""
    started = time.perf_counter()
    steps = plan(load_recipe(RECIPE))
    # The way to one arm: evaluation sets come from elsewhere, the other arms have their own time.
    wanted = [s for s in steps if s.name.startswith(("corpus.", "curation.", "evaluation.sets"))]
    last = next(i for i, step in enumerate(wanted) if step.name == LAST)
    wanted = [s for s in wanted[: last + 1] if not s.name.startswith("curation.select.") or s.name == LAST]
    manifests = {done.step.name: done.manifest for done in execute(wanted, run)}
    return time.perf_counter() - started, manifests


def parse(texts: list[str]) -> float:
    """Bytes a second that ast.parse reads on one core."""
    started, size = time.process_time(), 0
    for text in texts:
        with contextlib.suppress(SyntaxError, ValueError, RecursionError):
            ast.parse(text)
        size += len(text.encode("utf-8", "surrogatepass"))
        if size > SAMPLE_BYTES:
            break
    return size / (time.process_time() - started)


def main() -> None:
    warnings.simplefilter("ignore")
    rates, parse_rates, table = [], [], []
    for _ in range(ROUNDS):
        with tempfile.TemporaryDirectory() as folder:
            seconds, manifests = curate(Path(folder))
            size = manifests["corpus.files"]["counters"]["bytes_out"]
            texts = read_table(Path(folder) / "steps" / "corpus.files", ["text"])["text"].to_pylist()
            parse_rates.append(parse(texts) / 1e6)
        rates.append(size / seconds / 1e6)
        table = [(name, m["seconds"], m["peak_memory_mb"]) for name, m in manifests.items()]
        slowest = max(m["peak_memory_mb"] for m in manifests.values())
    rate, parse_rate = statistics.median(rates), statistics.median(parse_rates)
    steps = "\n".join(f"| {name} | {seconds:.1f} | {memory:,.0f} |" for name, seconds, memory in table)
    record(
        "Curation: raw files to selected passages",
        f"{size / 1e6:.0f} MB of Python, {workers()} worker processes, medians of {ROUNDS}; training the "
        f"classifier is included.\n\n"
        f"| | MB/s |\n|---|---|\n| hornbook, everything, {workers()} cores | {rate:.1f} |\n"
        f"| `ast.parse` alone, one core | {parse_rate:.1f} |\n| ratio | {rate / parse_rate:.2f} |\n\n"
        f"Peak memory {slowest:,.0f} MB. Steps of the last round:\n\n| step | s | MB |\n|---|---|---|\n{steps}",
    )


if __name__ == "__main__":
    main()
