"""The cache gives back what it was given, keeps the first answer, and says so when it cannot."""

import asyncio
import resource
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from hornbook.core.errors import HornbookError
from hornbook.services.chat import Reply, Request, Sampling, Usage, content_key
from hornbook.services.chat_format import body, encode
from hornbook.services.llm_config import TeacherConfig
from hornbook.services.request_cache import RequestCache

CONFIG = TeacherConfig(url="http://here/v1", model="m")
REPLY = Reply(
    "text\nwith ünïcödé", "stop", "model", "id-1", Usage(3, 4), "too long", "detail", "2026-01-01T00:00:00+00:00"
)


def key(text: str = "q", repeat: int = 0, **fields: object) -> str:
    sampling = Sampling(**fields)  # type: ignore[arg-type]
    request = Request(({"role": "user", "content": text},), sampling)
    return content_key(encode(body(request, CONFIG)), repeat)


def test_a_reply_comes_back_as_it_was_and_the_first_one_stays(tmp_path: Path) -> None:
    async def put() -> None:
        with RequestCache(tmp_path / "deep" / "cache") as cache:
            await asyncio.gather(*(cache.put(key(str(i)), REPLY) for i in range(100)))
            await cache.put(key("5"), Reply("another", "stop", "m", "2", Usage()))

    asyncio.run(put())
    with RequestCache(tmp_path / "deep" / "cache") as cache:
        assert all(cache.get(key(str(i))) == REPLY for i in range(100))
        assert cache.get(key("none")) is None


def test_what_bears_on_an_answer_is_in_the_key_and_nothing_else() -> None:
    keys = [key(), key("other"), key(repeat=1), key(temperature=0.5), key(top_p=0.5), key(max_tokens=9), key(seed=1)]
    assert len(set(keys)) == len(keys)
    tagged = Request(({"content": "q", "role": "user"},), Sampling(), tag="mine")  # other order of fields, a tag
    other = CONFIG.model_copy(update={"url": "http://elsewhere/v1", "top_p": 0.1, "concurrency": 1})
    assert content_key(encode(body(tagged, other)), 0) == key()


def test_a_file_of_another_version_is_left_alone(tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "cache") as db:
        db.execute("PRAGMA user_version=99")
    with pytest.raises(HornbookError, match="another version"):
        RequestCache(tmp_path / "cache")


def test_a_full_disk_stops_the_run_and_keeps_what_was_written(tmp_path: Path) -> None:
    script = """
import asyncio, sys
from pathlib import Path
from hornbook.core.errors import HornbookError
from hornbook.services.request_cache import RequestCache
from tests.services.test_request_cache import REPLY, key
async def main():
    with RequestCache(Path(sys.argv[1])) as cache:
        for i in range(10_000):
            await cache.put(key(str(i)), REPLY)
            print(i)
try:
    asyncio.run(main())
except HornbookError as error:
    print(error, file=sys.stderr)
"""

    def small_files() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, 300_000))

    command = [sys.executable, "-c", script, str(tmp_path / "cache")]
    done = subprocess.run(command, capture_output=True, text=True, preexec_fn=small_files)
    assert "cannot be used" in done.stderr and "Free space" in done.stderr
    written = [int(line) for line in done.stdout.split()]
    assert 10 < len(written) < 10_000
    with RequestCache(tmp_path / "cache") as cache:
        assert all(cache.get(key(str(i))) == REPLY for i in written)
