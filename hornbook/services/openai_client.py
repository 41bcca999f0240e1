"""One request to an OpenAI-compatible chat endpoint, asked until it is answered: retries, pauses, limits of size.

What counts as paid: every complete answer, and every attempt whose outcome is unknown because it timed out, broke off
or was garbage. A status of 4xx or 5xx costs nothing.
"""

import asyncio
import email.utils
import ipaddress
import json
import random
import time
import urllib.request
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlsplit

import aiohttp

from hornbook.core.errors import HornbookError
from hornbook.services.api_key import Secret
from hornbook.services.budget import Budget
from hornbook.services.chat import Reply, Usage
from hornbook.services.chat_format import NotACompletion, at_most, error_text, read_completion
from hornbook.services.concurrency import Concurrency
from hornbook.services.llm_config import TeacherConfig
from hornbook.services.transport import NotAnswered

BACKOFF_SECONDS, LONGEST_BACKOFF = 0.5, 30.0  # doubled from attempt to attempt, times a random share
CONNECT_SECONDS = 15.0
HOPELESS = 20  # refusals before the first answer
MOST_TRIES = 20  # of a request that is put off while others are answered
BUSY = frozenset({429, 503, 529})  # come back later
FATAL = {
    401: "Check the API key (key_env).",
    402: "Pay the bill of the host.",
    403: "Check the API key (key_env) and what it may use.",
    404: "Check url and model.",
}


class OpenAIClient:
    """The transport over HTTP; use as an asynchronous context manager."""

    def __init__(self, config: TeacherConfig, budget: Budget, *, backoff_seconds: float = BACKOFF_SECONDS) -> None:
        self.concurrency = Concurrency(config.concurrency)
        self.retries = 0
        self.budget = budget
        self._config, self._backoff = config, backoff_seconds
        self._url = config.url.rstrip("/") + "/chat/completions"
        self._secret = Secret(config.key_env)
        self._proxy = _proxy(self._url)
        self._answered_at = 0.0  # the last time that the endpoint gave an answer; 0 before the first
        self._refusals = 0
        self._spoken = False  # whether it ever answered anything, if only an error

    async def __aenter__(self) -> Self:
        timeout = aiohttp.ClientTimeout(total=self._config.timeout, sock_connect=CONNECT_SECONDS)
        headers = {"Content-Type": "application/json", "Accept-Encoding": "identity", **self._secret.headers()}
        # `Concurrency` is the limit, not the pool. No cookies, no netrc, no proxy that was not asked for.
        self._session = aiohttp.ClientSession(
            timeout=timeout,
            headers=headers,
            connector=aiohttp.TCPConnector(limit=0),
            cookie_jar=aiohttp.DummyCookieJar(),
        )
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._session.close()

    async def send(self, key: str, body: dict[str, Any], data: bytes) -> Reply:
        """The reply. Raises NotAnswered for this request alone, HornbookError when no other will fare better."""
        first = 0.0  # when it got its first slot
        attempt = tries = 0
        while True:
            started = await self.concurrency.acquire()
            first = first or time.monotonic()
            try:
                if not self.budget.reserve():
                    raise NotAnswered("budget", "the budget is used up")
                try:
                    reply = await self._exchange(data, body)
                    self.budget.spend(reply.usage)
                    self.concurrency.answered(started)
                    self._answered_at = time.monotonic()
                    return reply
                except _Trouble as trouble:
                    if trouble.paid is None:
                        self.budget.unreserve()
                    else:
                        self.budget.spend(trouble.paid)
                    if trouble.busy:
                        self.concurrency.congested(started, trouble.wait)
                    error = trouble
                except BaseException:
                    self.budget.unreserve()
                    raise
            finally:
                self.concurrency.release()
            attempt, tries = attempt + error.counts, tries + 1
            self._consider(error, attempt, tries, first)
            self.retries += 1
            # Full jitter, so that those who failed together do not come back together.
            pause = random.uniform(0, min(LONGEST_BACKOFF, self._backoff * 2 ** min(attempt, 16)))
            await asyncio.sleep(pause)

    def _consider(self, trouble: "_Trouble", attempt: int, tries: int, first: float) -> None:
        """Give up, or return to try again: after `attempt` of the tries that count, the first of them at `first`."""
        if trouble.final:
            self._refusals += 1
            if self._refusals >= HOPELESS and not self._answered_at:
                raise HornbookError(
                    f"{self._config.url} refused the first {HOPELESS} requests: {trouble.what}.",
                    "See whether it knows the fields sent (response_format, extra) and the model.",
                )
            raise NotAnswered("refused", trouble.what)
        silent = time.monotonic() - max(self._answered_at, first)
        if silent > self._config.patience:
            raise HornbookError(
                f"{self._config.url} has not answered anything for {silent:.0f} s; the last word: {trouble.what}.",
                "Answers so far are kept: run the same command again when it is well.",
            )
        if attempt >= self._config.attempts:
            if not self._spoken:
                raise HornbookError(
                    f"Nothing answers at {self._config.url} ({trouble.what}).", "Start the server, or check url."
                )
            raise NotAnswered("gave up", f"{attempt} attempts, the last: {trouble.what}")
        if tries >= MOST_TRIES and time.monotonic() - first > self._config.patience:
            raise NotAnswered("gave up", f"{tries} tries while others were answered, the last: {trouble.what}")

    async def _exchange(self, data: bytes, body: dict[str, Any]) -> Reply:
        """One attempt."""
        try:
            async with self._session.post(self._url, data=data, proxy=self._proxy, allow_redirects=False) as response:
                self._spoken = True
                content = await self._read(response)
                if response.status != 200:
                    raise self._refusal(response, content)
        except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError) as error:
            raise _Trouble(self._secret.scrub(str(error)) or "no connection") from None
        except TimeoutError:
            raise _Trouble(f"no answer within {self._config.timeout:g} s", paid=at_most(body), busy=True) from None
        except (aiohttp.ClientError, OSError, ValueError) as error:
            words = self._secret.scrub(str(error)) or type(error).__name__
            raise _Trouble(f"the connection broke ({words})", paid=at_most(body)) from None
        if content is None:
            limit = f"{self._config.answer_bytes:,} bytes"
            return Reply("", "", "", "", at_most(body), "too long", f"the answer is longer than {limit}")
        try:
            reply = read_completion(json.loads(content), body)
        except (ValueError, RecursionError, NotACompletion) as error:
            raise _Trouble(
                f"the answer is no completion ({self._secret.scrub(str(error))[:200]})", paid=at_most(body)
            ) from None
        return self._secret.scrub_reply(reply)

    async def _read(self, response: aiohttp.ClientResponse) -> bytes | None:
        """The body, or None when it is longer than allowed: then the connection is closed, the rest never read."""
        limit = self._config.answer_bytes
        if (response.content_length or 0) <= limit:
            content = bytearray()
            async for chunk in response.content.iter_any():
                content += chunk
                if len(content) > limit:
                    break
            else:
                return bytes(content)
        response.close()
        return None

    def _refusal(self, response: aiohttp.ClientResponse, content: bytes | None) -> "_Trouble":
        """What a status other than 200 means. Raises HornbookError for those that concern every request."""
        try:
            said = error_text(json.loads(content or b""))
        except (ValueError, RecursionError):
            said = ""
        status = response.status
        what = self._secret.scrub(f"{status} {response.reason or ''} {said}".strip())
        if 300 <= status < 400:
            raise HornbookError(f"{self._config.url} redirects ({what}).", "Put the address behind it into url.")
        # After an answer, 403 and 404 are about this request: a filter of the host, for example.
        if status in FATAL and (status < 403 or not self._answered_at):
            raise HornbookError(f"{self._config.url} refuses: {what}.", FATAL[status])
        if status in BUSY:
            wait = min(_retry_after(response.headers.get("Retry-After", "")), self._config.patience)
            # These set the pace, or say that a model is being loaded: only `patience` ends them.
            return _Trouble(what, busy=True, wait=wait, counts=False)
        return _Trouble(what, final=status < 500 and status not in (408, 409, 425))


class _Trouble(Exception):
    """An attempt without an answer."""

    def __init__(
        self,
        what: str,
        *,
        paid: Usage | None = None,  # what it may have cost
        busy: bool = False,  # the endpoint has too much to do
        wait: float = 0.0,  # seconds it asked for
        final: bool = False,  # another attempt would fare no better
        counts: bool = True,  # as one of the attempts
    ) -> None:
        self.what, self.paid, self.busy, self.wait, self.final, self.counts = what, paid, busy, wait, final, counts
        super().__init__(what)


def _retry_after(value: str) -> float:
    """Seconds in a Retry-After header: a number, or a date (RFC 9110, 10.2.3)."""
    try:
        return max(0.0, float(value))
    except ValueError:
        pass
    try:
        return max(0.0, email.utils.parsedate_to_datetime(value).timestamp() - time.time())
    except (ValueError, TypeError):
        return 0.0


def _proxy(url: str) -> str | None:
    """The proxy that the environment names for a URL; none for this machine and for what no_proxy lists."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    try:
        loopback = host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        loopback = False
    if loopback or urllib.request.proxy_bypass(host):
        return None
    return urllib.request.getproxies().get(parts.scheme)
