"""`hornbook grade`: the verb in a process of its own, with a teacher on loopback and a folder of real code."""

import asyncio
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from hornbook.core.documents import read_table
from hornbook.core.errors import HornbookError
from hornbook.grade import grade_plan
from hornbook.services.llm_config import TeacherConfig
from tests.grader import by_rule, grades
from tests.miniature import hornbook, write_miniature
from tests.services.chat_server import chat_server

LABELS = 150
TWICE = 30
ARGUMENTS = ("grade", "home/code", "--labels", LABELS, "--keep", "15%", "--folder", "out", "--model", "playback")


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("grade")
    write_miniature(folder)
    return folder


@pytest.fixture(scope="module")
def graded(workspace: Path) -> str:
    """A run that was killed while the teacher was at work, and went on: what it printed at last."""
    environment = {"HORNBOOK_CACHE": str(workspace / "cache")}

    async def slow_after_a_while(exchange):
        if sum(server.paid.values()) >= 60 and not server.finish:
            await asyncio.sleep(600)
        return await by_rule(exchange)

    with chat_server(slow_after_a_while) as server:
        server.finish = False
        command = [sys.executable, "-m", "hornbook.cli", *map(str, ARGUMENTS), "--teacher", server.url]
        process = subprocess.Popen(command, cwd=workspace, env={**os.environ, **environment}, start_new_session=True)
        deadline = time.monotonic() + 120
        while sum(server.paid.values()) < 60 and time.monotonic() < deadline and process.poll() is None:
            time.sleep(0.1)
        time.sleep(1)  # what has arrived is kept by then
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        assert sum(server.paid.values()) == 60
        server.finish = True
        done = hornbook(*ARGUMENTS, "--teacher", server.url, cwd=workspace, **environment)
        assert done.returncode == 0, done.stderr
        assert sum(server.paid.values()) == LABELS + TWICE  # the 60 from before the kill were not paid again
        again = hornbook(*ARGUMENTS, "--teacher", server.url, cwd=workspace, **environment)
        assert again.returncode == 0 and sum(server.paid.values()) == LABELS + TWICE
    return done.stdout


def test_it_prints_agreement_quality_learning_curve_and_cut(graded):
    assert f"Labels: {LABELS} of {LABELS} passages" in graded and "0 failed" in graded
    assert f"{TWICE} passages asked twice" in graded and "edu    weighted kappa 1.00" in graded
    for part in ("Spearman correlation, edu", "Calibration of edu", "Learning curve"):
        assert part in graded
    correlation = float(re.search(r"Spearman correlation, edu +(0\.\d+)", graded).group(1))
    assert correlation > 0.5  # the rule is easy to learn
    precision, low, high = map(
        float, re.search(r"precision ([\d.]+) \[([\d.]+), ([\d.]+)\]   recall 0", graded).groups()
    )
    assert 0.7 < low <= precision <= high
    assert re.search(r"2 times the labels: [+-]0\.\d+ \[", graded)


def test_it_keeps_the_best_share_with_scores_and_verdicts(graded, workspace):
    out = workspace / "out"
    kept = [json.loads(line) for line in (out / "kept.jsonl").read_text().splitlines()]
    scores, verdicts = read_table(out / "scores"), read_table(out / "verdicts")
    assert len(scores) == len(verdicts)
    edu = dict(zip(scores["id"].to_pylist(), scores["edu"].to_pylist(), strict=True))
    chosen = {row["id"] for row in kept}
    assert chosen == set(verdicts.filter(verdicts["keep"])["id"].to_pylist())
    assert min(edu[id] for id in chosen) >= max(edu[id] for id in edu if id not in chosen)
    assert 0.05 < len(kept) / len(edu) < 0.3
    taught = [np.mean([grades(row["text"])["edu"] for row in kept]), np.mean(list(edu.values()))]
    assert taught[0] > taught[1] + 0.5
    assert {"id", "text", "source", "origin", "edu", "self", "level"} <= kept[0].keys()


def test_labels_are_kept_with_where_they_come_from(graded, workspace):
    labels = [json.loads(line) for line in (workspace / "out" / "labels.jsonl").read_text().splitlines()]
    assert len(labels) == LABELS and {label["teacher"] for label in labels} == {"playback"}
    assert all(label["edu"] == grades(label["text"])["edu"] for label in labels)
    assert sum(len(label["answers"]) == 2 for label in labels) == TWICE
    for label in labels:
        assert len(label["rubric"]) == len(label["prompt"]) == 16 and re.match(r"20\d\d-\d\d-\d\dT", label["date"])


def test_labels_that_exist_take_the_place_of_the_teacher(graded, workspace):
    shutil.copyfile(workspace / "out" / "labels.jsonl", workspace / "mine.jsonl")
    done = hornbook(
        *("grade", "home/code", "--keep", "0.15", "--labels-file", "mine.jsonl", "--run", "other"), cwd=workspace
    )
    assert done.returncode == 0, done.stderr
    assert "passages asked twice" not in done.stdout and "Learning curve" in done.stdout
    assert (workspace / "other" / "kept.jsonl").read_text() == (workspace / "out" / "kept.jsonl").read_text()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"labels": 99}, "--labels is 99"),
        ({"rubric": "poetry"}, "Cannot read the rubric poetry.* one of code, prose"),
        ({"labels_jsonl": Path("none.jsonl")}, "No label file"),
        ({"labels_jsonl": Path("mine.jsonl"), "teacher": TeacherConfig()}, "takes the place of a teacher"),
        ({"corpus": "nowhere"}, "There is no folder nowhere"),
    ],
)
def test_wrong_options_are_errors_before_anything_is_done(workspace, options, message):
    with pytest.raises(HornbookError, match=message):
        grade_plan(**{"corpus": str(workspace / "home" / "code"), "keep": 0.15, **options})


def test_a_share_that_is_none_is_one_line(workspace):
    done = hornbook("grade", "home/code", "--keep", "150%", cwd=workspace)
    assert done.returncode == 2 and "150% is no share" in done.stderr
