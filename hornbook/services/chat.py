"""What is asked of a teacher and what comes back: plain values, the same for every kind of teacher."""

import hashlib
from collections.abc import AsyncIterable, AsyncIterator, Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Literal, Protocol

Message = dict[str, str]  # role (system, user or assistant) and content
Requests = Iterable["Request"] | AsyncIterable["Request"]
Failure = Literal[
    "",  # it is an answer
    "budget",  # not asked: the budget is used up
    "waiting",  # not answered yet: it stands in a batch file
    "refused",  # the endpoint does not take this request, for example because it is too long
    "gave up",  # every attempt ended in an error
    "too long",  # the answer was larger than `answer_bytes`
    "empty",  # the answer has no text
    "schema",  # the answer does not fit its schema, and the repair did not either
]


@dataclass(frozen=True)
class Sampling:
    """How the next token is drawn. `max_tokens` bounds one answer; `seed` is sent only when it is given."""

    temperature: float = 0.0
    top_p: float = 1.0
    max_tokens: int = 1024
    seed: int | None = None


@dataclass(frozen=True)
class Request:
    """One question.

    `sampling` of None takes that of the teacher. `schema` is a JSON schema for the answer. `repeat` asks the same
    again: another number, another answer. `tag` is the caller's own; a teacher hands it back and sees nothing in it.
    """

    messages: tuple[Message, ...]
    sampling: Sampling | None = None
    schema: dict[str, Any] | None = None
    repeat: int = 0
    tag: str = ""


@dataclass(frozen=True)
class Usage:
    """Tokens read and written."""

    prompt: int = 0
    completion: int = 0

    def __add__(self, other: "Usage") -> "Usage":
        return Usage(self.prompt + other.prompt, self.completion + other.completion)


@dataclass(frozen=True)
class Reply:
    """What an endpoint said to one request, paid for and kept. `failure` is "" or a reason why it is of no use."""

    text: str
    finish: str  # stop, length, content_filter ... as the endpoint puts it
    model: str  # the model that answered, by its own account
    request_id: str
    usage: Usage
    failure: Failure = ""
    detail: str = ""
    answered: str = field(default_factory=lambda: datetime.now(UTC).isoformat(timespec="seconds"))


@dataclass(frozen=True)
class Answer:
    """The outcome for one request: `failure` is "" or the reason why there is no usable answer, `detail` says more.

    `parsed` is the value of an answer to a request with a schema. `usage` includes a repair. `cached` means that
    nothing was asked now. `finish` of "length" marks a text that ends where `max_tokens` cut it.
    """

    request: Request
    key: str  # content hash of the request, see `content_key`
    text: str = ""
    parsed: Any = None
    finish: str = ""
    model: str = ""
    request_id: str = ""
    answered: str = ""  # when it was given, as an ISO date and time
    usage: Usage = Usage()
    cached: bool = False
    repaired: bool = False
    failure: Failure = ""
    detail: str = ""


class Teacher(Protocol):
    """Anything that answers."""

    def answers(self, requests: Requests, *, total: int | None = None, label: str = "") -> AsyncIterator[Answer]:
        """One answer for each request, as they come; read lazily, only as many as are in flight are held.

        With `total` a progress line shows the forecast. Raises HornbookError when going on makes no sense: the
        endpoint cannot be reached or takes no requests, the cache cannot be written.
        """
        ...


def content_key(data: bytes, repeat: int) -> str:
    """The hash of everything that bears on an answer: 64 hexadecimal digits.

    `data` is what is sent (`chat_format.encode`): model, messages, sampling, schema. Addresses and API keys are not
    part of it, so that an answer stays valid when the endpoint moves.
    """
    return hashlib.sha256(b"%d %b" % (repeat, data)).hexdigest()
