"""Reading sources: files and built-in items become documents, one Parquet shard per group of files."""

import hashlib
import io
import json
import re
import tokenize
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa

from hornbook.core.documents import DOCUMENTS, document_id, text_hash
from hornbook.core.engine import Counters, add_counters, map_groups
from hornbook.core.errors import HornbookError
from hornbook.core.step import content_hash
from hornbook.corpus.builtin import COLLECTIONS, LICENSE, read_lessons
from hornbook.corpus.config import Builtin, Distributions, Folder, SourcesConfig, Synthesis
from hornbook.corpus.distributions import list_distribution, list_standard_library
from hornbook.corpus.folders import list_folder
from hornbook.corpus.listing import File, Listing, groups, kind_of

_COOKIE = re.compile(rb"^[ \t\f]*#.*?coding[:=][ \t]*([-\w.]+)", re.ASCII | re.MULTILINE)


def read_step(inputs: dict[str, Path], out: Path, config: SourcesConfig) -> Counters:
    """Read every source of the recipe into documents of whole files.

    The lessons of a source `synthesis: NAME` are in the input `synthesis.NAME`.
    Shards are named `<running number>-<source>`. Files that cannot be read as text are counted by reason. Raises
    HornbookError for a missing distribution or folder and for a source in which nothing can be read.
    """
    listings = list_sources(config, inputs)
    work: dict[str, _Group] = {}
    weights: dict[str, float] = {}
    for listing in listings:
        for files in groups(listing, config.shard_bytes):
            slug = re.sub(r"[^a-z0-9]+", "-", listing.source.lower()).strip("-")
            name = f"{len(work):05d}-{slug}"
            work[name] = _Group(listing.source, listing.license, _meta(listing), files, listing.lessons)
            weights[name] = sum(file.size for file in files)
    counters = add_counters(map_groups(read_group, work, out, "reading files", weights))
    for listing in listings:
        if not counters["sources"][listing.source]["rows_out"]:
            reasons = ", ".join(f"{n} {reason}" for reason, n in _skipped(counters, listing).items())
            raise HornbookError(f"Nothing in the source {listing.source} can be read ({reasons}).", listing.remedy)
        counters = add_counters([counters, {"dropped": dict(listing.skipped), "rows_in": listing.skipped.total()}])
        counters["sources"][listing.source]["version"] = listing.version
    counters["kept"] = counters["rows_out"]
    return counters


def fingerprint(config: SourcesConfig) -> str:
    """Hash of versions and contents of what `read_step` reads from outside; a second for 200 MB."""
    digest = hashlib.blake2b(digest_size=16)
    for listing in list_sources(config):
        digest.update(f"{listing.source}\0{listing.version}\0{listing.license}\0{listing.digest}\0".encode())
        for file in listing.files:
            digest.update(f"{file.origin}\0{file.size}\0".encode())
            if not listing.digest:
                try:
                    digest.update(Path(file.path).read_bytes())
                except OSError:
                    digest.update(b"unreadable")
    return digest.hexdigest()


def list_sources(config: SourcesConfig, inputs: Mapping[str, Path] | None = None) -> list[Listing]:
    """The files of every source, in the order of the recipe; every source has files and a name of its own.

    Without inputs, what comes from earlier steps is left out.
    """
    listings: list[Listing] = []
    for source in config.sources:
        if isinstance(source, Builtin):
            listings.append(_list_builtin(source.builtin))
        elif isinstance(source, Synthesis):
            if inputs is not None:
                listings.append(_list_synthesis(source.synthesis, inputs[f"synthesis.{source.synthesis}"]))
        elif isinstance(source, Folder):
            listings.append(list_folder(source, config.max_file_bytes))
        elif isinstance(source, Distributions):
            listings += [list_distribution(name, config.max_file_bytes) for name in source.distributions]
        else:
            listings.append(list_standard_library(config.max_file_bytes))
    names = Counter(listing.source for listing in listings)
    for listing in listings:
        if names[listing.source] > 1:
            raise HornbookError(
                f"Two sources are called {listing.source}.",
                "List each distribution once, and give folders of equal name different ones with `name:`.",
            )
        if not listing.files:
            skipped = ", ".join(f"{n} {reason}" for reason, n in sorted(listing.skipped.items()))
            found = f"only files that are not read: {skipped}" if skipped else "no file of a kind that is read"
            raise HornbookError(f"The source {listing.source} has {found}.", listing.remedy)
    return listings


@dataclass(frozen=True)
class _Group:
    """Files that go into one shard, and what their documents share."""

    source: str
    license: str
    meta: str
    files: Sequence[File]
    lessons: bool


def read_group(group: _Group) -> tuple[pa.Table, Counters]:
    """Read one group of files into a table of documents."""
    rows: list[tuple[str, str, str, str]] = []  # origin, text, kind, meta
    dropped: Counter[str] = Counter()
    bytes_in = 0
    for file in group.files:
        if group.lessons:
            items = read_lessons(Path(file.path))
            rows += [(origin, text, "synthetic", json.dumps(about)) for origin, text, about in items]
            continue
        kind = kind_of(file.path) or "text"
        try:
            with open(file.path, "rb") as opened:
                data = opened.read()
            text = decode(data, kind)
        except _Unusable as error:
            dropped[error.reason] += 1
        except OSError:
            dropped["unreadable"] += 1
        else:
            bytes_in += len(data)
            rows.append((file.origin, text, kind, group.meta))
    origins, texts, kinds, metas = ([row[i] for row in rows] for i in range(4))
    table = pa.Table.from_arrays(
        [
            pa.array([document_id(group.source, origin, 0) for origin in origins], pa.string()),
            pa.array(texts, pa.string()),
            pa.array([text_hash(text) for text in texts], pa.string()),
            pa.repeat("", len(rows)),
            pa.repeat(group.source, len(rows)),
            pa.array(origins, pa.string()),
            pa.repeat(pa.scalar(0, pa.int32()), len(rows)),
            pa.repeat(group.license, len(rows)),
            pa.array(kinds, pa.string()),
            pa.array(metas, pa.string()),
        ],
        schema=DOCUMENTS,
    )
    size = sum(len(text) if text.isascii() else len(text.encode()) for text in texts)
    counters = {
        "rows_in": len(rows) + dropped.total(),
        "rows_out": len(rows),
        "bytes_in": bytes_in or size,
        "bytes_out": size,
        "dropped": dict(dropped),
        "sources": {group.source: {"rows_out": len(rows), "bytes_out": size, "dropped": dict(dropped)}},
    }
    return table, counters


def decode(data: bytes, kind: str) -> str:
    """The text of a file, with `\\n` line ends and no byte order mark. Python files may declare their encoding."""
    if b"\0" in data:
        raise _Unusable("binary")
    try:
        if kind == "code" and _COOKIE.search(b"\n".join(data.split(b"\n", 2)[:2])):
            encoding, _ = tokenize.detect_encoding(io.BytesIO(data).readline)
        else:
            encoding = "utf-8-sig"
        text = data.decode(encoding)
    except (SyntaxError, UnicodeDecodeError, LookupError) as error:
        raise _Unusable("not decodable") from error
    if "\r" in text:
        text = text.replace("\r\n", "\n").replace("\r", "\n")
    if not text.strip():
        raise _Unusable("empty")
    try:
        text.encode()
    except UnicodeEncodeError as error:  # lone surrogates, which some declared encodings let through
        raise _Unusable("not decodable") from error
    return text


class _Unusable(Exception):
    def __init__(self, reason: str) -> None:
        self.reason = reason
        super().__init__(reason)


def _list_builtin(name: str) -> Listing:
    collection = COLLECTIONS[name]
    path = collection.path
    return Listing(
        source=f"builtin:{name}",
        license=LICENSE,
        version=collection.version,
        files=[File(str(path), path.name, path.stat().st_size)],
        digest=content_hash(path),
        lessons=True,
    )


def _list_synthesis(name: str, folder: Path) -> Listing:
    path = folder / "lessons.jsonl"
    file = File(str(path), path.name, path.stat().st_size)
    remedy = f"See why lessons were rejected in {folder}."
    return Listing(f"synthesis:{name}", license="", version="", files=[file], lessons=True, remedy=remedy)


def _meta(listing: Listing) -> str:
    return json.dumps({"version": listing.version} if listing.version else {})


def _skipped(counters: Counters, listing: Listing) -> Counter[str]:
    return Counter(counters["sources"][listing.source]["dropped"]) + listing.skipped
