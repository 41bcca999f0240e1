"""What the finished steps of a run say, as plain data: the source of results.json, the page and the summary."""

import json
import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hornbook import __version__
from hornbook.core.errors import HornbookError
from hornbook.core.step import read_manifest

STATIONS = (
    "corpus",
    "synthesis",
    "curation",
    "tokenization",
    "model",
    "training",
    "tuning",
    "evaluation",
    "ablation",
    "deployment",
    "report",
)
SETS = {
    "humaneval": "HumanEval",
    "functions": "Unseen packages",
    "held_out": "Random raw passages",
    "programs": "Neutral programs",
    "explained": "Neutral explained code",
    "helpers": "Neutral helper functions",
    "exercises": "Beginner exercises",
}
REASONS_SHOWN = 8
REPEAT = re.compile(r"\.repeat-\d+$")  # at the end of the steps of all seeds but the first
_MORE = ("parameter_multipliers", "law", "executed", "executed_differences")
_TABLES = ("bpb", "curves", "multipliers", "differences", *_MORE)


@dataclass(frozen=True)
class Finished:
    """A finished step: its folder and what its manifest holds."""

    name: str
    folder: Path
    manifest: Mapping[str, Any]

    @property
    def counters(self) -> dict[str, Any]:
        """The counters that the step returned."""
        return self.manifest.get("counters") or {}

    def json(self, name: str) -> Any:
        """A JSON file of the step, or None when it has none that can be read."""
        try:
            return json.loads((self.folder / name).read_text())
        except (OSError, ValueError):
            return None


Steps = dict[str, Finished]


def read_steps(folders: Mapping[str, Path]) -> Steps:
    """The finished ones of some steps' folders, in their order."""
    found = {name: Finished(name, Path(folder), read_manifest(Path(folder)) or {}) for name, folder in folders.items()}
    return {name: step for name, step in found.items() if step.manifest}


def run_steps(run: Path) -> Steps:
    """All finished steps of a run, in the order of the stations and, within one, of time.

    Raises HornbookError when there is no run in the folder.
    """
    folder = Path(run) / "steps"
    if not folder.is_dir():
        raise HornbookError(
            f"There is no run in {run}.", "Start one with `hornbook run RECIPE`, or name its folder with --run."
        )
    steps = read_steps({path.name: path for path in sorted(folder.iterdir()) if not path.name.startswith(".")})
    return dict(sorted(steps.items(), key=lambda item: (station_rank(item[0]), item[1].manifest.get("created", 0))))


def station_rank(name: str) -> int:
    """Place of a step's station on the way of the data."""
    station = name.partition(".")[0]
    return STATIONS.index(station) if station in STATIONS else len(STATIONS)


def results(steps: Steps) -> dict[str, Any]:
    """The content of results.json. Parts whose step is missing are None or empty."""
    judged = verdict(steps) or {}
    leaked = steps.get("curation.decontamination")
    return {
        "hornbook": __version__,
        "comparison": {key: value for key, value in judged.items() if key not in _TABLES} or None,
        "verdict": {
            name: {row["arm"]: row for row in judged["multipliers"] if row["set"] == name}
            for name in judged.get("sets", {})
        },
        "differences": judged.get("differences", []),
        **{name: judged.get(name) or [] for name in _MORE},
        "bits_per_byte": judged.get("bpb", []),
        "bits_per_byte_mean_of_seeds": judged.get("curves", []),
        "classifier": classifier(steps),
        "arms": arms(steps),
        "leaks": grouped_reasons(leaked.counters.get("dropped")) if leaked else None,
        "llama_cpp": of(steps, "deployment.export", "agreement.json"),
        "steps": [step_row(step) for step in steps.values()],
        "versions": versions(steps),
    }


def verdict(steps: Steps) -> dict[str, Any] | None:
    """What ablation.verdict wrote."""
    return of(steps, "ablation.verdict", "verdict.json")


def classifier(steps: Steps) -> dict[str, Any] | None:
    """The report of the classifier without the single predictions."""
    report = of(steps, "curation.validation", "report.json")
    return {key: value for key, value in report.items() if key != "out_of_fold"} if report else None


def of(steps: Steps, name: str, file: str) -> Any:
    """A JSON file of a step, or None when the step or the file is missing."""
    return steps[name].json(file) if name in steps else None


def arms(steps: Steps) -> dict[str, dict[str, Any]]:
    """Tokens, unique tokens and epochs of every trained arm, by source (`corpus`, `lessons`) where both exist."""
    keys = ("tokens", "unique_tokens", "epochs", "tokens_per_second")
    found = {}
    for name, step in steps.items():
        if name.startswith("training.") and "unique_tokens" in step.counters and not REPEAT.search(name):
            found[name.removeprefix("training.")] = {key: step.counters.get(key) for key in keys}
    return found


def step_row(step: Finished) -> dict[str, Any]:
    """Time, memory, rows and bytes of a step; None where it does not count them."""
    row: dict[str, Any] = {"name": step.name, "kind": step.manifest.get("kind")}
    row |= {key: step.manifest.get(key) for key in ("seconds", "peak_memory_mb")}
    row |= {key: step.counters.get(key) for key in ("rows_in", "rows_out", "bytes_in", "bytes_out", "kept")}
    dropped = step.counters.get("dropped")
    return row | {"dropped": grouped_reasons(dropped) if isinstance(dropped, Mapping) else dropped}


def grouped_reasons(dropped: Any) -> dict[str, int]:
    """Reasons with their counts, largest first. Each leak names its item; here only its set counts."""
    counts: Counter[str] = Counter()
    for reason, count in (dropped or {}).items():
        words = str(reason).split()
        counts[" ".join(words[:2]) if words[:1] == ["leak:"] else str(reason)] += int(count)
    return dict(counts.most_common())


def way(steps: Steps) -> list[dict[str, Any]]:
    """One row per step that reads, changes or judges documents: counts, kept share and the largest reasons."""
    rows = []
    for step in steps.values():
        counters, station = step.counters, step.name.partition(".")[0]
        if station not in ("corpus", "synthesis", "curation") or not {"rows_out", "kept"} & set(counters):
            continue
        if REPEAT.search(step.name):
            continue
        row = {key: counters.get(key) for key in ("rows_in", "rows_out", "bytes_in", "bytes_out")}
        row["name"] = step.name
        if isinstance(counters.get("dropped"), Mapping):
            reasons = grouped_reasons(counters["dropped"])
            gone, kept = sum(reasons.values()), int(counters.get("kept", counters.get("rows_out", 0)))
            row |= {"kept": kept, "dropped": gone, "share": kept / max(kept + gone, 1), "reasons": _largest(reasons)}
        rows.append(row)
    return rows


def versions(steps: Steps) -> dict[str, str]:
    """Versions of the libraries that steps lean on; several where an older result was taken over."""
    found: dict[str, set[str]] = {}
    for step in steps.values():
        for name, version in (step.manifest.get("versions") or {}).items():
            found.setdefault(name, set()).add(str(version))
    return {name: ", ".join(sorted(found[name])) for name in sorted(found)}


def set_title(name: str) -> str:
    """What people call an evaluation set."""
    return SETS.get(name, name)


def per_source(value: Any) -> dict[str, float]:
    """A counter by source; a plain number is that of the corpus."""
    if isinstance(value, Mapping):
        return {str(name): float(number) for name, number in value.items()}
    return {} if value is None else {"corpus": float(value)}


def ordered(names: Iterable[str], first: Iterable[str]) -> list[str]:
    """`names` without repeats, those in `first` at the front."""
    unique = list(dict.fromkeys(names))
    front = [name for name in dict.fromkeys(first) if name in unique]
    return front + [name for name in unique if name not in front]


def _largest(reasons: dict[str, int]) -> dict[str, int]:
    shown = dict(list(reasons.items())[:REASONS_SHOWN])
    rest = sum(reasons.values()) - sum(shown.values())
    return shown | ({f"{len(reasons) - len(shown)} other reasons": rest} if rest else {})
