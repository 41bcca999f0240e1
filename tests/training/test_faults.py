"""Training under kills, signals, full disks and damaged files: nothing lost, nothing silently wrong."""

import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from tests.training.stores import write_inputs

ROOT = Path(__file__).parent.parent.parent
BUDGETS = (10_240, 20_480)  # 120 steps of the trunk, decays of 20 and 40
pytestmark = pytest.mark.stress

# Lives of one run: each is a fork that kills itself after so many steps, or at any moment of a step.
LIVES = """
import os, random, sys, threading, time
from pathlib import Path
import torch
import torch.distributed.checkpoint
from hornbook.training import trainer
from tests.training.stores import config
root, out, kills = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])
inputs = {name: root / name for name in ("tokens", "tokenizer", "probe")}
settings = config(budgets=(10_240, 20_480), checkpoints={"every_steps": 1, "keep_last": 2})

def live(steps, delay):
    original, done = trainer._Run._batch, iter(range(10**6))
    def batch(self, segment, step):
        if next(done) == steps:
            time.sleep(delay)  # meanwhile the last checkpoint is being written
            os.kill(os.getpid(), 9)
        return original(self, segment, step)
    trainer._Run._batch = batch
    trainer.train_arm_step(inputs, out, settings)
    os._exit(0)

random.seed(int(sys.argv[4]))
killed = 0
while killed < kills:
    steps, delay = random.randint(3, 9), random.choice([0, 0, 0.002, 0.01, 0.03])
    if (child := os.fork()) == 0:
        live(steps, delay)
    status = os.waitpid(child, 0)[1]
    if status == 0:
        break
    assert os.WIFSIGNALED(status) and os.WTERMSIG(status) == 9, status
    killed += 1
if killed == kills:
    trainer.train_arm_step(inputs, out, settings)
print(killed)
"""

TRAIN = """
import json, sys
from pathlib import Path
from hornbook import cli
from hornbook.training.trainer import train_arm_step
from tests.training.stores import config
root, out, settings = Path(sys.argv[1]), Path(sys.argv[2]), json.loads(sys.argv[3])
inputs = {name: root / name for name in ("tokens", "tokenizer", "probe")}
out.mkdir(exist_ok=True)
print("start", flush=True)
cli.app = lambda: train_arm_step(inputs, out, config(**settings))
cli.main()
"""


@pytest.fixture(scope="module")
def arm(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("faults") / "arm"
    write_inputs(folder)
    return folder


def run(script: str, *arguments: object, before: str = "") -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", before + script, *map(str, arguments)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, env=environment)


def train(arm: Path, out: Path, before: str = "", **settings: object) -> subprocess.CompletedProcess[str]:
    return run(TRAIN, arm, out, json.dumps({"budgets": BUDGETS, **settings}), before=before)


def curve(out: Path) -> list[dict]:
    lines = [json.loads(line) for line in (out / "curve.jsonl").read_text().splitlines()]
    return [{key: value for key, value in line.items() if key != "seconds"} for line in lines]


def assert_same(a: Path, b: Path) -> None:
    """Every loss and every weight, to the last bit."""
    assert curve(a) == curve(b)
    for budget in BUDGETS:
        wanted, found = (load_file(out / str(budget) / "model.safetensors") for out in (a, b))
        assert all(torch.equal(wanted[name], found[name]) for name in wanted)


@pytest.fixture(scope="module")
def undisturbed(arm: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("undisturbed")
    assert train(arm, out).returncode == 0
    return out


@pytest.mark.parametrize("threads", [1, 2])
def test_killed_twenty_times_it_ends_with_the_same_bits(tmp_path, threads):
    write_inputs(tmp_path / "arm", threads=threads)
    assert train(tmp_path / "arm", tmp_path / "whole").returncode == 0
    (tmp_path / "killed").mkdir()
    result = run(LIVES, tmp_path / "arm", tmp_path / "killed", 20, threads)
    assert result.returncode == 0, result.stderr
    assert int(result.stdout.split()[-1]) == 20
    assert_same(tmp_path / "whole", tmp_path / "killed")


def test_asked_to_end_it_saves_says_so_and_goes_on_later(arm, undisturbed, tmp_path):
    settings = json.dumps({"budgets": BUDGETS, "checkpoints": {"every_seconds": 1e6}})
    command = [sys.executable, "-c", TRAIN, str(arm), str(tmp_path), settings]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    while not (tmp_path / "checkpoints" / "model" / "config.json").exists():
        assert process.poll() is None
    process.send_signal(signal.SIGTERM)
    said = process.communicate()[1]
    assert process.returncode == 143, said
    assert (found := re.search(r"Asked to end at step (\d+) of 60 of the trunk; its state is saved.", said)), said
    assert (tmp_path / "checkpoints" / f"trunk-{int(found[1]):08d}" / "checkpoint.json").exists()
    assert train(arm, tmp_path).returncode == 0
    assert_same(undisturbed, tmp_path)


SMALL_FILES = """
import resource
resource.setrlimit(resource.RLIMIT_FSIZE, (150_000, 150_000))
"""


def test_a_file_that_cannot_grow_is_an_error_and_earlier_states_are_kept(arm, undisturbed, tmp_path):
    first = train(
        arm, tmp_path, checkpoints={"every_steps": 25, "keep_last": 9}, max_skipped_steps=0, before=KILL_AT_30
    )
    assert first.returncode == -signal.SIGKILL
    before = sorted((tmp_path / "checkpoints").iterdir())
    result = train(arm, tmp_path, before=SMALL_FILES, checkpoints={"every_steps": 5})
    assert result.returncode == 2 and "Could not write the checkpoint" in result.stderr, result.stderr
    assert sorted((tmp_path / "checkpoints").iterdir()) == before
    assert train(arm, tmp_path).returncode == 0
    assert_same(undisturbed, tmp_path)


KILL_AT_30 = """
import os, time
from hornbook.training import trainer
original = trainer._Run._batch
def batch(self, segment, step):
    if step == 30:
        self.checkpoints.wait()
        os.kill(os.getpid(), 9)
    return original(self, segment, step)
trainer._Run._batch = batch
"""


def test_a_full_disk_is_an_error_and_earlier_states_are_kept(arm, undisturbed, tmp_path):
    out, disk = tmp_path / "disk" / "out", tmp_path / "disk"
    disk.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", disk], capture_output=True).returncode:
        pytest.skip("mounting a small disk is not permitted")
    try:
        assert train(arm, out, before=KILL_AT_30, checkpoints={"every_steps": 25}).returncode == -signal.SIGKILL
        (disk / "ballast").write_bytes(bytes(os.statvfs(disk).f_bavail * os.statvfs(disk).f_bsize - 200_000))
        result = train(arm, out, checkpoints={"every_steps": 5})
        assert result.returncode == 2 and "The disk is full" in result.stderr, result.stderr
        assert (out / "checkpoints" / "trunk-00000025" / "checkpoint.json").exists()
        assert not list((out / "checkpoints").glob(".partial-*"))
        (disk / "ballast").unlink()
        subprocess.run(["mount", "-o", "remount,size=50m", disk], check=True)
        assert train(arm, out).returncode == 0
        assert_same(undisturbed, out)
    finally:
        subprocess.run(["umount", disk], check=True)


def test_a_damaged_checkpoint_is_refused_and_the_one_before_it_serves(arm, undisturbed, tmp_path):
    keep = {"every_steps": 10, "keep_last": 2}
    assert train(arm, tmp_path, before=KILL_AT_30, checkpoints=keep).returncode == -signal.SIGKILL
    newest = tmp_path / "checkpoints" / "trunk-00000030"
    shard = newest / "__0_0.distcp"
    content = bytearray(shard.read_bytes())
    content[len(content) // 3] ^= 4
    shard.write_bytes(content)
    result = train(arm, tmp_path)
    assert result.returncode == 2 and f"Delete {newest} and run again" in result.stderr, result.stderr
    for file in newest.iterdir():
        file.unlink()
    newest.rmdir()
    assert train(arm, tmp_path).returncode == 0
    assert_same(undisturbed, tmp_path)


def test_two_processes_do_not_train_in_one_folder(arm, tmp_path):
    settings = json.dumps({"budgets": BUDGETS, "checkpoints": {"every_seconds": 1e6}})
    command = [sys.executable, "-c", TRAIN, str(arm), str(tmp_path), settings]
    first = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE)
    while not (tmp_path / "checkpoints" / "model" / "config.json").exists():
        assert first.poll() is None
    first.send_signal(signal.SIGSTOP)  # hold it in the middle
    second = train(arm, tmp_path)
    first.send_signal(signal.SIGCONT)
    assert second.returncode == 2 and "Another process is at work" in second.stderr
    assert first.wait() == 0
