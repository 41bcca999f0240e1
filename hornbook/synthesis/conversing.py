"""Many conversations with a teacher at once: follow-up questions go before new items, checks run beside the asking."""

import asyncio
import time
from collections import Counter, deque
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Any

from hornbook.core.engine import workers
from hornbook.services.chat import Answer, Request, Teacher
from hornbook.synthesis.checks import Verdict
from hornbook.synthesis.config import SynthesisConfig, WriterConfig
from hornbook.synthesis.seeds import Seed
from hornbook.synthesis.writers import WRITERS
from hornbook.synthesis.writing import Asked, Conversation, Draft, Rejected, write

NOT_ANSWERED = ("budget", "waiting", "gave up")  # the next run asks again
_MOST_OPEN = 4096  # items that have been begun
_SHOWN = 4000  # characters of an answer that was of no use


@dataclass
class _Item:
    seed: Seed
    conversation: Conversation
    asked: list[Asked] = field(default_factory=list)
    answers: dict[int, Answer] = field(default_factory=dict)
    requests: list[dict[str, Any]] = field(default_factory=list)
    last: str = ""  # text of the last answer


async def converse(
    seeds: Iterator[Seed],
    teacher: Teacher,
    config: SynthesisConfig,
    options: Callable[[str], WriterConfig],
    finished: Callable[[dict[str, Any]], None],
    deadline: float | None = None,
) -> Counter[str]:
    """Write an item for each seed and hand its record to `finished`; returns how many had no answer, by reason.

    A record has id, seed, requests, reason ("" when accepted) and detail, and text, tests and evidence if accepted or
    the answer if not. After `deadline` (of time.monotonic) and when the budget is used up no new item is begun.
    """
    loop = asyncio.get_running_loop()
    todo: deque[Request] = deque()
    open_items: dict[str, _Item] = {}
    checking: set[asyncio.Task[None]] = set()
    unanswered: Counter[str] = Counter()
    moved = asyncio.Event()
    broken: list[Exception] = []
    more = True

    def proceed(item: _Item, answers: list[Answer] | None) -> None:
        """Send the answers into a conversation; queue what it asks next, or have its drafts checked."""
        try:
            item.asked = next(item.conversation) if answers is None else item.conversation.send(answers)
        except Rejected as error:
            close(item, Verdict(error.reason, error.detail), None)
        except StopIteration as end:
            del open_items[item.seed.id]
            task = loop.create_task(judge(item, end.value))
            checking.add(task)
            task.add_done_callback(checking.discard)
        else:
            item.answers = {}
            todo.extend(_tagged(item.seed.id, number, asked) for number, asked in enumerate(item.asked))

    async def judge(item: _Item, drafts: list[Draft]) -> None:
        try:
            draft, verdict = await loop.run_in_executor(pool, _first_that_passes, drafts, item.seed, config)
            close(item, verdict, draft)
        except Exception as error:
            broken.append(error)

    def close(item: _Item, verdict: Verdict, draft: Draft | None) -> None:
        open_items.pop(item.seed.id, None)
        finished(_record(item, verdict, draft))

    async def requests() -> AsyncIterator[Request]:
        nonlocal more
        while True:
            if todo:
                yield todo.popleft()
                continue
            more = more and (deadline is None or time.monotonic() < deadline)
            if more and len(open_items) < _MOST_OPEN:
                seed = next(seeds, None)
                if seed is not None:
                    chosen = options(seed.writer)
                    item = _Item(seed, write(WRITERS[seed.writer], seed, config, chosen))
                    open_items[seed.id] = item
                    proceed(item, None)
                    continue
                more = False
            if not open_items:
                return
            moved.clear()
            await moved.wait()

    with ThreadPoolExecutor(workers()) as pool:
        async with aclosing(teacher.answers(requests())) as answers:  # type: ignore[type-var]
            async for answer in answers:
                id, _, number = answer.request.tag.rpartition("#")
                item = open_items.get(id)
                if item is not None:  # another of its requests may have ended it
                    if answer.failure in NOT_ANSWERED:
                        unanswered[answer.failure] += 1
                        more = more and answer.failure != "budget"
                        del open_items[id]
                    else:
                        item.answers[int(number)] = answer
                        if len(item.answers) == len(item.asked):
                            ordered = [item.answers[i] for i in range(len(item.asked))]
                            item.requests += map(_provenance, item.asked, ordered)
                            item.last = ordered[-1].text
                            proceed(item, ordered)
                moved.set()
                while len(checking) > 4 * workers():  # checks are slower than this teacher: wait for them
                    await asyncio.wait(checking, return_when=asyncio.FIRST_COMPLETED)
                if broken:
                    raise broken[0]
        await asyncio.gather(*checking)
    if broken:
        raise broken[0]
    return unanswered


def _first_that_passes(drafts: list[Draft], seed: Seed, config: SynthesisConfig) -> tuple[Draft, Verdict]:
    """The first draft that its check accepts; else the last, with why it was not accepted."""
    for number, draft in enumerate(drafts):
        verdict = WRITERS[seed.writer].check(draft, seed, config)
        if not verdict.reason and len(drafts) > 1:
            verdict.evidence["revised"] = number == 0
        if not verdict.reason:
            break
    return draft, verdict


def _record(item: _Item, verdict: Verdict, draft: Draft | None) -> dict[str, Any]:
    record: dict[str, Any] = {"id": item.seed.id, "writer": item.seed.writer, "seed": item.seed.record()}
    if item.seed.passage:
        record["source"] = {"name": item.seed.passage.source, "license": item.seed.passage.license}
    record |= {"requests": item.requests, "reason": verdict.reason, "detail": verdict.detail}
    if draft is not None and not verdict.reason:
        return record | {"text": draft.text, "tests": draft.tests, "evidence": verdict.evidence}
    seen = "\n".join(filter(None, (draft.text, draft.tests))) if draft is not None else item.last
    return record | {"answer": seen[:_SHOWN]}


def _tagged(id: str, number: int, asked: Asked) -> Request:
    request = asked.request
    return Request(request.messages, request.sampling, request.schema, request.repeat, f"{id}#{number}")


def _provenance(asked: Asked, answer: Answer) -> dict[str, Any]:
    return {
        "prompt": asked.prompt,
        "prompt_hash": asked.hash,
        "key": answer.key[:16],
        "model": answer.model,
        "request_id": answer.request_id,
    }
