"""API keys: read from the environment, sent in one header, and taken out of everything that comes back."""

import os
from dataclasses import replace

from hornbook.core.errors import HornbookError
from hornbook.services.chat import Reply

SHORTEST = 8  # a shorter one is no secret (many local servers want any word), and would be found in every text


class Secret:
    """A key that does not print itself."""

    def __init__(self, variable: str) -> None:
        """Raises HornbookError when the environment variable `variable` is missing; "" is a secret of no key."""
        value = os.environ.get(variable, "").strip() if variable else ""
        if variable and not value:
            raise HornbookError(f"The environment variable {variable} with the API key is not set.", "Set it.")
        if not (value.isascii() and value.isprintable()):
            raise HornbookError(f"The API key in {variable} has characters that no header takes.", "Copy it again.")
        self._value = value

    def headers(self) -> dict[str, str]:
        """The header that carries the key."""
        return {"Authorization": f"Bearer {self._value}"} if self._value else {}

    def scrub(self, text: str) -> str:
        """The text without the key: endpoints repeat it in errors, and a proxy may in answers."""
        return text.replace(self._value, "[API key]") if len(self._value) >= SHORTEST else text

    def scrub_reply(self, reply: Reply) -> Reply:
        """The reply without the key in any of its texts."""
        if len(self._value) < SHORTEST:
            return reply
        return replace(
            reply,
            text=self.scrub(reply.text),
            finish=self.scrub(reply.finish),
            model=self.scrub(reply.model),
            request_id=self.scrub(reply.request_id),
            detail=self.scrub(reply.detail),
        )
