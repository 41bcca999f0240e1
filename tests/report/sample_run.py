"""A small finished run, made by hand in the formats of the steps: real passages of the standard library."""

import ast
import json
import time
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from hornbook.ablation.config import VerdictConfig
from hornbook.ablation.verdict import verdict_step
from hornbook.core.documents import DOCUMENTS, VERDICTS, document_id, text_hash, write_table

MODULES = ("heapq", "textwrap", "statistics", "shlex", "bisect", "fractions", "json/decoder", "this")
ARMS = ("raw", "rules", "curated", "textbook")
RATES = {  # bits per byte at 0.3, 0.6, 1.2, 2.4 M tokens for raw, at 0.3 and 0.6 M for the others
    "humaneval": {
        "raw": (2.62, 2.31, 2.10, 1.97),
        "rules": (2.5, 2.22),
        "curated": (2.34, 2.06),
        "textbook": (2.2, 1.9),
    },
    "functions": {
        "raw": (2.92, 2.66, 2.45, 2.31),
        "rules": (2.86, 2.6),
        "curated": (2.75, 2.5),
        "textbook": (2.8, 2.49),
    },
    "held_out": {
        "raw": (2.80, 2.55, 2.36, 2.22),
        "rules": (2.83, 2.6),
        "curated": (2.95, 2.72),
        "textbook": (3.2, 2.95),
    },
    "programs": {"raw": (2.70, 2.42, 2.2, 2.05), "rules": (2.6, 2.35), "curated": (2.42, 2.2), "textbook": (2.4, 2.12)},
    "helpers": {"raw": (2.4, 2.2, 2.0, 1.8), "rules": (2.4, 2.1), "curated": (2.2, 2.0), "textbook": (2.2, 1.95)},
    "explained": {"raw": (2.5, 2.2, 2.0, 1.9), "rules": (2.4, 2.12), "curated": (2.3, 2.0), "textbook": (2.2, 1.97)},
}
HOSTILE = "</pre><script>alert('no')</script>\x00\x1b[31m&lt;"


def make_run(run: Path) -> Path:
    """Fill `run/steps`; returns `run`."""
    files, passages = _documents()
    ids = [row["id"] for row in passages]
    rng = np.random.default_rng(0)
    _step(
        run, "corpus.files", "read", {"rows_in": 9, "rows_out": len(files), "bytes_out": 182_000_000, **_sources(files)}
    )
    _table(run, "corpus.files", files, DOCUMENTS)
    held, bad_file, good_file = files[3]["id"], files[4]["id"], files[0]["id"]
    _verdicts(run, "corpus.held_out", [row["id"] for row in files], {held: "held out for evaluation"})
    size = {"bytes_out": sum(len(row["text"]) for row in passages)}
    _step(run, "corpus.passages", "transform", {"rows_in": len(files), "rows_out": len(passages), **size})
    _table(run, "corpus.passages", passages, DOCUMENTS)
    _verdicts(run, "curation.file_rules", [row["id"] for row in files], {bad_file: "generated"})

    rules = {row["id"]: "file: generated" for row in passages if row["parent"] == bad_file}
    rules |= {row["id"]: "held out for evaluation" for row in passages if row["parent"] == held}
    first = [row["id"] for row in passages if row["parent"] == good_file]
    rules[first[1]] = "data table"
    _verdicts(run, "curation.passage_rules", ids, rules)
    _verdicts(run, "curation.exact_duplicates", ids, {first[2]: "exact duplicate"})
    survivors = [id for id in ids if id not in rules and id != first[2]]

    _step(run, "curation.classifier", "train", {}, config={"ridge": 0.1})
    _step(run, "curation.validation", "evaluate", {}, config={"ridge": 0.1})
    _json(run, "curation.validation", "report.json", REPORT)
    scores = {"id": survivors}
    for name, (low, high) in {"edu": (0, 5), "self": (0, 3), "level": (1, 5)}.items():
        scores[name] = np.clip(rng.normal((low + high) / 2, 0.9, len(survivors)), low, high).astype(np.float32)
    _step(run, "curation.scores", "score", {"rows_in": len(ids), "rows_out": len(survivors)})
    write_table(pa.table(scores), run / "steps/curation.scores/00000-a.parquet")

    pair = survivors[4:6]
    _step(run, "curation.near_clusters", "score", {"rows_in": len(survivors), "rows_out": 2, "clusters": 1})
    clusters = pa.table({"id": pair, "cluster": [min(pair)] * 2})
    write_table(clusters, run / "steps/curation.near_clusters/clusters.parquet")
    _verdicts(run, "curation.near_duplicates", pair, {pair[1]: "near duplicate"})
    _verdicts(run, "curation.decontamination", survivors, {survivors[7]: "leak: humaneval HumanEval/31"})

    for arm in ARMS:
        taken = [row for row in passages if row["id"] in survivors[::2]]
        config = {"name": arm, "filter": "classifier" if arm in ("curated", "textbook") else arm}
        counters = {"rows_in": len(survivors), "rows_out": len(taken), "kept": len(taken)}
        reason = "not drawn" if arm in ("raw", "rules") else "edu below 2.4"
        counters["dropped"] = {reason: len(survivors) - len(taken)}
        _step(run, f"curation.select.{arm}", "select", counters, config=config)
        _table(run, f"curation.select.{arm}", taken, DOCUMENTS, "selected-0000")
        rows = [{"id": id, "keep": i % 2 == 0, "reason": reason * (i % 2)} for i, id in enumerate(survivors)]
        _table(run, f"curation.select.{arm}/verdicts", rows, VERDICTS)
    _train_and_judge(run)
    _step(run, "deployment.export", "publish", {"bytes_out": 4_000_000})
    _json(run, "deployment.export", "agreement.json", AGREEMENT)
    rows = [
        {"prompt": p, "greedy": " return a\n" + HOSTILE, "sampled": " pass\n"}
        for p in ("def f(a):", "class Stack:\n    ")
    ]
    models = {arm: [row | {"greedy": f"\n    # {arm}{row['greedy']}"} for row in rows] for arm in ARMS}
    _json(run, "deployment.export", "samples.json", {"config": {}, "completions": models})
    return run


def folders(run: Path) -> dict[str, Path]:
    """The input of the report: every step's folder."""
    return {path.name: path for path in sorted((run / "steps").iterdir()) if not path.name.startswith(".")}


AGREEMENT = {
    "F16": {"positions": 204, "top_token": 0.995, "logprob_difference": 0.0012, "kl_divergence": 2.1e-6},
    "Q8_0": {"positions": 204, "top_token": 0.975, "logprob_difference": 0.011, "kl_divergence": 2.4e-4},
}
_METRICS = ("spearman_edu", "spearman_self", "spearman_level", "auc_edu", "average_precision_edu")
REPORT: dict[str, Any] = {
    "labels": 2000,
    "files": 1412,
    "packages": 31,
    "useful": 2.5,
    "useful_share": 0.24,
    "cross_validation": {"left_out": "files", "folds": 5, "repeats": 3}
    | {"metrics": {name: {"value": 0.83, "low": 0.81, "high": 0.85} for name in _METRICS}},
    "leave_package_out": {"left_out": "packages", "folds": 30, "repeats": 1}
    | {"metrics": {name: {"value": None, "low": None, "high": None} for name in _METRICS}},
    "calibration": [
        {"low": x - 0.25, "high": x + 0.25, "labels": n, "predicted": x, "mean": x * 1.04 - 0.05}
        | {"interval": [x - 0.12, x + 0.15]}
        for x, n in ((0.4, 90), (0.8, 310), (1.3, 520), (1.8, 430), (2.2, 330), (2.8, 210), (3.3, 80), (3.8, 30))
    ],
    "out_of_fold": {"edu": {"label": [1.0, 2.0], "predicted": [1.1, 1.9]}},
}


def _documents() -> tuple[list[dict], list[dict]]:
    """Files of some modules and their functions and classes as passages, one of them hostile."""
    files, passages = [], []
    library = Path(ast.__file__).parent
    for number, name in enumerate(MODULES):
        text = (library / f"{name}.py").read_text()
        source = "python-standard-library" if number % 3 else f"distribution-{number}"
        file = _document(source, f"{name}.py", 0, text, "")
        files.append(file)
        nodes = [node for node in ast.parse(text).body if isinstance(node, ast.FunctionDef | ast.ClassDef)]
        for ordinal, node in enumerate(nodes, start=1):
            part = ast.get_source_segment(text, node)[:2000]
            passages.append(_document(source, f"{name}.py", ordinal, part, file["id"]))
    passages[5]["text"] += HOSTILE.replace("\x00", "")
    return files, passages


def _document(source: str, origin: str, ordinal: int, text: str, parent: str) -> dict[str, Any]:
    values = (document_id(source, origin, ordinal), text, text_hash(text), parent, source, origin, ordinal)
    return dict(zip(DOCUMENTS.names, (*values, "PSF-2.0", "code", '{"version": "3.11"}'), strict=True))


def _sources(files: list[dict]) -> dict[str, Any]:
    counts = Counter(file["source"] for file in files)
    return {"sources": {name: {"rows_out": n, "bytes_out": 1000 * n, "version": "3.11"} for name, n in counts.items()}}


def _train_and_judge(run: Path) -> None:
    budgets = (300_000, 600_000, 1_200_000, 2_400_000)
    for arm in ARMS:
        rows = []
        for name, rates in RATES.items():
            rng = np.random.default_rng(len(name))
            bytes_N, hard_N = rng.integers(80, 900, 120), rng.normal(0, 0.5, 120)
            for budget, rate in zip(budgets, rates[arm], strict=False):
                noise_N = np.random.default_rng(budget).normal(0, 0.25, 120)
                for text, length in enumerate(bytes_N):
                    bits = float(length * max(rate + hard_N[text] + noise_N[text] * (arm != "raw"), 0.1))
                    row = {
                        "arm": arm,
                        "budget": budget,
                        "seed": 0,
                        "parameters": 1_328_256,
                        "set": name,
                        "id": f"{name}/{text}",
                    }
                    rows.append(row | {"bits": bits, "bytes": int(length)})
        sources = {"corpus": 412_345} | ({"lessons": 204_331} if arm == "textbook" else {})
        epochs = {name: round(6e5 / sum(sources.values()), 2) for name in sources}
        counters = {"unique_tokens": sources, "epochs": epochs, "tokens": 600_000, "tokens_per_second": 15_300.0}
        _step(run, f"training.{arm}", "train", counters, seconds=48.2)
        _step(run, f"evaluation.{arm}", "evaluate", {"rows_out": len(rows)}, seconds=11.0)
        write_table(pa.Table.from_pylist(rows), run / f"steps/evaluation.{arm}/bits.parquet")
    out = run / "steps/ablation.verdict"
    out.mkdir()
    inputs = {arm: run / f"steps/evaluation.{arm}" for arm in ARMS}
    _step(run, "ablation.verdict", "evaluate", verdict_step(inputs, out, VerdictConfig(bootstrap=300)), seconds=2.0)


def _step(run: Path, name: str, kind: str, counters: dict, seconds: float = 3.0, config: dict | None = None) -> None:
    folder = run / "steps" / name
    folder.mkdir(parents=True, exist_ok=True)
    manifest = {"name": name, "kind": kind, "identity": "0" * 32, "config": config, "inputs": {}, "counters": counters}
    manifest |= {"seconds": seconds, "peak_memory_mb": 812.5, "created": time.time() - 7200}
    manifest["versions"] = {"python": "3.11.2", "torch": "2.13.0"}
    (folder / "manifest.json").write_text(json.dumps(manifest))


def _verdicts(run: Path, name: str, ids: list[str], dropped: dict[str, str]) -> None:
    reasons = Counter(dropped.values())
    counters = {"rows_in": len(ids), "kept": len(ids) - len(dropped), "dropped": dict(reasons)}
    _step(run, name, "verdict", counters)
    _table(run, name, [{"id": i, "keep": i not in dropped, "reason": dropped.get(i, "")} for i in ids], VERDICTS)


def _table(run: Path, name: str, rows: list[dict], schema: pa.Schema, shard: str = "00000-a") -> None:
    folder = run / "steps" / name
    folder.mkdir(exist_ok=True)
    write_table(pa.Table.from_pylist(rows, schema=schema), folder / f"{shard}.parquet")


def _json(run: Path, name: str, file: str, value: Any) -> None:
    (run / "steps" / name / file).write_text(json.dumps(value))
