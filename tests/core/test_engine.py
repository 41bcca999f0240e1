"""The two patterns of the engine on real Parquet files and real worker processes."""

import hashlib
import subprocess
import sys
import time
from functools import partial

import pyarrow as pa
import pytest

from hornbook.core.documents import read_table, shards, write_table
from hornbook.core.engine import add_counters, exchange, map_groups, map_shards
from hornbook.core.errors import HornbookError


def squares(numbers, offset=0):
    if -1 in numbers:
        raise HornbookError("A negative number.", "Use positive ones.")
    table = pa.table({"square": [n * n + offset for n in numbers]})
    return table, {"rows_out": table.num_rows, "dropped": {"odd": sum(n % 2 for n in numbers)}}


def join_scores(table, scores):
    return table.append_column("score", scores["score"]), {"rows": table.num_rows}


def test_every_group_becomes_a_shard_of_its_name(tmp_path):
    groups = {f"part-{i}": [i, i + 1] for i in range(5)}
    counters = map_groups(partial(squares, offset=1), groups, tmp_path / "out", "squares")
    assert [path.stem for path in shards(tmp_path / "out")] == list(groups)
    assert read_table(tmp_path / "out")["square"].to_pylist() == [1, 2, 2, 5, 5, 10, 10, 17, 17, 26]
    assert add_counters(counters) == {"rows_out": 10, "dropped": {"odd": 5}}


def test_an_error_in_a_worker_reaches_the_user_with_its_remedy(tmp_path):
    with pytest.raises(HornbookError) as caught:
        map_groups(squares, {"a": [1], "b": [-1], "c": [2]}, tmp_path / "out", "squares")
    assert caught.value.problem == "A negative number."
    assert caught.value.remedy == "Use positive ones."


def test_side_tables_travel_beside_their_documents(tmp_path):
    for i in range(3):
        for folder, column in (("docs", "id"), ("scores", "score")):
            (tmp_path / folder).mkdir(exist_ok=True)
            write_table(pa.table({column: [f"{column}{i}"]}), tmp_path / folder / f"s{i}.parquet")
    map_shards(join_scores, tmp_path / "docs", tmp_path / "out", "join", {"scores": tmp_path / "scores"})
    rows = read_table(tmp_path / "out").to_pylist()
    assert rows == [{"id": f"id{i}", "score": f"score{i}"} for i in range(3)]


@pytest.mark.parametrize("partitions", [1, 4])
def test_exchange_brings_equal_keys_together_once(tmp_path, partitions):
    rows = [(hashlib.md5(str(i % 20).encode()).hexdigest(), i) for i in range(200)]
    for shard in range(4):
        part = rows[shard::4]
        write_table(
            pa.table({"hash": [r[0] for r in part], "n": [r[1] for r in part], "text": ["x"] * len(part)}),
            tmp_path / f"s{shard}.parquet",
        )
    seen = []
    for table in exchange(tmp_path, "hash", ["n"], partitions):
        assert table.column_names == ["hash", "n"]
        keys = table["hash"].to_pylist()
        assert keys == sorted(keys)
        seen.append((set(keys), table["n"].to_pylist()))
    assert sorted(n for _, numbers in seen for n in numbers) == list(range(200))
    assert sum(len(keys) for keys, _ in seen) == 20


SLOW_RUN = """
import sys, time, pathlib, pyarrow as pa
from hornbook.core.engine import map_groups
class Slow:
    def __call__(self, n):
        with open({log!r}, "a") as log:
            log.write(f"{{n}}\\n")
        time.sleep(0.4)
        return pa.table({{"n": [n]}}), {{"n": n}}
if __name__ == "__main__":
    counters = map_groups(Slow(), {{f"g{{i}}": i for i in range(12)}}, pathlib.Path({out!r}), "slow")
    print(sum(c["n"] for c in counters))
"""


@pytest.mark.stress
def test_a_killed_map_goes_on_where_it_was(tmp_path):
    script, log, out = tmp_path / "slow.py", tmp_path / "log", tmp_path / "out"
    script.write_text(SLOW_RUN.format(log=str(log), out=str(out)))
    process = subprocess.Popen([sys.executable, str(script)])
    while len(list(out.glob("*.json"))) < 3 and process.poll() is None:
        time.sleep(0.05)
    process.kill()
    process.wait()
    time.sleep(1.0)
    finished = {path.stem for path in out.glob("g*.json")}
    log.write_text("")
    done = subprocess.run([sys.executable, str(script)], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == str(sum(range(12)))
    assert not {f"g{n}" for n in log.read_text().split()} & finished
