"""Crawls: the pages of WARC files as Markdown, the texts of WET files as they are (extra `web`)."""

from collections.abc import Iterator
from functools import partial
from importlib import metadata
from typing import Any

from hornbook.core.errors import HornbookError
from hornbook.corpus.config import Warc
from hornbook.corpus.decoding import Unusable, decode
from hornbook.corpus.html import Page, language_of_text, page_of, without_panics
from hornbook.corpus.listing import File, Listing, Record, Skipped
from hornbook.corpus.places import find, open_stream
from hornbook.corpus.records import no_reader, source_name

WARC_SUFFIXES = (".warc", ".warc.gz", ".warc.zst", ".wet", ".wet.gz", ".wet.zst")
_BLOCK = 1 << 15  # bytes; so much is lost before the place where a file breaks off
_HTML = ("text/html", "application/xhtml+xml")


def list_warc(config: Warc, max_file_bytes: int) -> Listing:
    """The WARC and WET files that paths and globs name."""
    try:
        import fastwarc  # noqa: F401
        import resiliparse  # noqa: F401
    except ImportError as error:
        raise HornbookError(
            "WARC files are read by fastwarc, which is not here.", "pip install 'hornbook[web]'"
        ) from error
    name = config.name or source_name(config.warc)
    tools = ", ".join(f"{tool} {metadata.version(tool)}" for tool in ("fastwarc", "resiliparse"))
    listing = Listing(source=name, license="", version=tools, files=[], read=no_reader)
    for path in config.warc:
        files, skipped = find(path, WARC_SUFFIXES)
        listing.files += files
        listing.skipped += skipped
    listing.files.sort(key=lambda file: file.origin)
    listing.read = partial(read_warc, main_content=config.main_content, limit=max_file_bytes)
    listing.remedy = f"Look whether {', '.join(config.warc)} names WARC or WET files with pages."
    return listing


def read_warc(file: File, main_content: bool, limit: int) -> Iterator[Record | Skipped]:
    """Pages and texts of a file; `origin` is the file and the running number of the record in it.

    Records of other kinds (requests, metadata ...) are passed over, other types of content and answers that are no
    page are told by their reason.
    """
    from fastwarc.warc import ArchiveIterator, WarcRecordType

    kinds = WarcRecordType.response | WarcRecordType.conversion | WarcRecordType.resource
    number = 0
    with open_stream(file.path) as stream:
        blocks: Any = _Blocks(stream)
        try:
            with without_panics("file damaged or cut off"):
                for record in ArchiveIterator(blocks, record_types=kinds, auto_decode="all"):
                    number += 1
                    origin = f"{file.origin}:{number}"
                    try:
                        yield _read(record, origin, main_content, limit)
                    except Unusable as error:
                        url = record.headers.get("WARC-Target-URI", "")
                        yield Skipped(f"{origin} {url}".strip(), error.reason)
        except (OSError, ValueError, EOFError, Unusable):
            yield Skipped(f"{file.origin}:{number + 1}", "file damaged or cut off")


class _Blocks:
    """A stream in small blocks. Arrow decompresses, because it tells where a file breaks off, and fastwarc does not."""

    def __init__(self, stream: Any) -> None:
        self.stream, self.position = stream, 0

    def read(self, size: int = -1) -> bytes:
        block: bytes = self.stream.read(min(size, _BLOCK) if size >= 0 else _BLOCK)
        self.position += len(block)
        return block

    def tell(self) -> int:
        return self.position


def _read(record: Any, origin: str, main_content: bool, limit: int) -> Record:
    headers = record.headers
    meta: dict[str, Any] = {"url": headers.get("WARC-Target-URI", "").strip("<>"), "date": headers.get("WARC-Date", "")}
    content_type = (record.http_content_type if record.is_http else headers.get("Content-Type", "")) or ""
    if record.is_http and record.http_headers.status_code != 200:
        raise Unusable("not status 200")
    if not content_type.startswith((*_HTML, "text/plain")):
        raise Unusable("not a page")
    data = record.reader.read(limit + 1)
    if len(data) > limit:
        raise Unusable("too large")
    if len(data) < record.content_length and not (record.is_http and _packed(record.http_headers)):
        raise Unusable("file damaged or cut off")
    if content_type.startswith("text/plain"):
        text, repaired = decode(data)
        page = Page(text, {"language": language} if (language := language_of_text(text)) else {})
    else:
        text, repaired = _decode(data, record.http_charset if record.is_http else None)
        page = page_of(text, main_content)
    meta = {name: value for name, value in meta.items() if value} | page.meta
    return Record(origin, page.text, "text", meta, page.license, repaired)


def _packed(headers: Any) -> bool:
    """Whether a body was sent in chunks or compressed, so that its length says nothing."""
    return "Transfer-Encoding" in headers or "Content-Encoding" in headers


def _decode(data: bytes, charset: str | None) -> tuple[str, tuple[str, ...]]:
    """Text of a page by its HTTP header, its own declaration, or the look of it, in this order."""
    from resiliparse.parse.encoding import bytes_to_str, detect_encoding

    try:
        return data.decode("utf-8"), ()
    except UnicodeDecodeError:
        encoding = charset or detect_encoding(data, from_html_meta=True) or "cp1252"
        return bytes_to_str(data, encoding), ("encoding",)
