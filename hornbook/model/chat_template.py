"""Conversations as text, in the form that a model was tuned on, and which of it the model itself is to write.

A form is a Jinja template with the names that transformers gives it: `messages`, `add_generation_prompt` and the
special tokens. What stands between `{% generation %}` and `{% endgeneration %}` is the model's part, and a loss counts
nothing else. Templates come with models from elsewhere, so they run in Jinja's sandbox.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache, partial
from importlib import resources
from typing import Any, NoReturn

from jinja2 import TemplateError, nodes
from jinja2.ext import Extension, loopcontrols
from jinja2.parser import Parser
from jinja2.runtime import Macro
from jinja2.sandbox import ImmutableSandboxedEnvironment
from tokenizers import Tokenizer

from hornbook.core.errors import HornbookError

TEMPLATES = ("phi-3", "phi-4", "phi-4-mini", "qa")  # qa: for models that were never tuned on conversations
Message = Mapping[str, Any]  # `role` (system, user or assistant) and `content`


@dataclass(frozen=True)
class Rendered:
    """A conversation as text; `spans` are starts and ends, in characters, of what the model writes."""

    text: str
    spans: tuple[tuple[int, int], ...]


def builtin_template(name: str) -> str:
    """The template of a generation, one of `TEMPLATES`. Raises HornbookError for other names."""
    if name not in TEMPLATES:
        raise HornbookError(f"There is no chat template {name!r}.", f"There are: {', '.join(TEMPLATES)}.")
    return (resources.files("hornbook.model") / "templates" / f"{name}.jinja").read_text()


def render(
    template: str,
    messages: Sequence[Message],
    *,
    add_generation_prompt: bool = False,
    special_tokens: Mapping[str, str | None] | None = None,
) -> Rendered:
    """A conversation in the form of a template.

    `add_generation_prompt` ends it where the model is to answer. `special_tokens` are texts by name, such as
    `bos_token` and `eos_token`; one that is missing is empty. Raises HornbookError for a template that is not valid or
    refuses the conversation.
    """
    pieces: list[str] = []
    spans: list[tuple[int, int]] = []
    known = {"bos_token": "", "eos_token": ""}
    known |= {name: text for name, text in (special_tokens or {}).items() if text is not None}
    try:
        compiled = _environment().from_string(template)
        for piece in compiled.generate(
            messages=messages, add_generation_prompt=add_generation_prompt, _pieces=pieces, _spans=spans, **known
        ):
            pieces.append(piece)
    except (TemplateError, TypeError, ValueError, KeyError) as error:
        raise HornbookError(
            f"The chat template does not take this conversation ({error}).",
            "See that roles take turns as the template wants; some have no system role.",
        ) from error
    return Rendered("".join(pieces), tuple(spans))


def encode(tokenizer: Tokenizer, rendered: Rendered) -> tuple[list[int], list[int]]:
    """Token ids of a conversation, and for each whether the model is to write it (1) or reads it (0).

    Nothing is put before the text. A token counts as written when it shares a character with the model's part.
    """
    encoding = tokenizer.encode(rendered.text, add_special_tokens=False)
    mask = [
        int(any(start < span_end and end > span_start for span_start, span_end in rendered.spans))
        for start, end in encoding.offsets
    ]
    return encoding.ids, mask


class _Generation(Extension):
    """The tag `generation`: notes where the text of its block lies."""

    tags = {"generation"}  # noqa: RUF012

    def parse(self, parser: Parser) -> nodes.Node:
        line = next(parser.stream).lineno
        body = parser.parse_statements(("name:endgeneration",), drop_needle=True)
        arguments: list[nodes.Expr] = [nodes.Name("_pieces", "load"), nodes.Name("_spans", "load")]
        call = self.call_method("_note", arguments)
        return nodes.CallBlock(call, [], [], body).set_lineno(line)

    def _note(self, pieces: list[str], spans: list[tuple[int, int]], caller: Macro) -> str:
        text = str(caller())
        start = sum(map(len, pieces))  # Jinja has handed out all that stands before
        spans.append((start, start + len(text)))
        return text


@cache
def _environment() -> ImmutableSandboxedEnvironment:
    """Set up as in transformers, for whose sake templates are written."""
    environment = ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, extensions=[_Generation, loopcontrols]
    )
    environment.filters["tojson"] = partial(json.dumps, ensure_ascii=False)
    environment.globals["raise_exception"] = _raise
    environment.globals["strftime_now"] = lambda form: datetime.now().strftime(form)
    return environment


def _raise(message: str) -> NoReturn:
    raise TemplateError(message)
