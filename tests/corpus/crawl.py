"""WARC and WET files as crawlers write them, for tests."""

import gzip
import uuid


def warc_record(kind, url, body, content_type, **headers):
    """One record of a WARC file (ISO 28500)."""
    fields = {
        "WARC-Type": kind,
        "WARC-Record-ID": f"<urn:uuid:{uuid.UUID(int=hash(url) % 2**120)}>",
        "WARC-Date": "2026-01-02T03:04:05Z",
        "WARC-Target-URI": url,
        "Content-Type": content_type,
        **headers,
        "Content-Length": str(len(body)),
    }
    head = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
    return b"WARC/1.0\r\n" + head.encode() + b"\r\n" + body + b"\r\n\r\n"


def page(url, html, status="200 OK", content_type="text/html; charset=utf-8", encoding="utf-8"):
    """The answer of a web server."""
    body = html if isinstance(html, bytes) else html.encode(encoding)
    http = f"HTTP/1.1 {status}\r\nContent-Type: {content_type}\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body
    return warc_record("response", url, http, "application/http; msgtype=response")


def write_crawl(path, records, packed=True):
    """Write records, each a gzip member of its own as crawlers do, or plain."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"".join(gzip.compress(record) if packed else record for record in records))
    return path
