"""`hornbook complete`: continue a text with a model, as it is generated."""

import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TextIO

from hornbook.deployment.engines import Ask, EngineName, open_engine


def complete(
    prompt: str, *, model: Path, ask: Ask, engine: EngineName | None = None, out: TextIO | None = None
) -> None:
    """Print the prompt and its continuation as it comes, then its speed on standard error.

    Raises HornbookError when there is no model that the engine can run, and for prompts that do not fit into its
    context.
    """
    out = out or sys.stdout
    with open_engine(model, engine) as opened:
        times = [time.perf_counter()]
        print(prompt, end="", flush=True, file=out)
        for text in timed(opened.stream(prompt, ask), times):
            print(text, end="", flush=True, file=out)
    print(file=out)
    print(speed(times), file=sys.stderr)


def timed(pieces: Iterator[str], times: list[float]) -> Iterator[str]:
    """Pass the pieces of a text on and note when each of them came."""
    for piece in pieces:
        times.append(time.perf_counter())
        yield piece


def speed(times: list[float]) -> str:
    """One line about the start and the time of every piece. The first is apart: it reads the prompt."""
    if len(times) < 3:
        return f"{len(times) - 1} pieces of text"
    rate = (len(times) - 2) / max(times[-1] - times[1], 1e-9)
    shown = f"{rate:,.0f}" if rate > 10 else f"{rate:.1f}"
    first = f"the first after {times[1] - times[0]:.2f} s"
    return f"{len(times) - 1} pieces of text of about a token, {first}, then {shown} a second"
