"""Every command of the README does what the README says; the demo in its miniature form."""

import re
import shlex
import subprocess
from pathlib import Path

import pytest

from hornbook.core.documents import read_table
from tests.miniature import hornbook

ROOT = Path(__file__).parent.parent
COMMANDS = [
    line
    for block in re.findall(r"^```\n(.*?)^```", (ROOT / "README.md").read_text(), re.M | re.S)
    for line in block.splitlines()
    if line.strip()
]


def test_the_readme_is_short_and_its_links_lead_somewhere():
    text = (ROOT / "README.md").read_text()
    assert len(text.splitlines()) < 100
    for link in re.findall(r"\]\(([^)]+)\)", text):
        assert link.startswith("https://") or (ROOT / link).exists(), link


def test_make_targets_of_the_readme_exist():
    for command in COMMANDS:
        if command.startswith("make "):
            done = subprocess.run(["make", "-n", *command.split()[1:]], cwd=ROOT, capture_output=True, text=True)
            assert done.returncode == 0, done.stderr


def test_make_demo_runs_the_recipe_of_the_readme():
    done = subprocess.run(["make", "-n", "demo"], cwd=ROOT, capture_output=True, text=True)
    assert "hornbook run recipes/laptop-python.yaml" in done.stdout
    assert (ROOT / "recipes" / "laptop-python.yaml").exists()


@pytest.mark.parametrize("command", [c for c in COMMANDS if c.startswith(".venv/bin/hornbook")])
def test_command(workspace, command):
    arguments = shlex.split(command)[1:]
    if arguments[0] == "why":
        arguments[1] = read_table(workspace / "runs/laptop-python/steps/corpus.files", ["id"])["id"][0].as_py()
    if arguments[:2] == ["run", "mine/recipe.yaml"]:
        arguments += ["--until", "curation.passage_rules"]  # the rest is the demo, and takes as long
    arguments = [a.replace("~", str(workspace / "home")) for a in arguments]
    arguments = [str(ROOT / a) if a.startswith("recipes/") else a for a in arguments]
    done = hornbook(*arguments, cwd=workspace)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip()


def test_the_documented_commands_are_the_ones_tested():
    assert all(command.startswith(("make ", ".venv/bin/hornbook ")) for command in COMMANDS)
