"""The whole way in miniature: from a folder of code to a model, its verdict and its report."""

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pyarrow.compute as pc
import pytest

from hornbook.core.documents import read_table
from hornbook.core.step import content_hash
from tests.miniature import hornbook, write_miniature

ARMS = ("raw", "rules", "curated", "textbook")
SETS = ("humaneval", "functions", "held_out")


def test_the_terminal_tells_what_was_kept_and_where_the_report_is(workspace):
    text = (workspace / "first-run.txt").read_text()
    assert "report.html" in text
    assert "dropped" in text
    assert "unique tokens" in text.lower()
    assert all(arm in text for arm in ARMS)


def test_a_second_run_does_nothing_and_says_so(workspace, run):
    done = hornbook("run", "recipe.yaml", "--run", run, cwd=workspace)
    assert done.returncode == 0, done.stderr
    assert "Nothing to do" in done.stdout


def test_results_hold_the_verdict_with_its_interval_and_all_bits(run):
    results = json.loads((run / "results.json").read_text())
    measured = {(row["set"], row["arm"], row["budget"]) for row in results["bits_per_byte"]}
    assert {(name, arm, 8000) for name in SETS for arm in ARMS} <= measured
    assert ("humaneval", "raw", 16_000) in measured
    for arm in ("rules", "curated", "textbook"):
        verdict = results["verdict"]["humaneval"][arm]
        assert verdict["low"] <= verdict["multiplier"] <= verdict["high"]
    assert {"classifier", "steps", "versions"} <= results.keys()


def test_the_arms_differ_by_what_their_filters_drop(run):
    """Only `raw` reads what the rules drop, and no arm reads a held-out file."""
    steps = run / "steps"
    rules = read_table(steps / "curation.passage_rules")
    broken = set(rules["id"].filter(pc.invert(rules["keep"])).to_pylist())
    files = read_table(steps / "corpus.held_out")
    held_out = set(files["id"].filter(pc.invert(files["keep"])).to_pylist())
    selected = {arm: read_table(steps / f"curation.select.{arm}", ["id", "parent"]) for arm in ARMS}
    assert [arm for arm in ARMS if broken & set(selected[arm]["id"].to_pylist())] == ["raw"]
    assert held_out and not any(held_out & set(table["parent"].to_pylist()) for table in selected.values())


def test_models_load_in_transformers_and_complete(run):
    from transformers import AutoModelForCausalLM, AutoTokenizer

    for name in (*ARMS, "final"):
        tokenizer = AutoTokenizer.from_pretrained(run / "models" / name)
        model = AutoModelForCausalLM.from_pretrained(run / "models" / name)
        ids = tokenizer("def add(a, b):", return_tensors="pt").input_ids
        assert model.generate(ids, max_new_tokens=3, do_sample=False).shape[1] == ids.shape[1] + 3
    assert (run / "models" / "final-Q8_0.gguf").stat().st_size > 10_000


def test_report_is_one_self_contained_page(run):
    page = (run / "report.html").read_text()
    assert "<svg" in page
    assert all(arm in page for arm in ARMS)
    assert 'src="http' not in page


def test_scores_of_any_passages(workspace):
    passages = [
        {
            "id": "a",
            "text": 'def mean(xs):\n    """Return the average of xs.\n\n    >>> mean([1, 3])\n    2.0\n    """\n',
        },
        {"id": "b", "text": "x = 1\n"},
    ]
    (workspace / "passages.jsonl").write_text("".join(json.dumps(passage) + "\n" for passage in passages))
    done = hornbook("score", "passages.jsonl", "--run", "runs/laptop-python", cwd=workspace)
    assert done.returncode == 0, done.stderr
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    assert [row["id"] for row in rows] == ["a", "b"]
    assert rows[0]["edu"] > rows[1]["edu"]
    assert all(0 <= row["edu"] <= 5 and 0 <= row["self"] <= 3 and 1 <= row["level"] <= 5 for row in rows)


def test_bits_per_byte_of_any_texts(workspace):
    (workspace / "texts.jsonl").write_text(json.dumps({"text": "def f(x):\n    return x\n", "ask": "# f"}) + "\n")
    done = hornbook("bpb", "runs/laptop-python/models/final", "texts.jsonl", "--prompt-field", "ask", cwd=workspace)
    assert done.returncode == 0, done.stderr
    assert 0.5 < float(done.stdout.split()[0]) < 8


def test_completion_streams_and_tells_its_speed(workspace):
    done = hornbook("complete", "def f(", "--model", "runs/laptop-python/models/final", cwd=workspace)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("def f(")
    assert "token" in done.stderr


def test_why_tells_the_life_of_a_dropped_passage(workspace, run):
    verdicts = read_table(run / "steps" / "curation.passage_rules")
    dropped = verdicts.filter(pc.invert(verdicts["keep"])).to_pylist()[0]
    done = hornbook("why", dropped["id"], "--run", run, cwd=workspace)
    assert done.returncode == 0, done.stderr
    assert dropped["reason"] in " ".join(done.stdout.split())


def test_status_shows_every_step(workspace, run):
    done = hornbook("status", run, cwd=workspace, COLUMNS="160")
    assert done.returncode == 0, done.stderr
    assert all(step.name in done.stdout for step in (run / "steps").iterdir() if not step.name.startswith("."))


def test_a_changed_threshold_repeats_neither_reading_nor_scoring(workspace, run):
    recipe = workspace / "changed.yaml"
    recipe.write_text((workspace / "recipe.yaml").read_text().replace("top_share: 0.3}", "top_share: 0.2}"))
    done = hornbook("run", recipe, "--run", run, "--until", "curation.select.curated", cwd=workspace)
    assert done.returncode == 0, done.stderr
    assert "curation.select.curated" in done.stdout
    assert "corpus." not in done.stdout
    assert "curation.scores" not in done.stdout


def tables(run: Path) -> dict[str, str]:
    """Hashes of all that must not depend on how often a run was interrupted."""
    steps = run / "steps"
    names = [
        p.name for p in steps.iterdir() if p.name.startswith(("corpus.", "curation.", "tokenization.", "training."))
    ]
    hashes = {
        name: content_hash(steps / name) for name in names if not name.startswith(("training.", "curation.classif"))
    }
    hashes |= {p.relative_to(steps).as_posix(): content_hash(p) for p in steps.glob("training.*/*/model.safetensors")}
    hashes["bits"] = str(sorted(map(str, read_table(steps / "evaluation.curated").to_pylist())))
    return hashes


@pytest.mark.stress
@pytest.mark.timeout(1500)
def test_a_run_killed_again_and_again_ends_as_if_it_had_not_been(tmp_path):
    write_miniature(tmp_path)
    whole = hornbook("run", "recipe.yaml", "--run", tmp_path / "whole", cwd=tmp_path)
    assert whole.returncode == 0, whole.stderr
    command = [sys.executable, "-m", "hornbook.cli", "run", "recipe.yaml", "--run", "killed"]
    draw = random.Random(0)
    for _ in range(12):
        process = subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            process.wait(timeout=draw.uniform(2, 20))
            break
        except subprocess.TimeoutExpired:
            os.kill(process.pid, signal.SIGKILL)
            process.wait()
            time.sleep(0.5)
    done = hornbook("run", "recipe.yaml", "--run", "killed", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert tables(tmp_path / "killed") == tables(tmp_path / "whole")


def test_a_training_is_watched_when_the_recipe_asks_for_it(workspace, tmp_path):
    shutil.copytree(workspace, tmp_path / "copy")
    recipe = tmp_path / "copy" / "recipe.yaml"
    watch = "{evaluate_every: 5, evaluation_passages: 5, sample_prompts: ['def add(a, b):'], sample_every: 10}"
    recipe.write_text(recipe.read_text().replace("training:\n", f"training:\n  monitor: {watch}\n"))
    command = ("run", recipe, "--run", "runs/laptop-python", "--until", "training.raw")
    done = hornbook(*command, cwd=tmp_path / "copy")
    assert done.returncode == 0, done.stderr
    folder = tmp_path / "copy" / "runs" / "laptop-python" / "steps" / "training.raw"
    lines = [json.loads(line) for line in (folder / "curve.jsonl").read_text().splitlines()]
    measured = [line["measured"] for line in lines if "measured" in line]  # bits per byte of held-out passages
    assert len(measured) > 4 and measured[-1] < measured[0] < 8
    samples = [json.loads(line) for line in (folder / "samples.jsonl").read_text().splitlines()]
    assert samples and {sample["prompt"] for sample in samples} == {"def add(a, b):"}
    watched = (folder / "16000" / "model.safetensors").read_bytes()
    unwatched = workspace / "runs" / "laptop-python" / "steps" / "training.raw" / "16000" / "model.safetensors"
    assert watched == unwatched.read_bytes()
