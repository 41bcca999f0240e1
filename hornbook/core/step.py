"""A step of the pipeline: its identity, its folder, its manifest, and how it resumes.

A step's identity is a hash of everything that bears on its result: name, config, identities of the inputs,
content of files from outside, source of the modules it runs, versions of the libraries it leans on. Its output
is one folder. While it runs, the folder is called `.partial-<name>-<identity>`; when it is whole, the manifest is
written and the folder is renamed. So a folder with a manifest is complete, and anything else is unfinished work
of exactly one identity: it is given back to the same step after a kill, and removed when the recipe has changed.
"""

import ast
import hashlib
import importlib.util
import inspect
import json
import os
import resource
import shutil
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from hornbook.core.documents import atomic_write
from hornbook.core.errors import HornbookError, explain

_PARTIAL = ".partial-"
StepFunction = Callable[[dict[str, Path], Path, Any], dict[str, Any]]


@dataclass(frozen=True)
class Step:
    """One step: `run(inputs, out, config) -> counters` with a name `station.step` and its inputs.

    `kind` is read, transform, score, verdict, select, train, evaluate or publish. `inputs` are other steps, or
    files that belong to the package. `external` is a content hash of what is read from outside. With
    `by_content`, steps downstream depend on what this one wrote rather than on what it was asked to do: for
    choices made by probing the machine.
    """

    name: str
    run: StepFunction
    kind: str
    config: BaseModel | None = None
    inputs: Mapping[str, "Step | Path"] = field(default_factory=dict)
    libraries: tuple[str, ...] = ()
    external: str = ""
    by_content: bool = False


@dataclass(frozen=True)
class Done:
    """What happened to one step of a run."""

    step: Step
    manifest: dict[str, Any]
    fresh: bool  # False when the result of an earlier run was taken


def execute(steps: Sequence[Step], run: Path) -> Iterator[Done]:
    """Bring every step's folder below `run/steps` up to date, in order; yield each as it is finished."""
    folder = run / "steps"
    folder.mkdir(parents=True, exist_ok=True)
    identities: dict[str, str] = {}
    for step in steps:
        identity = step_identity(step, identities)
        manifest = read_manifest(folder / step.name)
        fresh = manifest is None or manifest["identity"] != identity
        if fresh:
            manifest = _run(step, identity, identities, folder)
        assert manifest is not None
        identities[step.name] = content_hash(folder / step.name) if step.by_content else identity
        yield Done(step, manifest, fresh)


def step_identity(step: Step, identities: Mapping[str, str]) -> str:
    """Hash of all that bears on the result of a step; `identities` holds those of its inputs by step name."""
    parts = {
        "name": step.name,
        "config": step.config.model_dump(mode="json") if step.config else None,
        "inputs": _input_identities(step, identities),
        "external": step.external,
        "source": source_hash(step.run),
        "libraries": {name: version(name) for name in step.libraries},
    }
    return hashlib.blake2b(json.dumps(parts, sort_keys=True).encode(), digest_size=16).hexdigest()


def read_manifest(folder: Path) -> dict[str, Any] | None:
    """The manifest of a finished step, or None when the folder is not whole."""
    try:
        return json.loads((folder / "manifest.json").read_text())
    except (OSError, ValueError):
        return None


def finished_step(run: Path, name: str) -> Path:
    """The folder of a finished step of a run. Raises HornbookError when there is none."""
    folder = run / "steps" / name
    if read_manifest(folder) is None:
        raise HornbookError(f"{run} has no finished step {name}.", "Run its recipe, or name another run with --run.")
    return folder


def step_name(folder: Path) -> str:
    """The name of the step that a folder belongs to, finished or not."""
    name = folder.name
    return name.removeprefix(_PARTIAL).rpartition("-")[0] if name.startswith(_PARTIAL) else name


def content_hash(path: Path) -> str:
    """Hash of a file, or of all files of a step's folder but its manifest."""
    digest = hashlib.blake2b(digest_size=16)
    files = [path] if path.is_file() else sorted(p for p in path.rglob("*") if p.is_file())
    for file in files:
        if file.name != "manifest.json":
            digest.update(f"{file.relative_to(path)}\0{file.stat().st_size}\0".encode())
            digest.update(file.read_bytes())
    return digest.hexdigest()


@cache
def source_hash(function: StepFunction) -> str:
    """Hash of a function's module and of the station modules it imports, so that a code change is a new identity."""
    sources: dict[str, str] = {}
    _collect_sources(inspect.getsourcefile(inspect.unwrap(function)), sources)
    digest = hashlib.blake2b(digest_size=16)
    for file, source in sorted(sources.items()):
        digest.update(f"{Path(file).name}\0{source}\0".encode())
    return digest.hexdigest()


def _collect_sources(file: str | None, sources: dict[str, str]) -> None:
    if file is None or file in sources or not file.endswith(".py"):
        return
    sources[file] = Path(file).read_text()
    for node in ast.walk(ast.parse(sources[file])):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("hornbook."):
            for name in (str(node.module), *(f"{node.module}.{alias.name}" for alias in node.names)):
                # The contracts in core change often without changing results; documents.py makes the ids.
                if name == "hornbook.core.documents" or not name.startswith("hornbook.core"):
                    _collect_sources(_module_file(name), sources)


def _module_file(name: str) -> str | None:
    try:
        spec = importlib.util.find_spec(name)
    except ModuleNotFoundError:
        return None  # the name of a function, not of a module
    return spec.origin if spec else None


def _input_identities(step: Step, identities: Mapping[str, str]) -> dict[str, str]:
    return {
        name: identities[source.name] if isinstance(source, Step) else content_hash(source)
        for name, source in step.inputs.items()
    }


def _run(step: Step, identity: str, identities: Mapping[str, str], folder: Path) -> dict[str, Any]:
    final, partial = folder / step.name, folder / f"{_PARTIAL}{step.name}-{identity[:16]}"
    for stale in folder.glob(f"{_PARTIAL}{step.name}-*"):
        if stale != partial:
            shutil.rmtree(stale)
    partial.mkdir(exist_ok=True)
    inputs = {
        name: folder / source.name if isinstance(source, Step) else source for name, source in step.inputs.items()
    }
    started = time.monotonic()
    try:
        with _PeakMemory() as memory:
            counters = step.run(inputs, partial, step.config)
    except HornbookError:
        raise
    except OSError as error:
        raise explain(error, partial) from error
    manifest = {
        "name": step.name,
        "kind": step.kind,
        "identity": identity,
        "config": step.config.model_dump(mode="json") if step.config else None,
        "inputs": _input_identities(step, identities),
        "counters": counters,
        "seconds": round(time.monotonic() - started, 3),
        "peak_memory_mb": round(memory.peak / 2**20, 1),
        "versions": {"python": sys.version.split()[0], **{name: version(name) for name in step.libraries}},
        "created": time.time(),
    }
    atomic_write(partial / "manifest.json", json.dumps(manifest, indent=1))
    _replace(partial, final)
    return manifest


def _replace(partial: Path, final: Path) -> None:
    """Put a finished folder in its place. An outdated one first loses its manifest, so it is never taken for whole."""
    if final.exists():
        (final / "manifest.json").unlink(missing_ok=True)
        shutil.rmtree(final)
    os.replace(partial, final)


class _PeakMemory:
    """Peak resident memory of this process and its children while a block runs, sampled five times a second."""

    def __enter__(self) -> "_PeakMemory":
        self.peak = 0.0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()
        return self

    def _watch(self) -> None:
        while True:
            self.peak = max(self.peak, float(_resident_bytes()))
            if self._stop.wait(0.2):
                return

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()


def _resident_bytes() -> int:
    """Resident bytes of this process and all its descendants (from /proc; elsewhere the peak of this process)."""
    try:
        pids, total = [os.getpid()], 0
        while pids:
            pid = pids.pop()
            try:
                total += int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
                for task in Path(f"/proc/{pid}/task").iterdir():
                    pids += [int(child) for child in (task / "children").read_text().split()]
            except OSError:
                continue  # it ended while we looked
        return total or _peak_of_process()
    except OSError:
        return _peak_of_process()


def _peak_of_process() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
