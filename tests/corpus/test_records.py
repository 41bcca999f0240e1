"""JSONL and Parquet of any size and with any columns, damaged or not."""

import gzip
import json
import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hornbook.core.documents import document_id, read_table, shards
from hornbook.core.errors import HornbookError
from hornbook.corpus import fingerprint
from hornbook.corpus import jsonl as jsonl_reader
from hornbook.corpus.listing import File
from hornbook.corpus.sources import list_sources
from tests.corpus.test_sources import read, sources

ROWS = [{"text": f"Number {n}: gr\u00f6\u00dfer.\n", "n": n} for n in range(300)]


def dump(rows):
    return "".join(json.dumps(row, ensure_ascii=bool(n % 2)) + "\n" for n, row in enumerate(rows)).encode()


def packed(data, suffix):
    if suffix.endswith(".gz"):
        return gzip.compress(data[:999]) + gzip.compress(data[999:])  # two members, as many writers leave them
    if suffix.endswith(".zst"):
        out = pa.BufferOutputStream()
        with pa.CompressedOutputStream(out, "zstd") as stream:
            stream.write(data)
        return out.getvalue().to_pybytes()
    return data


@pytest.fixture(autouse=True)
def one_process(monkeypatch, tmp_path):
    monkeypatch.setenv("HORNBOOK_WORKERS", "1")
    monkeypatch.setenv("HORNBOOK_CACHE", str(tmp_path / "cache"))


@pytest.mark.parametrize("suffix", [".jsonl", ".jsonl.gz", ".jsonl.zst"])
def test_json_lines_plain_and_compressed(tmp_path, suffix):
    (tmp_path / f"data{suffix}").write_bytes(packed(dump(ROWS), suffix))
    rows, counters = read(sources({"jsonl": str(tmp_path / f"data{suffix}")}), tmp_path / "out")
    assert [row["text"] for row in rows] == [row["text"] for row in ROWS]
    assert rows[6]["origin"] == f"data{suffix}:7" and rows[6]["id"] == document_id("data", f"data{suffix}:7", 0)
    assert {(row["source"], row["kind"], row["license"]) for row in rows} == {("data", "text", "")}
    assert counters["rows_out"] == 300 and counters["dropped"] == {}


@pytest.mark.parametrize("kind", ["jsonl", "parquet"])
def test_columns_of_any_name(tmp_path, kind):
    made = [
        {"body": "fn main() {}\n", "uid": 7, "lic": ["MIT", "Apache-2.0"], "about": {"lang": "Rust", "stars": 3}},
        {"body": "Prose.\n", "uid": 8, "lic": ["CC0-1.0"], "about": {"lang": "en", "stars": 0}},
    ]
    if kind == "jsonl":
        (tmp_path / "x.jsonl").write_bytes(dump(made))
    else:
        pq.write_table(pa.Table.from_pylist(made), tmp_path / "x.parquet")
    names = {"text": "body", "id": "uid", "license": "lic", "language": "about.lang", "meta": ["about.stars"]}
    rows, _ = read(sources({kind: str(tmp_path / f"x.{kind}"), "name": "mine", **names}), tmp_path / "out")
    assert [(row["kind"], row["license"]) for row in rows] == [("code", "MIT; Apache-2.0"), ("text", "CC0-1.0")]
    assert [json.loads(row["meta"]) for row in rows] == [
        {"id": 7, "language": "Rust", "about.stars": 3},
        {"id": 8, "language": "en", "about.stars": 0},
    ]


def test_usual_columns_are_found(tmp_path):
    made = [{"content": "int x;\n", "path": "a/b.c", "license": "MIT", "id": "u1", "other": 1}]
    (tmp_path / "x.jsonl").write_bytes(dump(made))
    [row], _ = read(sources({"jsonl": str(tmp_path / "x.jsonl")}), tmp_path / "out")
    assert row["text"] == "int x;\n" and row["license"] == "MIT" and row["kind"] == "code"
    assert json.loads(row["meta"]) == {"id": "u1", "path": "a/b.c", "language": "C"}


def test_the_recipe_can_say_what_all_records_are(tmp_path):
    (tmp_path / "x.jsonl").write_bytes(dump([{"text": "x = 1\n"}]))
    for entry, language in (({"language": "python"}, "Python"), ({"kind": "code"}, "unknown")):
        [row], _ = read(sources({"jsonl": str(tmp_path / "x.jsonl"), **entry}), tmp_path / language)
        assert row["kind"] == "code" and json.loads(row["meta"]) == {"language": language}


@pytest.mark.parametrize(
    "entry, words",
    [
        ({}, ["Which column", "spam, eggs"]),
        ({"text": "ham"}, ["no column ham", "spam, eggs"]),
        ({"text": "spam", "license": "x.y"}, ["no column x.y", "spam, eggs"]),
    ],
)
@pytest.mark.parametrize("kind", ["jsonl", "parquet"])
def test_a_missing_column_is_an_error_that_lists_those_there_are(tmp_path, kind, entry, words):
    (tmp_path / "x.jsonl").write_bytes(dump([{"spam": "a", "eggs": "b"}]))
    pq.write_table(pa.table({"spam": ["a"], "eggs": ["b"]}), tmp_path / "x.parquet")
    with pytest.raises(HornbookError) as caught:
        list_sources(sources({kind: str(tmp_path / f"x.{kind}"), **entry}))
    assert all(word in str(caught.value) for word in words)


def test_bad_records_are_counted_and_named_and_stop_nothing(tmp_path):
    lines = [
        b'{"text": "good one"}',
        b'{"text": "cut off',
        b'["no", "object"]',
        b'{"text": null}',
        b'{"other": "x"}',
        b"",
        b'{"text": "   "}',
        b'{"text": "' + b"x" * 3000 + b'"}',
        b'{"text": "latin \xe9"}',
        b'{"text": "half \\ud83d a pair"}',
        b'{"text": "raw \x07 bell"}',
        b"[" * 5000,
        b'{"text": "not a number", "n": NaN}',
        b'{"text": "last, without a line end"}',
    ]
    (tmp_path / "x.jsonl").write_bytes(b"\n".join(lines))
    rows, counters = read(sources({"jsonl": str(tmp_path / "x.jsonl")}, max_file_bytes=2500), tmp_path / "out")
    assert [(row["origin"], row["text"]) for row in rows] == [
        ("x.jsonl:1", "good one"),
        ("x.jsonl:9", "latin \ufffd"),
        ("x.jsonl:10", "half \ufffd a pair"),
        ("x.jsonl:11", "raw  bell"),
        ("x.jsonl:13", "not a number"),
        ("x.jsonl:14", "last, without a line end"),
    ]
    assert counters["sources"]["x"]["skipped"] == {
        "bad JSON": ["x.jsonl:2"],
        "no JSON object": ["x.jsonl:3"],
        "no text": ["x.jsonl:4", "x.jsonl:5"],
        "empty": ["x.jsonl:7"],
        "too large": ["x.jsonl:8", "x.jsonl:12"],
    }
    assert counters["repaired"] == {"encoding": 2, "control characters": 1}
    assert counters["rows_in"] == 13 == counters["rows_out"] + sum(counters["dropped"].values())


@pytest.mark.parametrize("suffix", [".jsonl.gz", ".jsonl.zst"])
def test_a_compressed_file_that_breaks_off_gives_what_comes_before(tmp_path, suffix):
    rows = [{"text": os.urandom(500).hex()} for _ in range(4000)]
    data = packed(dump(rows), suffix)
    (tmp_path / f"a{suffix}").write_bytes(data[: len(data) * 3 // 4])
    (tmp_path / f"b{suffix}").write_bytes(packed(dump(rows[:10]), suffix))
    found, counters = read(sources({"jsonl": str(tmp_path), "name": "s"}), tmp_path / "out")
    assert 1500 < len(found) - 10 < 3100
    assert [row["text"] for row in found[:100]] == [row["text"] for row in rows[:100]]
    assert counters["dropped"] == {"file damaged or cut off": 1}
    assert counters["sources"]["s"]["skipped"]["file damaged or cut off"] == [f"a{suffix}:{len(found) - 10 + 1}"]


def test_a_damaged_parquet_file_stops_nothing(tmp_path):
    table = pa.table({"text": [f"{n} " + os.urandom(100).hex() for n in range(1000)]})
    pq.write_table(table, tmp_path / "whole.parquet", row_group_size=100)
    data = bytearray((tmp_path / "whole.parquet").read_bytes())
    (tmp_path / "cut.parquet").write_bytes(data[: len(data) // 2])
    middle = pq.read_metadata(tmp_path / "whole.parquet").row_group(5).column(0)
    place = middle.dictionary_page_offset or middle.data_page_offset
    data[place : place + 400] = os.urandom(400)
    (tmp_path / "hole.parquet").write_bytes(data)
    rows, counters = read(sources({"parquet": str(tmp_path), "name": "s"}), tmp_path / "out")
    assert [row["origin"] for row in rows if row["origin"].startswith("hole")][500] == "hole.parquet:601"
    assert len(rows) == 900 + 1000
    assert counters["sources"]["s"]["skipped"] == {
        "file damaged or cut off": ["cut.parquet:1"],
        "row group damaged": ["hole.parquet:501"],
    }


@pytest.mark.parametrize("kind", ["jsonl", "parquet"])
def test_documents_are_the_same_however_a_file_is_cut(tmp_path, kind):
    if kind == "jsonl":
        (tmp_path / "x.jsonl").write_bytes(dump(ROWS))
    else:
        pq.write_table(pa.Table.from_pylist(ROWS), tmp_path / "x.parquet", row_group_size=17)
    entry = {kind: str(tmp_path / f"x.{kind}"), "text": "text"}
    whole, _ = read(sources(entry), tmp_path / "whole")
    parts, _ = read(sources(entry, shard_bytes=900), tmp_path / "parts")
    assert whole == parts and len(whole) == 300
    assert len(shards(tmp_path / "whole")) == 1 and len(shards(tmp_path / "parts")) > 8


@given(st.lists(st.integers(0, 40), min_size=1, max_size=60), st.integers(1, 200), st.booleans())
@settings(max_examples=60, deadline=None)
def test_parts_hold_every_line_once_and_know_its_number(tmp_path_factory, lengths, about, ends):
    path = tmp_path_factory.mktemp("lines") / "x.jsonl"
    lines = [bytes([97 + n % 26]) * length for n, length in enumerate(lengths)]
    data = b"\n".join(lines) + (b"\n" if ends else b"")
    path.write_bytes(data)
    parts = jsonl_reader.split(File(str(path), "x", len(data)), about)
    found = {}
    for part in parts:
        for number, line in enumerate(jsonl_reader.lines(part, 1000), part.before):
            found[number] = line
    expected = dict(enumerate(data.split(b"\n")[: -1 if data.endswith(b"\n") else None]))
    assert found == {number: line for number, line in expected.items() if line or number in found}
    assert all(not line for number, line in expected.items() if number not in found)


@given(st.lists(st.binary(max_size=30).map(lambda b: b.replace(b"\n", b"")), max_size=40), st.integers(1, 25))
@settings(max_examples=60, deadline=None)
def test_lines_longer_than_the_limit_are_told_and_not_kept(tmp_path_factory, lines, limit):
    path = tmp_path_factory.mktemp("lines") / "x.jsonl"
    path.write_bytes(b"".join(line + b"\n" for line in lines))
    old, jsonl_reader._BLOCK = jsonl_reader._BLOCK, 7  # so that lines reach over several blocks
    try:
        found = list(jsonl_reader.lines(File(str(path), "x", 1), limit))
    finally:
        jsonl_reader._BLOCK = old
    assert found == [line if len(line) <= limit else None for line in lines]


def test_a_compressed_file_fills_several_shards_in_order(tmp_path):
    (tmp_path / "x.jsonl.gz").write_bytes(packed(dump(ROWS), ".gz"))
    (tmp_path / "y.jsonl").write_bytes(dump(ROWS[:3]))
    both = [{"jsonl": str(tmp_path / name)} for name in ("x.jsonl.gz", "y.jsonl")]
    rows, _ = read(sources(*both, shard_bytes=900), tmp_path / "out")
    assert [row["text"] for row in rows] == [row["text"] for row in ROWS + ROWS[:3]]
    assert [path.stem for path in shards(tmp_path / "out")][:2] == ["00000-x-00001", "00000-x-00002"]


def test_files_are_found_by_globs_and_called_by_where_the_glob_begins(tmp_path):
    for name in ("a/1.jsonl", "a/b/2.jsonl", "a/b/3.jsonl.gz", "c/4.jsonl", "a/.hidden/5.jsonl"):
        path = tmp_path / "data" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(packed(dump(ROWS[:1]), path.suffix))
    (tmp_path / "data" / "a" / "loop").symlink_to(tmp_path / "data")

    def origins(pattern):
        [listing] = list_sources(sources({"jsonl": str(tmp_path / pattern)}))
        return listing.source, [file.origin for file in listing.files]

    assert origins("data/*/*.jsonl") == ("data", ["a/1.jsonl", "c/4.jsonl"])
    assert origins("data/**/*.jsonl*") == ("data", ["a/1.jsonl", "a/b/2.jsonl", "a/b/3.jsonl.gz", "c/4.jsonl"])
    assert origins("data/a/b") == ("b", ["2.jsonl", "3.jsonl.gz"])
    with pytest.raises(HornbookError, match="no file of a kind"):
        origins("data/*.parquet")
    with pytest.raises(HornbookError, match="There is no file"):
        origins("data/missing.jsonl")


def test_other_file_systems_are_read_through_fsspec(tmp_path):
    fsspec = pytest.importorskip("fsspec")
    files = fsspec.filesystem("memory")
    files.pipe("/bucket/part/x.jsonl.gz", packed(dump(ROWS[:5]), ".gz"))
    files.pipe("/bucket/part/y.jsonl", dump(ROWS[5:9]))
    config = sources({"jsonl": "memory://bucket/part/*.jsonl*", "name": "far"})
    rows, _ = read(config, tmp_path / "out")
    assert [row["text"] for row in rows] == [row["text"] for row in ROWS[:9]]
    assert rows[0]["origin"] == "x.jsonl.gz:1"
    before = fingerprint(config)
    assert fingerprint(config) == before
    time.sleep(0.01)
    files.pipe("/bucket/part/y.jsonl", dump(ROWS[6:10]))
    assert fingerprint(config) != before


def test_the_fingerprint_of_a_large_file_is_remembered_and_follows_its_content(tmp_path, monkeypatch):
    from hornbook.corpus import identity

    monkeypatch.setattr(identity, "_REMEMBERED", 1000)
    monkeypatch.setattr(identity, "_SETTLED_NS", 0)
    path = tmp_path / "x.jsonl"
    path.write_bytes(dump(ROWS))
    config = sources({"jsonl": str(path)})
    before = fingerprint(config)
    assert list((tmp_path / "cache" / "digests").iterdir())
    assert fingerprint(config) == before
    times = path.stat()
    data = path.read_bytes()
    path.write_bytes(data.replace(b"Number 5:", b"Number 6:"))
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))  # size and time of change say nothing
    assert fingerprint(config) != before


SCRIPT = """
    import re, sys
    from pathlib import Path
    from hornbook.corpus import read_step
    from hornbook.corpus.config import SourcesConfig
    config = SourcesConfig.model_validate({"sources": [{"jsonl": sys.argv[1]}], "shard_bytes": 200_000})
    out = Path(sys.argv[2])
    out.mkdir(exist_ok=True)
    read_step({}, out, config)
    print(re.search(r"VmHWM:\\s*(\\d+)", Path("/proc/self/status").read_text())[1])
"""


def start(path, out):
    command = [sys.executable, "-c", textwrap.dedent(SCRIPT), str(path), str(out)]
    environment = {**os.environ, "HORNBOOK_WORKERS": "1", "PYTHONPATH": str(Path(__file__).parents[2])}
    return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="peak memory is read from /proc")
def test_memory_does_not_grow_with_the_file(tmp_path):
    peaks = []
    for name, count in (("small.jsonl.gz", 800), ("large.jsonl.gz", 8000), ("large.jsonl", 8000)):
        rows = [{"text": f"{n} " + "many words " * 200} for n in range(count)]
        (tmp_path / name).write_bytes(packed(dump(rows), name))
        peaks.append(int(start(tmp_path / name, tmp_path / f"out-{name}").communicate()[0]))
    assert max(peaks) < 1.25 * peaks[0]  # 18 MB in place of 1.8


def test_a_killed_run_goes_on_and_nothing_is_lost_or_doubled(tmp_path):
    path = tmp_path / "x.jsonl.gz"
    rows = [{"text": f"{n} " + "many words " * 200} for n in range(2400)]
    path.write_bytes(gzip.compress(dump(rows), 1))
    (tmp_path / "y.jsonl").write_bytes(dump(rows[:1200]))
    for name in ("x.jsonl.gz", "y.jsonl"):
        process = start(tmp_path / name, tmp_path / f"out-{name}")
        while not list((tmp_path / f"out-{name}").glob("*.parquet")) and process.poll() is None:
            time.sleep(0.02)
        process.send_signal(signal.SIGKILL)
        assert process.wait() == -signal.SIGKILL
        start(tmp_path / name, tmp_path / f"out-{name}").communicate()
        read(sources({"jsonl": str(tmp_path / name)}, shard_bytes=200_000), tmp_path / f"whole-{name}")
        again, whole = read_table(tmp_path / f"out-{name}"), read_table(tmp_path / f"whole-{name}")
        assert again == whole and len(whole) in (2400, 1200)
        assert len(set(again["id"].to_pylist())) == len(again)
