"""From requests to answers: the cache first, then the model; each content once; checked, repaired, counted."""

import asyncio
from collections import Counter
from collections.abc import AsyncGenerator
from contextlib import aclosing, nullcontext
from dataclasses import dataclass, field, replace
from pathlib import PurePath
from typing import Any

from hornbook.core.errors import HornbookError
from hornbook.core.progress import Progress
from hornbook.services.budget import Budget
from hornbook.services.chat import Answer, Reply, Request, Requests, Usage, content_key
from hornbook.services.chat_format import body, encode
from hornbook.services.llm_config import TeacherConfig
from hornbook.services.request_cache import RequestCache
from hornbook.services.structured import DoesNotFit, Schemas, repair
from hornbook.services.transport import NotAnswered, Transport
from hornbook.services.unordered import unordered


@dataclass
class Counts:
    """What happened so far, for the summary of a step."""

    answered: int = 0
    cached: int = 0
    repaired: int = 0
    failures: Counter[str] = field(default_factory=Counter)  # by reason
    models: Counter[str] = field(default_factory=Counter)  # by the name that answered


class Asker:
    """A teacher (`chat.Teacher`) on a transport, a cache and a budget."""

    def __init__(self, config: TeacherConfig, cache: RequestCache, transport: Transport, budget: Budget) -> None:
        self.counts = Counts()
        self.budget = budget
        self._config, self._cache, self._transport = config, cache, transport
        self._schemas = Schemas()
        self._asking: dict[str, asyncio.Future[Reply]] = {}  # contents under way

    async def answers(
        self, requests: Requests, *, total: int | None = None, label: str = "asking"
    ) -> AsyncGenerator[Answer, None]:
        """See `chat.Teacher`. Leave the loop early only under `contextlib.aclosing`: what is in flight is lost then."""
        with Progress(label, total) if total else nullcontext() as progress:
            done = 0
            async with aclosing(unordered(self._answer, requests, self._config.concurrency)) as answers:
                async for answer in answers:
                    done += 1
                    if progress and total:
                        progress.advance(1, self.budget.line(done, total) if done % 16 == 0 else "")
                    yield answer

    async def _answer(self, request: Request) -> Answer:
        """One request to its end: a reply, its check, and one repair when it does not fit."""
        answer, reply = await self._reply(request)
        if reply is not None and request.schema is not None and reply.failure in ("", "empty"):
            try:
                answer = replace(answer, parsed=self._schemas.parse(reply.text, request.schema), failure="", detail="")
            except DoesNotFit as error:
                answer = await self._repaired(answer, reply.text, error)
        self.counts.answered += not answer.failure
        self.counts.cached += answer.cached
        self.counts.repaired += answer.repaired
        if answer.failure:
            self.counts.failures[answer.failure] += 1
        return answer

    async def _repaired(self, first: Answer, text: str, error: DoesNotFit) -> Answer:
        request = first.request
        assert request.schema is not None
        second, reply = await self._reply(repair(request, text, error))
        second = replace(
            second,
            request=request,
            key=first.key,
            usage=first.usage + second.usage,
            cached=first.cached and second.cached,
        )
        if reply is None:
            return second
        try:
            parsed = self._schemas.parse(reply.text, request.schema)
        except DoesNotFit as again:
            return replace(second, failure="schema", detail=str(again))
        return replace(second, parsed=parsed, failure="", detail="", repaired=True)

    async def _reply(self, request: Request) -> tuple[Answer, Reply | None]:
        """The reply from the cache, from another request with this content that is under way, or from the model."""
        asked = body(request, self._config)
        data = encode(asked)
        key = content_key(data, request.repeat)
        cached = True
        try:
            if (under_way := self._asking.get(key)) is not None:
                reply = await asyncio.shield(under_way)
            elif (kept := self._cache.get(key)) is not None:
                reply = kept
                self._note_model(reply.model)
                if self._cache.first_time(key):
                    self.budget.recall(reply.usage)
            else:
                reply = await self._ask(key, asked, data)
                cached = False
        except NotAnswered as error:
            return Answer(request, key, failure=error.failure, detail=error.detail), None
        answer = Answer(
            request,
            key,
            text=reply.text,
            finish=reply.finish,
            model=reply.model,
            request_id=reply.request_id,
            answered=reply.answered,
            usage=Usage() if under_way is not None else reply.usage,
            cached=cached,
            failure=reply.failure,
            detail=reply.detail,
        )
        return answer, reply

    async def _ask(self, key: str, asked: dict[str, Any], data: bytes) -> Reply:
        future: asyncio.Future[Reply] = asyncio.get_running_loop().create_future()
        self._asking[key] = future
        try:
            reply = await self._transport.send(key, asked, data)
            self._note_model(reply.model)  # before it is kept: where it is refused, a later run must ask again
            await self._cache.put(key, reply)
            self._cache.first_time(key)
        except BaseException as error:
            if isinstance(error, asyncio.CancelledError):
                future.cancel()
            else:
                future.set_exception(error)
                future.exception()  # nobody may be waiting for it
            raise
        else:
            future.set_result(reply)
            return reply
        finally:
            del self._asking[key]

    def _note_model(self, model: str) -> None:
        self.counts.models[model if model in self.counts.models or len(self.counts.models) < 100 else "…"] += 1
        if self._config.other_model == "stop" and not same_model(self._config.model, model):
            raise HornbookError(
                f"The model {self._config.model} was asked, and {model} answered.",
                "Name that model in the recipe, or set other_model: count.",
            )


def same_model(asked: str, answered: str) -> bool:
    """Whether a name in an answer stands for the model asked: itself, or a dated version; without path and hash."""
    asked = PurePath(asked.partition("@")[0]).name
    return not answered or PurePath(answered).name.startswith(asked)
