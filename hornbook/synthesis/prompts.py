"""Prompts: one file each, Jinja in a sandbox, with a head of YAML that says how the answer is to be drawn.

The hash of the file travels with every item that was asked for with it.
"""

import hashlib
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import yaml
from jinja2 import StrictUndefined, Template
from jinja2.sandbox import ImmutableSandboxedEnvironment

from hornbook.services.chat import Request, Sampling

PROMPTS = Path(__file__).parent / "prompts"


@dataclass(frozen=True)
class Prompt:
    """A prompt file: `formats` are forms that a lesson may have, `schema` is the JSON schema of the answer, if any."""

    name: str
    hash: str  # 16 hexadecimal digits of the file's SHA-256
    max_tokens: int
    formats: tuple[str, ...]
    schema: dict[str, Any] | None
    template: Template

    def request(self, temperature: float, top_p: float, repeat: int = 0, **fields: Any) -> Request:
        """The request with the fields filled in; those that the template names must be there."""
        text = self.template.render(**fields).strip()
        sampling = Sampling(temperature, top_p, self.max_tokens)
        return Request(({"role": "user", "content": text},), sampling, self.schema, repeat)


@cache
def load_prompt(name: str, folder: Path = PROMPTS) -> Prompt:
    """The prompt `<folder>/<name>.md`."""
    text = (folder / f"{name}.md").read_text(encoding="utf-8")
    _, head, body = text.split("---\n", 2)
    about = yaml.safe_load(head)
    environment = ImmutableSandboxedEnvironment(undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    return Prompt(
        name,
        hashlib.sha256(text.encode()).hexdigest()[:16],
        about["max_tokens"],
        tuple(about.get("formats", ())),
        about.get("schema"),
        environment.from_string(body),
    )
