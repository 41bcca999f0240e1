"""How many items a second the sandbox verifies: those of the textbook that ships, as if a teacher had written them."""

import os
import resource
import statistics
import time
from concurrent.futures import ThreadPoolExecutor

from record import markdown_table, record

from hornbook.corpus.builtin import COLLECTIONS
from hornbook.services import sandbox
from hornbook.services.chat import Answer, Request
from hornbook.synthesis.config import SynthesisConfig
from hornbook.synthesis.seeds import Seed, shipped_plan
from hornbook.synthesis.writers import WRITERS

ITEMS, ROUNDS, GOAL = 100, 3, 40
CONFIG = SynthesisConfig(plan="python-textbook")


def answers(exercises: bool) -> list[tuple[Seed, Answer]]:
    """Items of the textbook as a teacher would have written them."""
    plan = {seed.id: seed for seed in shipped_plan("python-textbook")}
    found = []
    for id, text, about in COLLECTIONS["python-textbook"].read():
        if (about["kind"] == "exercise") == exercises:
            written = f"```python\n{text}```\n\n```python\n{about['tests']}```\n" if exercises else text
            found.append((plan[id], Answer(Request(()), "", written, finish="stop")))
    return found[:ITEMS]


def verify(item: tuple[Seed, Answer]) -> str:
    """Read an answer and check it; the reason why it is not taken, or ""."""
    seed, answer = item
    writer = WRITERS[seed.writer]
    return writer.check(writer.parse(answer, seed, CONFIG), seed, CONFIG).reason


def measure(items: list[tuple[Seed, Answer]]) -> tuple[float, float, int]:
    """Seconds of the clock and of the processor for all items, and how many were taken."""
    before = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    started = time.perf_counter()
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        taken = sum(reason == "" for reason in pool.map(verify, items))
    wall = time.perf_counter() - started
    after = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    cpu = sum(b.ru_utime + b.ru_stime - a.ru_utime - a.ru_stime for a, b in zip(before, after, strict=True))
    return wall, cpu, taken


def main() -> None:
    rows = []
    for name, exercises in (("exercises: solution, doctests and tests; nine trivial ones", True), ("lessons", False)):
        items = answers(exercises)
        rounds = [measure(items) for _ in range(ROUNDS)]
        rates = sorted(len(items) / wall for wall, _, _ in rounds)
        cpu = statistics.median(cpu / len(items) for _, cpu, _ in rounds)
        cores = os.cpu_count() or 1
        median = f"{statistics.median(rates):.0f} ({rates[0]:.0f}-{rates[-1]:.0f})"
        rows.append([name, f"{rounds[0][2]} of {len(items)}", median, f"{1000 * cpu:.0f} ms", f"{cores / cpu:.0f}"])
    load = os.getloadavg()[0]
    table = markdown_table(["", "taken", "items/s", "processor time each", "items/s if both cores were free"], rows)
    conditions = (
        "Items of the textbook that ships, read and checked as if a teacher had just written them, as many at a time\n"
        f"as cores; medians of {ROUNDS} rounds. Load of the machine meanwhile: {load:.1f}. Goal: {GOAL} a second."
    )
    record("Sandbox: verified items", f"{conditions}\n\n{table}\n\n{sandbox.describe()}.")


if __name__ == "__main__":
    main()
