"""Batches beside the training that they feed, and a corpus of 100 GB that is opened without being read.

The corpus of 100 GB is a sparse file of tokens with real boundaries and ids of 50 million documents. It is opened in a
process of its own, so that memory is that of the loader.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import sysconfig
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from record import markdown_table, record

from hornbook.core.documents import document_id
from hornbook.tokenization.shards import StoreWriter

VOCABULARY, GOAL = 4096, 50
SOURCES = {"corpus": 8_000, "lessons": 600, "exercise": 3_000}  # documents, about as in the laptop recipe
MIXTURE = {"corpus": 0.6, "lessons": 0.25, "exercise": 0.15}
KINDS: dict[str, dict[str, Any]] = {
    "lossless, one source": {},
    "lossless, three sources": {"mixture": MIXTURE},
    "best-fit, one source": {"packing": "best_fit"},
    "best-fit, three sources": {"mixture": MIXTURE, "packing": "best_fit"},
}
VIRTUAL_BYTES, VIRTUAL_DOCUMENTS = 100 * 10**9, 50_000_000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--train-tokens", type=int, default=60_000)
    parser.add_argument("--threads", type=int, help="of the training; default: what the probe chooses")
    parser.add_argument("--virtual-documents", type=int, default=VIRTUAL_DOCUMENTS)
    parser.add_argument("--virtual", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.virtual:
        print(json.dumps(read_virtual(options.virtual)))
        return
    with tempfile.TemporaryDirectory() as folder:
        write_stores(Path(folder) / "tokens")
        trained = training_rate(Path(folder), options.train_tokens, options.threads)
        loaded, packing = loading_rates(Path(folder) / "tokens", options.rounds)
        virtual = virtual_corpus(Path(folder) / "virtual", options.virtual_documents)
    record("Loading speed", report(trained, loaded, packing, virtual, options))


def report(
    trained: float,
    loaded: dict[str, list[float]],
    packing: dict[str, dict[str, float]],
    virtual: dict[str, float],
    options: argparse.Namespace,
) -> str:
    rows = []
    for name, rates in loaded.items():
        rate = statistics.median(rates)
        about = ", ".join(f"{share:.2%} {key}" for key, share in packing[name].items()) or "none"
        rows.append([name, f"{rate / 1e6:.1f} M", f"{rate / trained:,.0f}x", about])
    worst = min(statistics.median(rates) for rates in loaded.values()) / trained
    opened = "\n".join(f"- {line}" for line in virtual_lines(virtual, options.virtual_documents))
    return (
        f"Tokens per second of batches of 2,048 tokens in rows of 512, one thread, median of {options.rounds} rounds. "
        f"The laptop recipe's model trained at {trained:,.0f} tokens per second in the same run, on "
        f"{options.threads or os.cpu_count()} threads.\n\n"
        + markdown_table(["batches", "tokens/s", "of the training rate", "padding and cuts, of positions"], rows)
        + f"\n\nSlowest against training: **{worst:,.0f}x**; goal {GOAL}x: {'met' if worst >= GOAL else 'missed'}.\n\n"
        + f"A sparse corpus of 100 GB in {options.virtual_documents:,} documents:\n\n{opened}"
    )


def virtual_lines(virtual: dict[str, float], documents: int) -> list[str]:
    return [
        f"opened in {virtual['open']:.3f} s (goal 1 s); first batch {virtual['first']:.2f} s later",
        f"a batch anywhere in it, as after a resume: {virtual['random']:.2f} s; the next ones: "
        f"{virtual['rate'] / 1e6:.1f} M tokens/s",
        f"memory of the process (anonymous pages): {virtual['memory_before']:.0f} MB before, "
        f"{virtual['memory']:.0f} MB at most after {virtual['batches']:.0f} batches all over it",
        f"best-fit packing: {virtual['packed'] / 1e3:,.0f} thousand documents/s; a resume packs again what came before",
    ]


def write_stores(tokens: Path) -> None:
    """Stores of random tokens in documents as long as passages of at most 2,000 characters are."""
    generator = np.random.default_rng(0)
    for name, documents in SOURCES.items():
        length = np.minimum(generator.lognormal(5.6, 0.7, documents), 700).astype(np.int64)
        ids = [document_id(name, "loading", i) for i in range(documents)]
        with StoreWriter(tokens / name, VOCABULARY, 0, "random") as writer:
            writer.append(ids, generator.integers(1, VOCABULARY, length.sum()), length, 3 * int(length.sum()))


def training_rate(folder: Path, tokens: int, threads: int | None) -> float:
    """Tokens per second of the laptop recipe's training in its second half, as its probe chooses."""
    from hornbook.tokenization.config import TokenizerConfig
    from hornbook.tokenization.train import train_bpe, write_folder
    from hornbook.training.config import ProbeConfig, TrainConfig
    from hornbook.training.probe import probe_step
    from hornbook.training.trainer import train_arm_step

    inputs = {name: folder / name for name in ("tokens", "tokenizer", "probe")}
    modules = sorted(Path(sysconfig.get_paths()["stdlib"]).glob("*.py"))
    texts = (path.read_text(encoding="utf-8", errors="replace") for path in modules)
    write_folder(train_bpe(texts, TokenizerConfig(vocab_size=VOCABULARY)), inputs["tokenizer"])
    inputs["probe"].mkdir()
    probe_step({}, inputs["probe"], ProbeConfig(threads=threads))
    out = folder / "trained"
    out.mkdir()
    train_arm_step(inputs, out, TrainConfig(budgets=(tokens,)))
    curve = [json.loads(line) for line in (out / "curve.jsonl").read_text().splitlines()]
    middle, end = curve[len(curve) // 2], curve[-1]
    return (end["tokens"] - middle["tokens"]) / (end["seconds"] - middle["seconds"])


def loading_rates(tokens: Path, rounds: int) -> tuple[dict[str, list[float]], dict[str, dict[str, float]]]:
    """Tokens per second of every kind of batches, round by round; and what padding and cuts take."""
    from hornbook.training.batches import DataOrder
    from hornbook.training.config import TrainConfig
    from hornbook.training.schedule import Segment

    steps = 400
    rates: dict[str, list[float]] = {name: [] for name in KINDS}
    packing: dict[str, dict[str, float]] = {}
    for _ in range(rounds):
        for name, data in KINDS.items():
            config = TrainConfig(budgets=(2 * steps * 2048,), data=data)
            order, trunk = DataOrder(tokens, config), Segment("trunk", 0, steps)
            started = time.perf_counter()
            for step in range(steps):
                order.batch(trunk, step)
            positions = steps * config.batch_tokens
            rates[name].append(positions / (time.perf_counter() - started))
            packing[name] = {key: n / positions for key, n in order.packing(trunk, steps).items()}
    return rates, packing


def virtual_corpus(folder: Path, documents: int) -> dict[str, float]:
    """Write the sparse corpus, and read it in a process of its own."""
    store = folder / "corpus"
    store.mkdir(parents=True)
    (store / "tokens.bin").touch()
    os.truncate(store / "tokens.bin", VIRTUAL_BYTES)
    tokens = VIRTUAL_BYTES // 2
    generator = np.random.default_rng(0)
    with (store / "boundaries.bin").open("wb") as boundaries, (store / "ids.bin").open("wb") as ids:
        for first in range(0, documents, 1 << 20):
            count = min(1 << 20, documents - first)
            starts = (first + np.arange(count)) * (tokens // documents)
            starts[1:] -= generator.integers(0, tokens // documents // 2, count - 1)  # lengths differ
            boundaries.write(starts.astype("<i8").tobytes())
            ids.write(generator.bytes(16 * count))
        boundaries.write(np.array([tokens], "<i8").tobytes())
    meta = {"dtype": "uint16", "bos": 0, "tokens": tokens, "documents": documents, "bytes": 0, "tokenizer": ""}
    (store / "meta.json").write_text(json.dumps({**meta, "digest": ""}))
    command = [sys.executable, __file__, "--virtual", str(folder)]
    return json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()[-1])


def read_virtual(folder: Path) -> dict[str, float]:
    """Seconds and megabytes of opening and reading a corpus."""
    from hornbook.training.batches import DataOrder
    from hornbook.training.config import TrainConfig
    from hornbook.training.schedule import Segment

    config = TrainConfig(budgets=(VIRTUAL_BYTES // 2,))
    trunk = Segment("trunk", 0, VIRTUAL_BYTES // 2 // config.batch_tokens)
    found = {"memory_before": anonymous_mb()}
    started = time.perf_counter()
    order = DataOrder(folder, config)
    order.fingerprint()
    found["open"] = time.perf_counter() - started
    started = time.perf_counter()
    order.batch(trunk, 0)
    found["first"] = time.perf_counter() - started
    memory, jumps, rates = [anonymous_mb()], [], []
    for step in np.random.default_rng(0).integers(0, trunk.last - 200, 8).tolist():
        started = time.perf_counter()
        order.batch(trunk, step)
        jumps.append(time.perf_counter() - started)
        started = time.perf_counter()
        for following in range(step + 1, step + 101):
            order.batch(trunk, following)
        rates.append(100 * config.batch_tokens / (time.perf_counter() - started))
        memory.append(anonymous_mb())
    found |= {"random": statistics.median(jumps), "rate": statistics.median(rates)}
    found |= {"memory": max(memory), "batches": 8 * 101 + 1}
    packed = DataOrder(folder, TrainConfig(budgets=(VIRTUAL_BYTES // 2,), data={"packing": "best_fit"}))
    packed.batch(trunk, 0)
    started = time.perf_counter()
    packed.batch(trunk, 20_000)  # packs what comes before it
    documents = 20_000 * config.batch_tokens / (packed.sources["corpus"].tokens / len(packed.sources["corpus"].store))
    return found | {"packed": documents / (time.perf_counter() - started)}


def anonymous_mb() -> float:
    """Memory of this process that is not mapped from files: mapped pages are the system's to take back."""
    line = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("RssAnon"))
    return int(line.split()[1]) / 1024


if __name__ == "__main__":
    main()
