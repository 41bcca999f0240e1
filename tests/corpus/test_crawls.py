"""WARC and WET files, and HTML: main content with its code, and what pages say about themselves."""

import gzip
import json
import random

import pytest

pytest.importorskip("resiliparse")

from hornbook.core.errors import HornbookError
from hornbook.corpus.config import SourcesConfig
from hornbook.corpus.decoding import Unusable
from hornbook.corpus.html import page_of
from hornbook.corpus.sources import list_sources
from tests.corpus.crawl import page, warc_record, write_crawl
from tests.corpus.test_sources import read, sources

PROSE = (
    "<p>" + "This paragraph explains at some length how the function below walks along a list of numbers. " * 3 + "</p>"
)
HTML = f"""<!DOCTYPE html><html lang="en"><head><title>Loops &amp;
 lists</title><link rel="license" href="https://creativecommons.org/licenses/by/4.0/"></head>
<body><nav><a href="/">Home</a> <a href="/about">About us</a></nav><main><h1>Loops <a href="#loops">¶</a></h1>{PROSE}
<h2>Example</h2><div class="highlight"><pre><span></span><span class="k">def</span> total(xs):
    s = 0

    for x in xs:
        if x &lt; 3 &amp;&amp; x:
            s += x
    return s
</pre></div>{PROSE}</main><footer>Copyright footer</footer></body></html>"""
CODE = """```
def total(xs):
    s = 0

    for x in xs:
        if x < 3 && x:
            s += x
    return s
```"""


def crawl(*records):
    head = warc_record("warcinfo", "", b"software: test\r\n", "application/warc-fields")
    return [head, *records]


def test_the_main_content_of_a_page_keeps_its_code_line_by_line(tmp_path):
    write_crawl(tmp_path / "a.warc.gz", crawl(page("https://example.org/loops", HTML)))
    [row], _ = read(sources({"warc": str(tmp_path / "*.warc.gz"), "name": "crawl"}), tmp_path / "out")
    assert CODE in row["text"]
    assert row["text"].startswith("# Loops\n\nThis paragraph") and "\n## Example\n" in row["text"]
    assert "About us" not in row["text"] and "footer" not in row["text"]
    assert (row["origin"], row["kind"], row["source"]) == ("a.warc.gz:1", "text", "crawl")
    assert row["license"] == "https://creativecommons.org/licenses/by/4.0/"
    assert json.loads(row["meta"]) == {
        "url": "https://example.org/loops",
        "date": "2026-01-02T03:04:05Z",
        "title": "Loops & lists",
        "language": "en",
    }


def test_all_of_a_page_can_be_read(tmp_path):
    write_crawl(tmp_path / "a.warc", crawl(page("https://example.org/", HTML)), packed=False)
    [row], _ = read(sources({"warc": str(tmp_path / "a.warc"), "main_content": False}), tmp_path / "out")
    assert "About us" in row["text"] and row["source"] == "a"


def test_texts_of_a_wet_file_are_taken_as_they_are(tmp_path):
    text = "Der Hund lief durch den Wald und suchte seinen Ball.\n  indented\n" * 4
    record = warc_record("conversion", "https://example.org/hund", text.encode(), "text/plain")
    write_crawl(tmp_path / "a.warc.wet.gz", crawl(record))
    [row], _ = read(sources({"warc": str(tmp_path)}), tmp_path / "out")
    assert row["text"] == text
    assert json.loads(row["meta"])["language"] == "de" and json.loads(row["meta"])["url"].endswith("/hund")


@pytest.mark.parametrize("declared", ["header", "meta", "nowhere"])
def test_old_encodings_of_pages(tmp_path, declared):
    words = "Die Größe der Straße ist für Öl und Äpfel wichtig, nämlich schön. " * 5
    meta = '<meta charset="iso-8859-1">' if declared == "meta" else ""
    kind = "text/html; charset=iso-8859-1" if declared == "header" else "text/html"
    html = f"<html><head>{meta}</head><body><p>{words}</p></body></html>"
    write_crawl(tmp_path / "a.warc.gz", crawl(page("https://example.org/", html, "200 OK", kind, "latin-1")))
    [row], counters = read(sources({"warc": str(tmp_path)}), tmp_path / "out")
    assert row["text"].strip() == words.strip() and counters["repaired"] == {"encoding": 1}


def test_what_is_no_page_is_counted_and_named(tmp_path):
    records = crawl(
        page("https://example.org/good", HTML),
        page("https://example.org/gone", HTML, status="404 Not Found"),
        page("https://example.org/image", b"\x89PNG", content_type="image/png"),
        page("https://example.org/bomb", "<div>" * 100_000),
        page("https://example.org/large", "<p>" + "x " * 400_000),
        page("https://example.org/blank", "<html></html>"),
        warc_record(
            "request", "https://example.org/good", b"GET / HTTP/1.1\r\n\r\n", "application/http; msgtype=request"
        ),
    )
    write_crawl(tmp_path / "a.warc.gz", records)
    rows, counters = read(sources({"warc": str(tmp_path), "name": "c"}, max_file_bytes=600_000), tmp_path / "out")
    assert len(rows) == 1
    assert counters["sources"]["c"]["skipped"] == {
        "not status 200": ["a.warc.gz:2 https://example.org/gone"],
        "not a page": ["a.warc.gz:3 https://example.org/image"],
        "nested too deeply": ["a.warc.gz:4 https://example.org/bomb"],
        "too large": ["a.warc.gz:5 https://example.org/large"],
        "empty": ["a.warc.gz:6"],
    }


@pytest.mark.parametrize("name", ["a.warc.gz", "a.warc"])
def test_a_crawl_that_breaks_off_gives_what_comes_before(tmp_path, name):
    html = HTML + f"<!-- {random.Random(3).randbytes(9000).hex()} -->"
    records = crawl(*(page(f"https://example.org/{n}", html.replace("Loops", f"Number {n}")) for n in range(20)))
    data = write_crawl(tmp_path / name, records, name.endswith(".gz")).read_bytes()
    (tmp_path / name).write_bytes(data[: len(data) // 2])
    write_crawl(tmp_path / "b.warc.gz", records)
    rows, counters = read(sources({"warc": str(tmp_path), "name": "c"}), tmp_path / "out")
    assert 7 <= len(rows) - 20 <= 10
    assert counters["dropped"] == {"file damaged or cut off": 1}
    assert counters["sources"]["c"]["skipped"]["file damaged or cut off"][0].startswith(name)


@pytest.mark.parametrize("how", ["chunked", "gzip"])
def test_bodies_are_unpacked(tmp_path, how):
    body, header = HTML.encode(), "Content-Encoding: gzip" if how == "gzip" else "Transfer-Encoding: chunked"
    body = gzip.compress(body) if how == "gzip" else b"%x\r\n%s\r\n0\r\n\r\n" % (len(body), body)
    http = f"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n{header}\r\n\r\n".encode() + body
    record = warc_record("response", "https://example.org/", http, "application/http; msgtype=response")
    write_crawl(tmp_path / "a.warc.gz", crawl(record))
    [row], _ = read(sources({"warc": str(tmp_path)}), tmp_path / "out")
    assert CODE in row["text"]


def test_nesting_is_bounded_but_ordinary_pages_are_deep_enough():
    assert "word" in page_of("<div>" * 100 + "<p>word</p>" + "</div>" * 100, main_content=False).text
    assert "word" in page_of("<p>word<br><li>" * 3000, main_content=False).text  # flat, though nothing is closed
    for bomb in ("<div>" * 3000, "<b></i>" * 3000, "<table><tr><td>" * 2000):
        with pytest.raises(Unusable, match="nested"):
            page_of(bomb)


def test_html_files_of_a_folder_are_read_when_asked_for(tmp_path):
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "index.html").write_text(HTML)
    with pytest.raises(HornbookError, match="no file of a kind"):
        list_sources(sources({"folder": str(tmp_path / "site")}))
    [row], _ = read(sources({"folder": str(tmp_path / "site"), "html": True}), tmp_path / "out")
    assert CODE in row["text"] and json.loads(row["meta"])["title"] == "Loops & lists" and row["kind"] == "text"


def test_an_empty_crawl_is_an_error(tmp_path):
    config = SourcesConfig.model_validate({"sources": [{"warc": str(tmp_path / "*.warc.gz")}]})
    with pytest.raises(HornbookError, match="no file of a kind"):
        list_sources(config)
