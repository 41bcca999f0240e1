"""API keys: read from the environment, sent in one header, and taken out of everything that comes back."""

import os

from hornbook.core.errors import HornbookError

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
        if len(self._value) < SHORTEST:
            return text
        return text.replace(self._value, "[API key]")
