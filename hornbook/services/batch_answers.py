"""A batch file answered by an endpoint: what the batch service of a host does, for those without one."""

import json
from collections.abc import Iterator
from contextlib import aclosing
from pathlib import Path
from typing import IO, Any

from hornbook.core.errors import HornbookError
from hornbook.services.chat import Reply
from hornbook.services.chat_format import at_most, encode
from hornbook.services.llm_config import TeacherConfig
from hornbook.services.transport import NotAnswered, Transport
from hornbook.services.unordered import unordered


async def answer_lines(transport: Transport, config: TeacherConfig, requests: Path, answers: Path) -> tuple[int, int]:
    """Append an answer line to `answers` for each line of `requests` that has none; counts of answers and errors.

    Raises HornbookError for files that cannot be read or written.
    """

    async def one(line: dict[str, Any]) -> tuple[bool, dict[str, Any]]:
        key = line["custom_id"]
        try:
            body = {**line["body"], "model": config.model}
            reply = await transport.send(key, body, encode(body))
        except NotAnswered as error:
            return False, {
                "custom_id": key,
                "response": None,
                "error": {"code": error.failure, "message": error.detail},
            }
        return True, {"custom_id": key, "response": {"status_code": 200, "body": _completion(reply)}, "error": None}

    good = bad = 0
    try:
        with open(answers, "a+b") as file:
            done = _answered(file)
            async with aclosing(unordered(one, _missing(requests, done), config.concurrency)) as lines:
                async for well, line in lines:
                    file.write(json.dumps(line).encode() + b"\n")
                    file.flush()
                    good += well
                    bad += not well
    except OSError as error:
        raise HornbookError(f"Cannot answer {requests} into {answers} ({error}).", "Check both paths.") from error
    return good, bad


def _answered(file: IO[bytes]) -> set[str]:
    """The keys in a file of answers, which then ends with a line's end: a kill may have left half a line."""
    file.seek(0)
    keys, line = set(), b"\n"
    for line in file:
        try:
            keys.add(json.loads(line)["custom_id"])
        except (ValueError, KeyError, TypeError):
            continue
    if not line.endswith(b"\n"):
        file.write(b"\n")
    return keys


def _missing(requests: Path, done: set[str]) -> Iterator[dict[str, Any]]:
    with open(requests, encoding="utf-8") as file:
        for number, text in enumerate(file, 1):
            try:
                line = json.loads(text)
                at_most(line["body"])  # is it a body at all?
                if line["custom_id"] not in done:
                    yield line
            except (ValueError, KeyError, TypeError) as error:
                problem = f"{requests}, line {number}: no request of a batch."
                raise HornbookError(problem, "Give a file that `open_batch` wrote.") from error


def _completion(reply: Reply) -> dict[str, Any]:
    message = {"role": "assistant", "content": reply.text}
    return {
        "id": reply.request_id,
        "model": reply.model,
        "choices": [{"index": 0, "message": message, "finish_reason": reply.finish}],
        "usage": {"prompt_tokens": reply.usage.prompt, "completion_tokens": reply.usage.completion},
    }
