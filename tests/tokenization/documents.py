"""Small real documents for the tests of this station: the standard library, cut into passages."""

import sysconfig
from pathlib import Path

import pyarrow as pa

from hornbook.core.documents import DOCUMENTS, document_id, text_hash, write_table

STDLIB = Path(sysconfig.get_paths()["stdlib"])
MODULES = ("heapq", "bisect", "json/decoder", "statistics", "textwrap", "fractions", "copy", "shlex", "calendar")


def passages(modules: tuple[str, ...] = MODULES, chars: int = 1500) -> list[tuple[str, str]]:
    """(origin, text) of pieces of modules."""
    pieces = []
    for module in modules:
        source = (STDLIB / f"{module}.py").read_text(encoding="utf-8")
        pieces += [(f"{module}.py", source[i : i + chars]) for i in range(0, len(source), chars)]
    return pieces


def write_documents(folder: Path, texts: list[str], kind: str = "code", shard_rows: int = 20) -> Path:
    """A documents folder `selected-0000.parquet` ... of texts."""
    folder.mkdir(parents=True, exist_ok=True)
    rows = [
        {
            "id": document_id(folder.name, kind, number),
            "text": text,
            "text_hash": text_hash(text),
            "parent": "",
            "source": folder.name,
            "origin": kind,
            "ordinal": number,
            "license": "PSF-2.0",
            "kind": kind,
            "meta": "{}",
        }
        for number, text in enumerate(texts)
    ]
    first = len(list(folder.glob("*.parquet")))
    for number, start in enumerate(range(0, len(rows), shard_rows)):
        table = pa.Table.from_pylist(rows[start : start + shard_rows], schema=DOCUMENTS)
        write_table(table, folder / f"selected-{first + number:04}.parquet")
    return folder
