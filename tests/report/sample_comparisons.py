"""Small finished comparisons, made by hand in the formats of the steps: a sweep, one decision left out at a time, and
data by size of the model. The verdicts are those of the real step."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from hornbook.ablation.config import LadderConfig, SweepConfig, VerdictConfig
from hornbook.ablation.verdict import verdict_step
from hornbook.core.documents import write_table
from tests.report.sample_run import _json, _step

BUDGET = 600_000
SETS = {"humaneval": (120, 2.3), "programs": (100, 2.4), "explained": (59, 2.2), "held_out": (80, 2.5)}  # texts, bits
SIZES = {"small": 330_000, "medium": 1_330_000, "large": 5_200_000}
WORTH = {"raw": 1.0, "curated": 1.6, "textbook": 2.4}  # the multiplier of data in the law of the ladder
TRAINING = {"model": {"hidden_size": 128, "num_hidden_layers": 4}, "context": 512, "optimizer": {"muon_lr": 0.01}}
_WHERE = {"parameters": 1_330_000, "tokens": 688_128, "epochs": {"corpus": 0.6}, "unique_tokens": {"corpus": 413_000}}


def make_sweep(run: Path) -> Path:
    """lesson_share from 0 to 0.8; 0.3 is best, its neighbours are nearly as good, the ends are not."""
    above = {"raw": 0.5, "mix-0": 0.2, "mix-0.2": 0.002, "mix-0.3": 0.0, "mix-0.5": 0.002, "mix-0.8": 0.12}
    values = {arm: float(arm.removeprefix("mix-")) for arm in above if arm != "raw"}
    configs = {arm: {"lesson_share": value} for arm, value in values.items()}
    config = VerdictConfig(
        base_arm="mix-0", sweep=SweepConfig(setting="lesson_share", values=values), seeds=2, **_CHOSEN
    )
    return _comparison(run, above, config, configs)


def make_leave_one_out(run: Path) -> Path:
    """Leaving out the classifier hurts, leaving out passage rules helps, the rest is open."""
    above = {"raw": 0.4, "textbook": 0.0, "no-classifier": 0.2, "no-passage-rules": -0.1, "no-decontamination": 0.001}
    run = _comparison(run, above, VerdictConfig(base_arm="textbook", seeds=2, **_CHOSEN), {})
    chain = {"curation.passage_rules": {"enabled": True, "max_line_bytes": 400}, "curation.decontamination": {}}
    for name, settings in chain.items():
        _built(run, name, {}, settings)
    _built(run, "curation.scores", {"rules": "curation.passage_rules"})
    off = "curation.passage_rules.no-passage-rules"
    _built(run, off, {}, {"enabled": False, "max_line_bytes": 400})
    whole = {"rules": "curation.passage_rules", "leaks": "curation.decontamination", "scores": "curation.scores"}
    reads = dict.fromkeys(above, whole) | {
        "raw": {},
        "no-classifier": {key: whole[key] for key in ("rules", "leaks")},
        "no-passage-rules": whole | {"rules": off},
        "no-decontamination": {key: whole[key] for key in ("rules", "scores")},
    }
    for arm, inputs in reads.items():
        kind = {"raw": "raw", "no-classifier": "rules"}.get(arm, "classifier")
        _built(run, f"curation.select.{arm}", inputs, {"name": arm, "filter": kind, "max_bytes": 4_000_000})
    return run


def make_ladder(run: Path) -> Path:
    """Three kinds of data by three sizes on a known law, and executed exercises. On `explained` size is no help."""
    arms = {"raw": ("raw", "medium")} | {f"{data}-{size}": (data, size) for data in WORTH for size in SIZES}
    del arms["raw-medium"]
    parameters = {arm: SIZES[size] for arm, (_, size) in arms.items()}
    ladder = LadderConfig(data={arm: data for arm, (data, _) in arms.items() if arm != data})
    config = VerdictConfig(base_arm="textbook-medium", ladder=ladder, seeds=3, **_CHOSEN)
    configs = {arm: {"model": {"hidden_size": 64 * (1 + list(SIZES).index(size))}} for arm, (_, size) in arms.items()}
    rates = {arm: WORTH[data] for arm, (data, _) in arms.items()}
    return _comparison(run, rates, config, configs, parameters)


_CHOSEN: dict[str, Any] = {"choice_sets": ("programs", "explained"), "bootstrap": 200}


def _comparison(
    run: Path,
    arms: dict[str, float],
    config: VerdictConfig,
    configs: dict[str, dict[str, Any]],
    parameters: dict[str, int] | None = None,
) -> Path:
    """Training and evaluation of some arms, and the verdict on them. `arms`: how far each lies above the others in bits
    per byte; with `parameters`, what its data is worth in the law."""
    inputs = {}
    _step(run, "training.probe", "train", {"choices": {"dtype": "bfloat16", "compile": True, "threads": 2}})
    for arm, number in arms.items():
        long = parameters or arm == config.reference_arm
        budgets = (BUDGET // 2, BUDGET, 2 * BUDGET, 4 * BUDGET) if long else (BUDGET,)
        size = (parameters or {}).get(arm, _WHERE["parameters"])
        for n in range(config.seeds):
            repeat = f".repeat-{n}" if n else ""
            folder = f"evaluation.{arm}{repeat}"
            rows = []
            for name in SETS:
                for budget in budgets:
                    rate = _law(name, size, budget, number) if parameters else number - 0.3 * np.log2(budget / BUDGET)
                    about = {"arm": arm, "budget": budget, "seed": n, "parameters": size}
                    rows += _bits(about, name, rate)
            _step(run, folder, "evaluate", {"rows_out": len(rows)}, seconds=6.0)
            write_table(pa.Table.from_pylist(rows), run / "steps" / folder / "bits.parquet")
            inputs[folder] = run / "steps" / folder
            if parameters and arm in ("raw", "textbook-medium"):
                folder = f"evaluation.executed.{arm}{repeat}"
                _step(run, folder, "evaluate", {"exercises": 60}, seconds=4.0)
                write_table(_executed(arm, n, size), run / "steps" / folder / "executed.parquet")
                inputs[folder] = run / "steps" / folder
            counters = _WHERE | {"parameters": size}
            settings = TRAINING | configs.get(arm, {}) | {"budgets": list(budgets), "seed": n}
            _built(run, f"training.{arm}{repeat}", {}, settings, counters, 60.0, tokenizer="a1b2c3")
    out = run / "steps" / "ablation.verdict"
    out.mkdir()
    _step(run, "ablation.verdict", "evaluate", verdict_step(inputs, out, config), seconds=2.0)
    return run


def _bits(about: dict[str, Any], name: str, above: float) -> list[dict[str, Any]]:
    """Bits of the texts of a set; arms share what makes a text hard, and differ in a little noise."""
    texts, rate = SETS[name]
    shared = np.random.default_rng(len(name))
    bytes_N, hard_N = shared.integers(80, 900, texts), shared.normal(0, 0.3, texts)
    luck = [sum(about["arm"].encode()), about["budget"], about["seed"]]
    rate_N = np.maximum(rate + above + hard_N + np.random.default_rng(luck).normal(0, 0.03, texts), 0.1)
    return [
        about | {"set": name, "id": f"{name}/{n}", "bits": float(rate_N[n] * bytes_N[n]), "bytes": int(bytes_N[n])}
        for n in range(texts)
    ]


def _law(name: str, parameters: float, tokens: float, worth: float) -> float:
    """Bits per byte above 2, roughly."""
    return (0 if name == "explained" else 9 / parameters**0.2) + 60 / (tokens * worth) ** 0.35 - 1


def _executed(arm: str, seed: int, parameters: int) -> pa.Table:
    """One exercise in ten is solved by the reference, a quarter by the other."""
    solved = np.random.default_rng([seed, len(arm)]).random(60) < (0.1 if arm == "raw" else 0.25)
    about = {"arm": arm, "budget": BUDGET, "seed": seed, "parameters": parameters, "samples": 1}
    return pa.Table.from_pylist([about | {"id": f"exercise/{n}", "passed": int(solved[n])} for n in range(60)])


def _built(
    run: Path,
    name: str,
    reads: dict[str, str],
    config: dict[str, Any] | None = None,
    counters: dict[str, Any] | None = None,
    seconds: float = 3.0,
    **inputs: str,
) -> None:
    """A step with an identity of its own, known to the steps that read it."""
    _step(run, name, "train", counters or {}, seconds, config)
    path = run / "steps" / name / "manifest.json"
    manifest = json.loads(path.read_text())
    manifest |= {"identity": f"identity of {name}", "inputs": inputs}
    manifest["inputs"] |= {key: f"identity of {source}" for key, source in reads.items()}
    _json(run, name, "manifest.json", manifest)
