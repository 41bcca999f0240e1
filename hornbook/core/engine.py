"""The engine: Daft behind two patterns, *map* and *exchange*.

`map_groups` runs a function once per named group of work in Daft's worker processes; each group becomes one
Parquet shard that we name and publish, so a kill loses at most the groups in flight. `exchange` brings equal
keys together, one hash partition at a time; it carries hashes and ids, never text. Both keep memory flat and
would run unchanged on Daft's Ray runner, because only paths and small values enter the dataframe.
"""

import base64
import json
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import pyarrow as pa
import pyarrow.parquet as pq

from hornbook.core.documents import atomic_write, shards, write_table
from hornbook.core.errors import HornbookError, explain
from hornbook.core.progress import Progress

Counters = dict[str, Any]
GroupFunction = Callable[[Any], tuple[pa.Table, Counters]]


class ShardFunction(Protocol):
    """A function of one shard of documents and, by keyword, its side tables (verdicts, scores ...)."""

    def __call__(self, table: pa.Table, /, **side: pa.Table) -> tuple[pa.Table, Counters]: ...


def workers() -> int:
    """Number of worker processes: the CPUs this process may use, or HORNBOOK_WORKERS."""
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return int(os.environ.get("HORNBOOK_WORKERS", 0)) or allowed


def load_daft() -> Any:
    """Import Daft with its telemetry and its own progress bars switched off."""
    for name, value in (("DO_NOT_TRACK", "1"), ("DAFT_ANALYTICS_ENABLED", "0"), ("DAFT_PROGRESS_BAR", "0")):
        os.environ[name] = value
    import daft

    return daft


def map_groups(
    function: GroupFunction,
    groups: Mapping[str, Any],
    out: Path,
    label: str,
    weights: Mapping[str, float] | None = None,
) -> list[Counters]:
    """Run `function(payload)` for every group and write its table to `out/<name>.parquet`.

    `function` must be picklable (a module-level function, a partial of one, or a small dataclass with
    `__call__`) and returns a table and its counters. Groups that a killed run has already published are not
    repeated. `weights` (any unit of work) shape the progress bar. Returns the counters in group order.
    """
    out.mkdir(parents=True, exist_ok=True)
    weight = {name: (weights or {}).get(name, 1.0) for name in groups}
    # The heaviest first: workers are served in turn, so that neighbours should take equally long.
    todo = {name: groups[name] for name in sorted(groups, key=lambda n: -weight[n]) if not _published(out, name)}
    with Progress(label, sum(weight.values())) as bar:
        bar.skip(sum(weight[name] for name in groups if name not in todo))
        for name in _run(function, todo, out):
            bar.advance(weight[name])
    return [json.loads((out / f"{name}.json").read_text()) for name in groups]


def map_shards(
    function: ShardFunction,
    folder: Path,
    out: Path,
    label: str,
    beside: Mapping[str, Path] | None = None,
    columns: list[str] | None = None,
) -> list[Counters]:
    """Run `function(table, **side_tables)` over every shard of a documents folder.

    `beside` names folders whose shards have the same names (verdicts, scores); each arrives as a keyword
    argument. `columns` limits what is read of the documents. Output shards keep the names of the inputs.
    """
    paths = shards(folder)
    if not paths:
        raise HornbookError(f"No Parquet shard in {folder}.", "Delete the step's folder and run the recipe again.")
    payloads = {
        path.stem: (path, {name: Path(side) / path.name for name, side in (beside or {}).items()}) for path in paths
    }
    weights = {path.stem: float(path.stat().st_size) for path in paths}
    return map_groups(_OnShard(function, columns), payloads, out, label, weights)


def exchange(sources: Path | Sequence[Path], key: str, columns: list[str], partitions: int = 1) -> Iterator[pa.Table]:
    """Yield tables of `key` and `columns` sorted by `key` (ties by the other columns), so that equal keys meet.

    One hash partition of the keys is in memory at a time. Only hashes and ids belong here, never text.
    """
    daft = load_daft()
    paths = shards(sources) if isinstance(sources, Path) else [Path(source) for source in sources]
    names = [key, *(name for name in columns if name != key)]
    for partition in range(partitions):
        frame = daft.read_parquet([str(path) for path in paths]).select(*names)
        if partitions > 1:
            frame = frame.where(frame[key].hash() % partitions == partition)
        table = frame.to_arrow()
        yield table.sort_by([(name, "ascending") for name in names])


def add_counters(parts: Iterable[Mapping[str, Any]]) -> Counters:
    """Sum the counters of several groups: numbers add up, nested dicts merge, the first of other values stays."""
    total: Counters = {}
    for part in parts:
        for name, value in part.items():
            if isinstance(value, Mapping):
                total[name] = add_counters([total.get(name, {}), value])
            elif isinstance(value, int | float) and not isinstance(value, bool):
                total[name] = total.get(name, 0) + value
            else:
                total.setdefault(name, value)
    return total


class _OnShard:
    def __init__(self, function: ShardFunction, columns: list[str] | None) -> None:
        self.function, self.columns = function, columns

    def __call__(self, payload: tuple[Path, dict[str, Path]]) -> tuple[pa.Table, Counters]:
        path, beside = payload
        side = {name: pq.read_table(side_path) for name, side_path in beside.items()}
        return self.function(pq.read_table(path, columns=self.columns), **side)


def _published(out: Path, name: str) -> bool:
    return (out / f"{name}.json").exists()  # written after its shard, so it vouches for it


def _publish(function: GroupFunction, payload: Any, out: Path, name: str) -> None:
    table, counters = function(payload)
    try:
        write_table(table, out / f"{name}.parquet")
        atomic_write(out / f"{name}.json", json.dumps(counters))
    except OSError as error:
        raise explain(error, out) from error


def _run(function: GroupFunction, groups: Mapping[str, Any], out: Path) -> Iterator[str]:
    """Publish every group and yield its name when it is done; in this process when there is only one."""
    if len(groups) <= 1 or workers() == 1:
        for name, payload in groups.items():
            _publish(function, payload, out, name)
            yield name
        return
    daft = load_daft()
    import cloudpickle

    frame = daft.from_pydict(
        {
            "name": list(groups),
            "payload": [base64.b64encode(cloudpickle.dumps(payload)).decode() for payload in groups.values()],
        }
    ).into_batches(1)

    @daft.cls(use_process=True, max_concurrency=min(workers(), len(groups)))
    class Worker:
        def __init__(self, pickled: bytes, folder: str) -> None:
            self.function, self.folder = cloudpickle.loads(pickled), Path(folder)

        @daft.method.batch(return_dtype=daft.DataType.string(), batch_size=1)
        def publish(self, names: Any, payloads: Any) -> list[str]:
            results = []
            for name, payload in zip(names.to_pylist(), payloads.to_pylist(), strict=True):
                try:
                    _publish(self.function, cloudpickle.loads(base64.b64decode(payload)), self.folder, name)
                    results.append(json.dumps([name]))
                except HornbookError as error:
                    results.append(json.dumps([name, error.problem, error.remedy]))
            return results

    worker = Worker(cloudpickle.dumps(function), str(out))
    for row in frame.select(worker.publish(frame["name"], frame["payload"]).alias("result")).iter_rows():
        name, *error = json.loads(row["result"])
        if error:
            raise HornbookError(*error)
        yield name
