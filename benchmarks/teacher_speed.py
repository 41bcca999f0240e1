"""How many answers a second the client of the teachers takes, and what of llama.cpp's own speed it keeps.

The endpoint: a process of its own that plays back canned answers after 20 ms; one core for the client, 256 requests
in flight. Beside Hornbook (canonical hash, cache looked up and written, JSON read and validated, budget, adaptive
concurrency) stands bare aiohttp, which posts the same bodies and decodes the JSON.

The embedded teacher: its parallel decoding by llama.cpp itself is the same server with the same slots, driven by as
many threads as it has slots, each with one keep-alive connection of `http.client`, no schema, every answer of the
same number of tokens. Hornbook asks for stories of the same length over its own client.
"""

import argparse
import asyncio
import json
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPConnection
from itertools import count
from pathlib import Path

import aiohttp
from record import record

from hornbook.services.asking import Asker
from hornbook.services.budget import Budget
from hornbook.services.chat import Request
from hornbook.services.chat_format import body, encode
from hornbook.services.llama_server import serve
from hornbook.services.llm import EMBEDDED_CONTEXT, EMBEDDED_MODEL
from hornbook.services.llm_config import TeacherConfig
from hornbook.services.openai_client import OpenAIClient
from hornbook.services.request_cache import RequestCache
from hornbook.services.teacher import fetch_teacher

IN_FLIGHT = 256
GOAL = 1_500  # requests a second
ROUNDS, ROUND_REQUESTS, LONG_REQUESTS = 5, 10_000, 100_000
SLOTS, EMBEDDED_REQUESTS, EMBEDDED_TOKENS, EMBEDDED_ROUNDS = 8, 32, 64, 3
PASSAGE = """def mean(values):
    total = 0
    for value in values:
        total += value
    return total / len(values)
"""
RUBRIC = "Judge the passage by the rubric." * 10
SCHEMA = {
    "type": "object",
    "properties": {
        "edu": {"type": "integer", "minimum": 0, "maximum": 5},
        "self": {"type": "integer", "minimum": 0, "maximum": 3},
        "level": {"type": "integer", "minimum": 1, "maximum": 5},
        "why": {"type": "string", "maxLength": 300},
    },
    "required": ["edu", "self", "level", "why"],
    "additionalProperties": False,
}
_numbers = count()


def passages(number: int) -> Iterator[Request]:
    """Requests of some 1,600 characters to label a passage, no two alike."""
    for _ in range(number):
        passage = f"# {next(_numbers)}\n{PASSAGE * 10}"
        messages = (
            {"role": "system", "content": "Judge the passage by the rubric." * 10},
            {"role": "user", "content": passage},
        )
        yield Request(messages, schema=SCHEMA)


@contextmanager
def playback() -> Iterator[str]:
    """The canned endpoint, on the other core; its base URL."""
    script = Path(__file__).with_name("playback_server.py")
    process = subprocess.Popen([sys.executable, script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdin is not None and process.stdout is not None
    try:
        yield f"http://127.0.0.1:{int(process.stdout.readline())}/v1"
    finally:
        process.stdin.close()
        process.wait()


async def bare(config: TeacherConfig, number: int) -> float:
    """Requests a second of aiohttp alone."""
    bodies = (encode(body(r, config)) for r in passages(number))
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:

        async def work() -> None:
            for data in bodies:
                async with session.post(f"{config.url}/chat/completions", data=data) as response:
                    json.loads(await response.read())

        started = time.perf_counter()
        await asyncio.gather(*(work() for _ in range(IN_FLIGHT)))
        return number / (time.perf_counter() - started)


async def ours(
    config: TeacherConfig, cache: Path, requests: Iterator[Request], number: int
) -> tuple[float, list[int], int]:
    """Answers a second through Hornbook, resident megabytes at each tenth of the way, and the limit in the end."""
    memory = []
    budget = Budget(config.budget, config.prices)
    with RequestCache(cache) as kept:
        async with OpenAIClient(config, budget) as client:
            teacher = Asker(config, kept, client, budget)
            started = time.perf_counter()
            done = 0
            async for answer in teacher.answers(requests):
                assert not answer.failure and not answer.cached, answer
                done += 1
                if done % (number // 10) == 0:
                    memory.append(resident())
            seconds = time.perf_counter() - started
    assert done == number
    return number / seconds, memory, int(client.concurrency.limit)


def resident() -> int:
    """Megabytes of this process in memory."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") // 2**20


def endpoint(rounds: int, long_requests: int) -> str:
    """The table of the canned endpoint."""
    plain, mine, plain_cpu, mine_cpu = [], [], [], []
    with playback() as url, tempfile.TemporaryDirectory() as folder:
        if hasattr(os, "sched_setaffinity"):
            os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})  # one core for us; the server may use the other
        config = TeacherConfig(url=url, model="playback", concurrency=IN_FLIGHT)
        for number in range(rounds):
            began = time.process_time()
            plain.append(asyncio.run(bare(config, ROUND_REQUESTS)))
            between = time.process_time()
            plain_cpu.append((between - began) / ROUND_REQUESTS * 1e6)
            cache = Path(folder) / f"{number}.sqlite"
            mine.append(asyncio.run(ours(config, cache, passages(ROUND_REQUESTS), ROUND_REQUESTS))[0])
            mine_cpu.append((time.process_time() - between) / ROUND_REQUESTS * 1e6)
        cache = Path(folder) / "long.sqlite"
        rate, memory, limit = asyncio.run(ours(config, cache, passages(long_requests), long_requests))
        size = cache.stat().st_size / 1e6
    our_us, their_us = statistics.median(mine_cpu), statistics.median(plain_cpu)
    reached = "reached" if statistics.median(mine) >= GOAL else "missed"
    return f"""
Canned answers after 20 ms from a server in a process of its own; the client on one core, at most {IN_FLIGHT} requests
in flight, each of 1,700 characters with a JSON schema of four fields. Hornbook's side includes hash, request cache
(looked up and written), validation, budget and adaptive concurrency; bare aiohttp posts the same bodies and decodes
the answers. Medians of {rounds} alternating rounds of {ROUND_REQUESTS:,} requests.

| | requests/s | least to most |
|---|---:|---:|
| Hornbook | {statistics.median(mine):,.0f} | {min(mine):,.0f} to {max(mine):,.0f} |
| bare aiohttp | {statistics.median(plain):,.0f} | {min(plain):,.0f} to {max(plain):,.0f} |

Goal {GOAL:,} requests/s: {reached}. Processor time a request: Hornbook {our_us:,.0f} us, bare aiohttp
{their_us:,.0f} us, so that a core of its own takes {1e6 / our_us:,.0f} and {1e6 / their_us:,.0f} requests/s.

Sustained over {long_requests:,} requests: {rate:,.0f} requests/s;
memory at each tenth of the way {", ".join(map(str, memory))} MB; the adaptive limit stood at {limit} in the end; the
cache file has {size:,.0f} MB.
"""


def stories(number: int) -> list[Request]:
    """Requests that are answered at length."""
    return [
        Request(({"role": "user", "content": f"Tell a long story about {next(_numbers)} sheep."},))
        for _ in range(number)
    ]


def driven(port: int, bodies: list[bytes]) -> float:
    """Tokens a second of llama.cpp, driven by one thread a slot."""
    left = iter(bodies)
    lock = threading.Lock()
    tokens = []

    def work() -> None:
        connection = HTTPConnection("127.0.0.1", port)
        while True:
            with lock:
                data = next(left, None)
            if data is None:
                return
            connection.request("POST", "/v1/chat/completions", data, {"Content-Type": "application/json"})
            tokens.append(json.loads(connection.getresponse().read())["usage"]["completion_tokens"])

    threads = [threading.Thread(target=work) for _ in range(SLOTS)]
    started = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return sum(tokens) / (time.perf_counter() - started)


def embedded(rounds: int, threads: int) -> str:
    """The table of the embedded teacher."""
    theirs, mine = [], []
    extra = {"ignore_eos": True}  # every answer has as many tokens as the others
    with (
        tempfile.TemporaryDirectory() as folder,
        serve(fetch_teacher(), context=SLOTS * EMBEDDED_CONTEXT, threads=threads, slots=SLOTS) as server,
    ):
        config = TeacherConfig(
            url=server.openai_url, model=EMBEDDED_MODEL, max_tokens=EMBEDDED_TOKENS, extra=extra, concurrency=2 * SLOTS
        )
        for number in range(rounds + 1):
            bodies = [encode(body(request, config)) for request in stories(EMBEDDED_REQUESTS)]
            reference = driven(server.port, bodies)
            requests = stories(EMBEDDED_REQUESTS)
            cache = Path(folder) / f"{number}.sqlite"
            rate, _, _ = asyncio.run(ours(config, cache, iter(requests), EMBEDDED_REQUESTS))
            if number:  # the first round warms both up
                theirs.append(reference)
                mine.append(rate * EMBEDDED_TOKENS)
    ratios = [a / b for a, b in zip(mine, theirs, strict=True)]
    ratio = statistics.median(ratios)
    return f"""
Embedded teacher, {SLOTS} slots, threads: {threads}, {EMBEDDED_REQUESTS} answers of {EMBEDDED_TOKENS} tokens; medians of
{rounds} alternating rounds. llama.cpp's own speed is the same server driven by {SLOTS} threads, one connection each.

| | tokens/s | least to most |
|---|---:|---:|
| Hornbook | {statistics.median(mine):,.1f} | {min(mine):,.1f} to {max(mine):,.1f} |
| llama.cpp alone | {statistics.median(theirs):,.1f} | {min(theirs):,.1f} to {max(theirs):,.1f} |

Round by round {100 * ratio:.0f} % ({100 * min(ratios):.0f} to {100 * max(ratios):.0f}); goal 90 %:
{"reached" if ratio >= 0.9 else "missed"}.
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--long", type=int, default=LONG_REQUESTS)
    parser.add_argument("--only", choices=["endpoint", "embedded"], help="run and record that part alone")
    parser.add_argument("--threads", type=int, default=os.cpu_count(), help="of llama.cpp; fewer on a busy machine")
    parser.add_argument("--note", default="", help="a remark about the machine, to stand below the numbers")
    given = parser.parse_args()
    if given.only != "endpoint":
        table = embedded(min(given.rounds, EMBEDDED_ROUNDS), given.threads)
        record("Teachers: the embedded one", table + "\n" + given.note)
    if given.only != "embedded":
        record("Teachers: an endpoint", endpoint(given.rounds, given.long) + "\n" + given.note)


if __name__ == "__main__":
    main()
