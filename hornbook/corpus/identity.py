"""The identity of what a recipe would read: a hash of the contents, remembered for large files."""

import hashlib
import os
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from hornbook.core.documents import atomic_write
from hornbook.core.engine import workers
from hornbook.corpus.config import SourcesConfig
from hornbook.corpus.listing import File
from hornbook.corpus.sources import list_sources
from hornbook.services.teacher import cache_folder

_REMEMBERED = 32_000_000  # bytes from which on a digest is kept
_SETTLED_NS = 2_000_000_000  # a file changed more recently might change again within one tick of its clock
_BLOCK = 1 << 22


def fingerprint(config: SourcesConfig) -> str:
    """Hash of versions and contents of everything that `read_step` would read; a second for 200 MB.

    Contents are hashed whole, so that no change is missed. Digests of large files are kept in the cache folder and
    hold as long as the file's inode, size and times do; the time of its last status change cannot be set back.
    """
    digest = hashlib.blake2b(digest_size=16)
    with ThreadPoolExecutor(workers()) as pool:
        for listing in list_sources(config):
            digest.update(f"{listing.source}\0{listing.version}\0{listing.license}\0{listing.digest}\0".encode())
            contents = [] if listing.digest else list(pool.map(_content, listing.files))
            for place, file in enumerate(listing.files):
                digest.update(f"{file.origin}\0{file.size}\0".encode())
                if contents:
                    digest.update(contents[place])
    return digest.hexdigest()


def _content(file: File) -> bytes:
    if file.version:
        return file.version.encode()
    try:
        return _digest(Path(file.path))
    except OSError:
        return b"unreadable"


def _digest(path: Path) -> bytes:
    state = _state(path)
    if os.stat(path).st_size < _REMEMBERED:
        return _hash(path)
    name = hashlib.blake2b(os.fsencode(path.resolve()), digest_size=16).hexdigest()
    note = cache_folder() / "digests" / name
    try:
        known, _, digest = note.read_text().partition("\n")
        if known == state:
            return bytes.fromhex(digest)
    except (OSError, ValueError):
        pass
    result = _hash(path)
    if _state(path) == state and time.time_ns() - os.stat(path).st_ctime_ns > _SETTLED_NS:
        try:
            note.parent.mkdir(parents=True, exist_ok=True)
            atomic_write(note, f"{state}\n{result.hex()}")
        except OSError:
            pass  # a cache that cannot be written costs time only
    return result


def _state(path: Path) -> str:
    stat = os.stat(path)
    return f"{stat.st_dev} {stat.st_ino} {stat.st_size} {stat.st_mtime_ns} {stat.st_ctime_ns}"


def _hash(path: Path) -> bytes:
    digest = hashlib.blake2b(digest_size=16)
    with open(path, "rb") as file:
        while block := file.read(_BLOCK):
            digest.update(block)
    return digest.digest()
