"""How many requests are in flight: additive increase, multiplicative decrease (Chiu and Jain 1989).

An endpoint that refuses (429) or times out halves the number. Without such a word the rate of answers decides: as long
as more requests at once bring more answers a second the number grows; when they only wait longer it shrinks a little.
"""

import asyncio
from collections import deque

WINDOW = 16  # answers at least, before anything is concluded from them
GAIN = 1.02  # a rate this much better was worth the growth
QUEUE = 2.0  # an answer that takes this much longer, at no better rate, has waited in a queue
LOSS = 0.95  # a rate this much worse after shrinking: it was no queue


class Concurrency:
    """Slots for requests in flight; `acquire` one, then `release` it and tell how it went."""

    def __init__(self, cap: int, start: int = 8) -> None:
        self.limit = float(min(start, cap))
        self.in_flight = 0
        self._cap = cap
        self._doubling = True  # until the first sign that it is enough
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._resume_at = 0.0  # nothing starts before; time of the event loop
        self._cut_at = 0.0
        self._best_rate = self._best_seconds = self._last_rate = 0.0
        self._shrunk = self._full = False
        self._count, self._seconds, self._since = 0, 0.0, 0.0  # of the window of answers that is being watched

    async def acquire(self) -> float:
        """Wait for a slot; the time at which it was given."""
        loop = asyncio.get_running_loop()
        if not self._waiting and self._free():
            self.in_flight += 1
            return loop.time()
        self._full = True
        turn: asyncio.Future[None] = loop.create_future()
        self._waiting.append(turn)
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                self.release()
            raise
        return loop.time()

    def release(self) -> None:
        """Give the slot back."""
        self.in_flight -= 1
        self._wake()

    def answered(self, started: float) -> None:
        """A request that got its slot at `started` has been answered."""
        now = asyncio.get_running_loop().time()
        if not self._count:
            self._seconds, self._since = 0.0, max(started, self._since)  # later than the last window: it was idle
        self._count += 1
        self._seconds += now - started
        if self._count >= max(self.limit, WINDOW):
            if self._full:  # else the caller asks for less than is allowed, and nothing is learned
                self._adapt(self._count / max(now - self._since, 1e-6), self._seconds / self._count)
            self._count, self._since = 0, now
            self._full = bool(self._waiting)

    def congested(self, started: float, retry_after: float = 0.0) -> None:
        """The endpoint refused a request that began at `started`, or left it alone until the time was up.

        Halves the limit, once for all requests that were under way; nothing starts for `retry_after` seconds.
        """
        loop = asyncio.get_running_loop()
        now = loop.time()
        if retry_after > 0 and now + retry_after > self._resume_at:
            self._resume_at = now + retry_after
            loop.call_later(retry_after, self._wake)
        if started >= self._cut_at:
            self.limit = max(1.0, self.limit / 2)
            self._cut_at = now
            self._doubling = False
            self._best_rate = self._last_rate = 0.0
            self._count, self._since = 0, now

    def _adapt(self, rate: float, seconds: float) -> None:
        if self._shrunk and rate < LOSS * self._last_rate:
            self._best_rate = 0.0  # the answers take longer by themselves; what was best is past
        self._shrunk = False
        self._last_rate = rate
        if rate > GAIN * self._best_rate:
            self._best_rate, self._best_seconds = rate, seconds
            self.limit = self.limit * 2 if self._doubling else self.limit + 1
        elif seconds > QUEUE * self._best_seconds:
            self.limit, self._shrunk, self._doubling = max(1.0, 0.9 * self.limit), True, False
        else:
            self.limit, self._doubling = self.limit + 1, False
        self.limit = min(self.limit, float(self._cap))
        self._wake()

    def _free(self) -> bool:
        return self.in_flight < int(self.limit) and asyncio.get_running_loop().time() >= self._resume_at

    def _wake(self) -> None:
        while self._waiting and self._free():
            turn = self._waiting.popleft()
            if not turn.done():
                self.in_flight += 1
                turn.set_result(None)
