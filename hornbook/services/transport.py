"""How a request reaches a model: over HTTP or in a batch file."""

from typing import Any, Protocol

from hornbook.services.chat import Failure, Reply


class NotAnswered(Exception):
    """A request without a reply; nothing is kept, and the next run asks again."""

    def __init__(self, failure: Failure, detail: str) -> None:
        self.failure, self.detail = failure, detail
        super().__init__(detail)


class Transport(Protocol):
    """Takes one body of the chat format, with its JSON in `data`; `key` names its content."""

    async def send(self, key: str, body: dict[str, Any], data: bytes) -> Reply:
        """The reply, paid for. Raises NotAnswered, or HornbookError when no request will be answered."""
        ...
