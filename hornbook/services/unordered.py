"""Many asynchronous calls at once, their results as they come; what is waiting to begin or to be read stays bounded."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterable, Awaitable, Callable, Iterable
from typing import Any, Generic, TypeVar

T = TypeVar("T")
R = TypeVar("R")
_END: Any = object()


async def unordered(
    function: Callable[[T], Awaitable[R]], items: Iterable[T] | AsyncIterable[T], workers: int
) -> AsyncGenerator[R, None]:
    """`function` of every item, at most `workers` at a time; an exception of either ends it and comes out.

    Items are read lazily. A reader that is slow is waited for, with `workers` results at hand.
    """
    source = _Source(items)
    ready: asyncio.Queue[tuple[R | None, BaseException | None, bool]] = asyncio.Queue(workers)

    async def work() -> None:
        try:
            while (item := await source.next()) is not _END:
                await ready.put((await function(item), None, False))
        except Exception as error:
            await ready.put((None, error, True))
        else:
            await ready.put((None, None, True))

    tasks = [asyncio.create_task(work()) for _ in range(workers)]
    running = workers
    try:
        while running:
            result, error, ended = await ready.get()
            if error is not None:
                raise error
            if ended:
                running -= 1
            else:
                yield result  # type: ignore[misc]  # only an end comes without a result
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


class _Source(Generic[T]):
    """Items one at a time, from an iterable or an asynchronous one, for many workers."""

    def __init__(self, items: Iterable[T] | AsyncIterable[T]) -> None:
        self._lock = asyncio.Lock()
        self._async = aiter(items) if isinstance(items, AsyncIterable) else None
        self._plain = None if isinstance(items, AsyncIterable) else iter(items)
        self._ended = False

    async def next(self) -> T:
        """The next item, or the mark `_END`."""
        if self._plain is not None:
            return next(self._plain, _END)
        assert self._async is not None
        async with self._lock:
            item = _END if self._ended else await anext(self._async, _END)
            self._ended = item is _END
            return item
