"""The chat format of OpenAI's API, which every host understands: a request's body, and a completion read from JSON.

Source: the OpenAI API reference, "Create chat completion". Nothing that an endpoint sends is trusted.
"""

import json
from typing import Any

from hornbook.services.chat import Failure, Reply, Request, Sampling, Usage
from hornbook.services.llm_config import TeacherConfig

MAX_TOKENS = 10**9  # a usage beyond it is nonsense
CHARS_PER_TOKEN = 4  # for endpoints that do not count


_JSON = json.JSONEncoder(sort_keys=True, separators=(",", ":"))


class NotACompletion(Exception):
    """The JSON is not a chat completion."""


def body(request: Request, config: TeacherConfig) -> dict[str, Any]:
    """What is sent for a request; the teacher's sampling is used where the request has none of its own."""
    sampling = request.sampling or Sampling(config.temperature, config.top_p, config.max_tokens)
    fields: dict[str, Any] = {
        "model": config.model,
        "messages": list(request.messages),
        "temperature": sampling.temperature,
        "top_p": sampling.top_p,
        config.max_tokens_key: sampling.max_tokens,
        **config.extra,
    }
    if sampling.seed is not None:
        fields["seed"] = sampling.seed
    if request.schema is not None:
        schema = {"name": "answer", "strict": True, "schema": request.schema}
        fields["response_format"] = {"type": "json_schema", "json_schema": schema}
    return fields


def encode(fields: dict[str, Any]) -> bytes:
    """A body as JSON, the same bytes for the same content: keys in order, no spaces, ASCII."""
    return _JSON.encode(fields).encode()


def read_completion(answer: Any, asked: dict[str, Any]) -> Reply:
    """The reply in a decoded completion; `asked` is the body it answers (for the count of tokens).

    Raises NotACompletion when it has no message. A message without text is an answer (and paid for), of no use.
    """
    try:
        choice = answer["choices"][0]
        message = choice["message"]
        text = message.get("content")
        text = "" if text is None else text
        if not isinstance(text, str):
            raise NotACompletion("the content of the message is not a text")
        refusal = message.get("refusal")
    except (KeyError, IndexError, TypeError, AttributeError) as error:
        raise NotACompletion("there is no message in it") from error
    failure: Failure = ""
    detail = ""
    if not text.strip():
        failure = "empty"
        detail = _clean(refusal)[:300] if isinstance(refusal, str) else ""
    return Reply(
        _clean(text),
        _clean(choice.get("finish_reason")),
        _clean(answer.get("model")),
        _clean(answer.get("id")),
        _usage(answer.get("usage"), asked, text),
        failure,
        detail,
    )


def at_most(asked: dict[str, Any]) -> Usage:
    """What a request may cost: its tokens by its length, and an answer as long as is allowed."""
    return _estimate(asked, asked.get("max_tokens") or asked["max_completion_tokens"])


def _estimate(asked: dict[str, Any], completion: int) -> Usage:
    chars = sum(len(message["content"]) for message in asked["messages"])
    return Usage(-(-chars // CHARS_PER_TOKEN), completion)


def error_text(answer: Any) -> str:
    """The message of an error body, or ""."""
    error = answer.get("error", answer) if isinstance(answer, dict) else None
    message = error.get("message") or error.get("detail") if isinstance(error, dict) else error
    return " ".join(_clean(message).split())[:300]


def _usage(usage: Any, asked: dict[str, Any], text: str) -> Usage:
    counts = usage if isinstance(usage, dict) else {}
    guess = _estimate(asked, -(-len(text) // CHARS_PER_TOKEN))
    return Usage(
        _count(counts.get("prompt_tokens"), guess.prompt), _count(counts.get("completion_tokens"), guess.completion)
    )


def _count(value: Any, otherwise: int) -> int:
    plain = isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= MAX_TOKENS
    return value if plain else otherwise


def _clean(value: Any) -> str:
    """A text that can be kept: JSON may spell halves of characters, which no file takes."""
    return value.encode("utf-8", "replace").decode() if isinstance(value, str) else ""
