"""A chat endpoint on loopback that answers as a test tells it to, and counts what it was asked and what it gave."""

import asyncio
import json
import threading
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

from aiohttp import web

from hornbook.services.asking import Asker
from hornbook.services.budget import Budget
from hornbook.services.chat import Answer, Request
from hornbook.services.llm_config import TeacherConfig
from hornbook.services.openai_client import OpenAIClient
from hornbook.services.request_cache import RequestCache

MODEL = "playback"
Behaviour = Callable[["Exchange"], Awaitable[web.StreamResponse]]


class Exchange:
    """One request as it reached the server."""

    def __init__(self, server: "ChatServer", http: web.Request, body: dict[str, Any]) -> None:
        self.server, self.http, self.body = server, http, body
        self.said: str = body["messages"][-1]["content"]
        self.times = server.asked[self.said]  # that this has been asked, this one included

    def completion(self, text: str | None, **fields: Any) -> dict[str, Any]:
        """A completion of 10 tokens read and 5 written."""
        message = {"role": "assistant", "content": text}
        return {
            "id": f"chatcmpl-{self.said}",
            "model": MODEL,
            "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
            "usage": {"prompt_tokens": 10, "completion_tokens": 5},
            **fields,
        }

    def answer(self, text: str | None = None, **fields: Any) -> web.Response:
        """A whole and good answer, counted as paid."""
        self.server.paid[self.said] += 1
        return web.json_response(self.completion(f"answer to {self.said}" if text is None else text, **fields))

    async def drop(self) -> web.Response:
        """Break the connection off."""
        assert self.http.transport is not None
        self.http.transport.abort()
        await asyncio.sleep(0.01)
        return web.Response()


async def plain(exchange: Exchange) -> web.StreamResponse:
    return exchange.answer()


class ChatServer:
    """A running server; make it with `chat_server`."""

    def __init__(self, behaviour: Behaviour) -> None:
        self.behaviour = behaviour
        self.asked: Counter[str] = Counter()  # by the last message
        self.paid: Counter[str] = Counter()
        self.headers: list[dict[str, str]] = []  # of the first requests
        self.bodies: list[dict[str, Any]] = []
        self.in_flight = self.peak = 0
        self.url = ""

    async def handle(self, http: web.Request) -> web.StreamResponse:
        body = json.loads(await http.read())
        self.asked[body["messages"][-1]["content"]] += 1
        if len(self.headers) < 100:
            self.headers.append(dict(http.headers))
            self.bodies.append(body)
        self.in_flight += 1
        self.peak = max(self.peak, self.in_flight)
        try:
            return await self.behaviour(Exchange(self, http, body))
        finally:
            self.in_flight -= 1


@contextmanager
def chat_server(behaviour: Behaviour = plain) -> Iterator[ChatServer]:
    """The server, in a thread of its own while the block lasts."""
    server = ChatServer(behaviour)
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()

    async def start() -> web.AppRunner:
        app = web.Application(client_max_size=2**26)
        app.router.add_post("/v1/chat/completions", server.handle)
        runner = web.AppRunner(app, shutdown_timeout=0.1)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        host, port = runner.addresses[0][:2]
        server.url = f"http://{host}:{port}/v1"
        return runner

    runner = asyncio.run_coroutine_threadsafe(start(), loop).result(30)
    try:
        yield server
    finally:
        asyncio.run_coroutine_threadsafe(runner.cleanup(), loop).result(30)
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


def questions(count: int, **fields: Any) -> Iterator[Request]:
    """Different requests, each tagged with its number."""
    return (Request(({"role": "user", "content": f"q{i}"},), tag=str(i), **fields) for i in range(count))


@asynccontextmanager
async def asker(config: TeacherConfig, cache: Path, *, backoff: float = 0.002) -> AsyncIterator[Asker]:
    """A teacher over HTTP that does not wait long before it tries again."""
    budget = Budget(config.budget, config.prices)
    with RequestCache(cache) as kept:
        async with OpenAIClient(config, budget, backoff_seconds=backoff) as client:
            yield Asker(config, kept, client, budget)


def ask(config: TeacherConfig, cache: Path, requests: Any, **options: Any) -> tuple[list[Answer], Asker]:
    """All answers, and the teacher for its counts."""

    async def run() -> tuple[list[Answer], Asker]:
        async with asker(config, cache, **options) as teacher:
            return [answer async for answer in teacher.answers(requests)], teacher

    return asyncio.run(run())


def teacher_of(server: ChatServer, **fields: Any) -> TeacherConfig:
    """A recipe's section for a server."""
    return TeacherConfig(url=server.url, model=MODEL, **fields)
