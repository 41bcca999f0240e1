"""The command line as its user meets it: a process, its output, its exit status."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.miniature import RECIPE, hornbook, write_labels

VERBS = ("run", "compare", "sweep", "init", "score", "bpb", "complete", "fetch", "why", "status", "synth", "grade")


def test_help_shows_every_verb_and_examples(tmp_path):
    text = hornbook("--help", cwd=tmp_path).stdout
    assert "Examples" in text
    assert all(f"\n  {verb} " in text for verb in VERBS)


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_has_help(tmp_path, verb):
    assert "Usage" in hornbook(verb, "--help", cwd=tmp_path).stdout


def test_help_imports_nothing_heavy(tmp_path):
    code = "import sys, hornbook.cli; print(*sys.modules)"
    modules = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout.split()
    assert not {"torch", "daft", "pyarrow", "sklearn", "numpy", "matplotlib"} & set(modules)


def recipe_with(folder: Path, old: str, new: str) -> None:
    assert old in RECIPE
    (folder / "home" / "code").mkdir(parents=True)
    (folder / "recipe.yaml").write_text(RECIPE.replace(old, new))
    write_labels(folder)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["run", "none.yaml"], "no recipe none.yaml"),
        (["init", "mine", "--source", "nowhere"], "no folder nowhere"),
        (["score", "none.jsonl"], "no finished step curation.classifier"),
        (["complete", "x"], "no model"),
        (["bpb", "nowhere", "x.jsonl"], "nowhere"),
        (["why", "abcdef"], "runs/laptop-python"),
        (["status", "nowhere"], "nowhere"),
        (["synth", "run", "none.yaml"], "no recipe none.yaml"),
    ],
)
def test_bad_input_is_one_line_and_exit_status_2(tmp_path, arguments, message):
    done = hornbook(*arguments, cwd=tmp_path)
    assert done.returncode == 2
    assert message in done.stderr
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("folder: home/code", "folder: nowhere", "nowhere"),
        ("folder: home/code", "distributions: [no-such-distribution]", "pip install no-such-distribution"),
        ("folder: home/code", "folder: home/code", "code"),  # it is empty
        ("vocab_size: 1024", "vocab_sise: 1024", "Did you mean 'vocab_size'"),
    ],
)
def test_bad_sources_and_keys_are_one_line_and_exit_status_2(tmp_path, old, new, message):
    recipe_with(tmp_path, old, new)
    done = hornbook("run", "recipe.yaml", cwd=tmp_path)
    assert done.returncode == 2, done.stderr
    assert message in done.stderr
    assert done.stderr.count("\n") == 1


def test_unknown_step_lists_the_steps(tmp_path):
    recipe_with(tmp_path, "folder: home/code", "folder: home/code")
    (tmp_path / "home" / "code" / "a.py").write_text("def one():\n    return 1\n" * 20)
    done = hornbook("run", "recipe.yaml", "--until", "curation.nothing", cwd=tmp_path)
    assert done.returncode == 2
    assert "curation.scores" in done.stderr


@pytest.mark.skipif(shutil.which("unshare") is None, reason="needs a file system of its own")
def test_a_full_disk_is_one_line_and_what_was_done_stays(tmp_path):
    recipe_with(tmp_path, "folder: home/code", "folder: home/code")
    (tmp_path / "home" / "code" / "a.py").write_text(
        "".join(f"def f{i}(x):\n    return x + {i}\n\n\n" for i in range(90_000))
    )
    disk = tmp_path / "disk"
    disk.mkdir()
    script = (
        f"mount -t tmpfs -o size=300k none {disk} && "
        f"{sys.executable} -m hornbook.cli run recipe.yaml --run {disk}/run --until corpus.passages; "
        f"status=$?; ls -a {disk}/run/steps; exit $status"
    )
    done = subprocess.run(["unshare", "-m", "sh", "-c", script], cwd=tmp_path, capture_output=True, text=True)
    if "unshare" in done.stderr or "mount:" in done.stderr:
        pytest.skip("this machine does not let us mount")
    assert done.returncode == 2, done.stderr
    assert "disk is full" in done.stderr
    assert "corpus.passages\n" not in done.stdout.replace(".partial-corpus.passages", "")
