"""How fast sources become documents, on one core: each reader on the standard library in its own format.

With the Python of an environment that has datatrove (`pip install 'datatrove[io,processing]' fastwarc`) as the only
argument, datatrove's readers read the same files beside them.
"""

import gzip
import json
import os
import pydoc
import resource
import statistics
import subprocess
import sys
import tempfile
import textwrap
import time
import types
import uuid
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from record import markdown_table, record

from hornbook.core.documents import read_table
from hornbook.corpus import passages_step, read_step
from hornbook.corpus.config import PassageConfig, SourcesConfig

COPIES = 1  # of the standard library
ROUNDS = 3
FORMATS = ("jsonl", "jsonl.gz", "jsonl.zst", "parquet", "warc.gz")
DATATROVE = """
    import sys, time
    from datatrove.pipeline.extractors import Trafilatura
    from datatrove.pipeline.readers import JsonlReader, ParquetReader, WarcReader
    from datatrove.pipeline.writers import ParquetWriter
    folder, pattern, out = sys.argv[1:]
    kind = WarcReader if "warc" in pattern else ParquetReader if "parquet" in pattern else JsonlReader
    started = time.process_time()
    documents = kind(folder, glob_pattern=pattern).run()
    if kind is WarcReader:
        documents = Trafilatura(timeout=10).run(documents)
    with ParquetWriter(out, compression="zstd") as writer:
        count = sum(1 for document in writer.run(documents) if document.text)
    assert count, "no document"
    print(started)
"""


def standard_library() -> list[dict[str, Any]]:
    """The files of the standard library, several times over with other ids."""
    config = SourcesConfig.model_validate({"sources": [{"python": "stdlib"}]})
    with tempfile.TemporaryDirectory() as temporary:
        read_step({}, Path(temporary), config)
        texts = read_table(Path(temporary), ["text", "origin"]).to_pylist()
    return [{"id": f"{n}/{row['origin']}", "text": row["text"]} for n in range(COPIES) for row in texts]


def pages() -> list[str]:
    """The documentation of the standard library's modules as pydoc writes it."""
    found = []
    for name in sorted(sys.stdlib_module_names - {"antigravity", "this", "idlelib", "turtledemo"}):
        try:
            module = import_module(name)
        except ImportError:
            continue
        if isinstance(module, types.ModuleType) and not name.startswith("_"):
            found.append(pydoc.html.page(name, pydoc.html.document(module, name)))
    return found


def warc_record(html: str) -> bytes:
    body = html.encode("utf-8", "replace")
    http = b"HTTP/1.1 200 OK\r\nContent-Type: text/html; charset=utf-8\r\n\r\n" + body
    head = (
        f"WARC/1.0\r\nWARC-Type: response\r\nWARC-Record-ID: <urn:uuid:{uuid.uuid4()}>\r\n"
        "WARC-Target-URI: https://example.org/\r\nWARC-Date: 2026-01-01T00:00:00Z\r\n"
        f"Content-Type: application/http; msgtype=response\r\nContent-Length: {len(http)}\r\n\r\n"
    )
    return head.encode() + http + b"\r\n\r\n"


def write_all(folder: Path) -> dict[str, float]:
    """Write the files of every format; MB of text or HTML in each."""
    rows, html = standard_library(), pages() * COPIES
    data = "".join(json.dumps(row) + "\n" for row in rows).encode()
    (folder / "x.jsonl").write_bytes(data)
    (folder / "x.jsonl.gz").write_bytes(gzip.compress(data, 6))
    with pa.CompressedOutputStream(str(folder / "x.jsonl.zst"), "zstd") as out:
        out.write(data)
    pq.write_table(pa.Table.from_pylist(rows), folder / "x.parquet", row_group_size=1000)
    (folder / "x.warc.gz").write_bytes(b"".join(gzip.compress(warc_record(page)) for page in html))
    size = sum(len(row["text"].encode()) for row in rows) / 1e6
    return {name: sum(map(len, html)) / 1e6 if "warc" in name else size for name in FORMATS}


def ours(path: Path) -> float:
    kind = path.name.split(".")[1]
    config = SourcesConfig.model_validate({"sources": [{kind: str(path), "name": "x"}]})
    with tempfile.TemporaryDirectory() as out:
        started = time.process_time()
        read_step({}, Path(out), config)
        return time.process_time() - started


def theirs(python: str, path: Path) -> float:
    """CPU seconds of the process and its children, without the imports."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    with tempfile.TemporaryDirectory() as out:
        command = [python, "-c", textwrap.dedent(DATATROVE), str(path.parent), path.name, out]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    imports = float(done.stdout.split()[-1])
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime - imports


def main(arguments: Sequence[str]) -> None:
    os.environ["HORNBOOK_WORKERS"] = "1"
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        sizes = write_all(folder)
        rows = []
        for name in FORMATS:
            seconds: dict[str, list[float]] = {"ours": [], "theirs": []}
            for _ in range(ROUNDS):
                seconds["ours"].append(ours(folder / f"x.{name}"))
                if arguments:
                    seconds["theirs"].append(theirs(arguments[0], folder / f"x.{name}"))
            speeds = [f"{sizes[name] / statistics.median(times):.1f}" for times in seconds.values() if times]
            rows.append([name, f"{sizes[name]:.0f}", *speeds])
        (folder / "files").mkdir(), (folder / "passages").mkdir()
        read_step({}, folder / "files", SourcesConfig.model_validate({"sources": [{"jsonl": str(folder / "x.jsonl")}]}))
        started = time.process_time()
        passages_step({"documents": folder / "files"}, folder / "passages", PassageConfig())
        rows.append(
            ["cutting text", f"{sizes['jsonl']:.0f}", f"{sizes['jsonl'] / (time.process_time() - started):.1f}"]
        )
    beside = ["datatrove, MB/s"] if arguments else []
    for row in rows:
        row += ["-"] * (3 + len(beside) - len(row))
    record(
        "Reading",
        "Reading the standard library, and pydoc's pages about it as WARC, and writing Parquet with zstd: MB of text, "
        f"for WARC of HTML, per second of CPU time; medians of {ROUNDS} rounds. Hornbook also cleans texts and hashes "
        "ids and texts. "
        + ("datatrove turns HTML into text with Trafilatura." if arguments else "")
        + "\n\n"
        + markdown_table(["", "MB", "Hornbook, MB/s", *beside], rows),
    )


if __name__ == "__main__":
    main(sys.argv[1:])
