"""Teachers: one interface to any LLM, asked within a budget and never twice.

    async with open_teacher(TeacherConfig(url="http://localhost:8000/v1", model="qwen")) as teacher:
        async for answer in teacher.answers(requests):
            ...

`open_batch` is the same with files in place of an endpoint.
"""

from collections.abc import AsyncIterator
from contextlib import ExitStack, asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from hornbook.core.engine import workers
from hornbook.services.asking import Asker
from hornbook.services.batch_answers import answer_lines
from hornbook.services.batch_files import BatchFiles
from hornbook.services.budget import Budget
from hornbook.services.chat import Answer, Failure, Message, Request, Requests, Sampling, Teacher, Usage
from hornbook.services.llama_server import serve
from hornbook.services.llm_config import EMBEDDED, BudgetConfig, PriceConfig, TeacherConfig
from hornbook.services.request_cache import RequestCache
from hornbook.services.teacher import MEMBER, SHA256, cache_folder, fetch_teacher

if TYPE_CHECKING:
    from hornbook.services.openai_client import OpenAIClient

__all__ = [
    "Answer",
    "BudgetConfig",
    "Failure",
    "Message",
    "PriceConfig",
    "Request",
    "Requests",
    "Sampling",
    "Teacher",
    "TeacherConfig",
    "Usage",
    "answer_batch",
    "open_batch",
    "open_teacher",
]

EMBEDDED_MODEL = f"{Path(MEMBER).stem}@{SHA256[:12]}"  # names the file's content, so that its answers stay its own
EMBEDDED_CONTEXT = 2048  # positions of one answer and its question


def default_cache() -> Path:
    """The request cache that all runs share."""
    return cache_folder() / "answers.sqlite"


@asynccontextmanager
async def open_teacher(config: TeacherConfig, cache: Path | None = None) -> AsyncIterator[Asker]:
    """The teacher of a recipe, ready to answer; `cache` is the file of the request cache.

    Raises HornbookError when the key is not in the environment, the cache cannot be opened, or the embedded teacher
    cannot be fetched or started.
    """
    with RequestCache(cache or default_cache()) as kept:
        async with _client(config) as (client, found):
            yield Asker(found, kept, client, client.budget)


@asynccontextmanager
async def open_batch(config: TeacherConfig, folder: Path, cache: Path | None = None) -> AsyncIterator[Asker]:
    """A teacher that answers from the cache, and writes what is not there into batch files in `folder`.

    Such requests get the failure `waiting`. The files appear when the block ends well; answers come back with
    `batch_files.import_answers`. Raises HornbookError when the folder or the cache cannot be written.
    """
    if config.url == EMBEDDED:
        config = config.model_copy(update={"model": EMBEDDED_MODEL})
    budget = Budget(config.budget, config.prices)
    with RequestCache(cache or default_cache()) as kept, BatchFiles(folder, kept, budget) as files:
        yield Asker(config, kept, files, budget)


async def answer_batch(config: TeacherConfig, requests: Path, answers: Path) -> tuple[int, int]:
    """Do what a host does with a batch file: write an answer or an error for each line; how many there were of both.

    For endpoints without a batch service, such as the embedded teacher; a line is asked as it stands, the model
    apart. Lines that `answers` has already are left out. Raises HornbookError as `open_teacher` does.
    """
    async with _client(config) as (client, found):
        return await answer_lines(client, found, requests, answers)


@asynccontextmanager
async def _client(config: TeacherConfig) -> AsyncIterator[tuple["OpenAIClient", TeacherConfig]]:
    """An endpoint's client, and the section with what it says of the embedded teacher filled in."""
    from hornbook.services.openai_client import OpenAIClient  # aiohttp takes a while to import

    with ExitStack() as stack:
        if config.url == EMBEDDED:
            slots = config.slots
            context, threads = slots * EMBEDDED_CONTEXT, workers()
            server = stack.enter_context(serve(fetch_teacher(), context=context, threads=threads, slots=slots))
            # Twice the slots: the next request is there before a slot is free.
            at_once = min(config.concurrency, 2 * slots)
            found = {"url": server.openai_url, "model": EMBEDDED_MODEL, "concurrency": at_once}
            config = config.model_copy(update=found)
        async with OpenAIClient(config, Budget(config.budget, config.prices)) as client:
            yield client, config
