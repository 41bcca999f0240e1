"""Answers in JSON: read, checked against a JSON schema, and asked for once more when they do not fit."""

import json
import re
from dataclasses import replace
from typing import Any

from jsonschema import Draft202012Validator
from jsonschema.exceptions import SchemaError, ValidationError, best_match

from hornbook.core.errors import HornbookError
from hornbook.services.chat import Request

SHOWN_CHARS = 300  # of an error
REPEATED_CHARS = 4_000  # of an answer that is shown to its author again
_FENCED = re.compile(r"^\s*```(?:json)?\s*\n(.*?)\n?\s*```\s*$", re.S)


class DoesNotFit(Exception):
    """The answer is not JSON or does not fit its schema; the text says why, in words that the teacher understands."""


class Schemas:
    """Validators, made once a schema."""

    def __init__(self) -> None:
        self._made: dict[int, tuple[dict[str, Any], Draft202012Validator]] = {}

    def parse(self, text: str, schema: dict[str, Any]) -> Any:
        """The value in an answer. Raises DoesNotFit, and HornbookError for a schema that is none itself.

        A fence around the JSON, which models without structured output like to put there, is taken off.
        """
        fenced = _FENCED.match(text)
        try:
            value = json.loads(fenced.group(1) if fenced else text)
        except (ValueError, RecursionError) as error:
            raise DoesNotFit(f"not JSON: {str(error)[:SHOWN_CHARS]}") from None
        try:
            misfit = best_match(self._validator(schema).iter_errors(value))
        except RecursionError:
            raise DoesNotFit("nested too deeply") from None
        if misfit is not None:
            raise DoesNotFit(_words(misfit))
        return value

    def _validator(self, schema: dict[str, Any]) -> Draft202012Validator:
        known = self._made.get(id(schema))
        if known is None or known[0] is not schema:  # the schema is kept, so its address is not given to another
            try:
                Draft202012Validator.check_schema(schema)
            except SchemaError as error:
                raise HornbookError(f"The JSON schema of a request is none: {error.message}.") from error
            if len(self._made) >= 64:  # schemas made for every request must not pile up
                self._made.clear()
            known = self._made[id(schema)] = (schema, Draft202012Validator(schema))
        return known[1]


def repair(request: Request, text: str, error: DoesNotFit) -> Request:
    """The request that shows a teacher its answer and what is wrong with it."""
    said = ({"role": "assistant", "content": text[:REPEATED_CHARS]},) if text.strip() else ()
    order = f"Your answer cannot be used: {error}. Answer again, with nothing but JSON that fits the schema."
    return replace(request, messages=(*request.messages, *said, {"role": "user", "content": order}))


def _words(error: ValidationError) -> str:
    message = error.message
    if len(message) > SHOWN_CHARS:
        message = "…" + message[-SHOWN_CHARS:]  # the value comes first, what is wrong with it last
    return f"{error.json_path}: {message}"
