"""What the recipe says about export."""

from typing import Literal

from pydantic import Field

from hornbook.core.config import Config

PROMPTS = (
    "def fibonacci(n):",
    'def is_palindrome(text: str) -> bool:\n    """Return True if text reads the same backwards."""\n',
    "import json\n\n\ndef read_settings(path):",
    "class Stack:\n    def __init__(self):\n        self.items = []\n\n    def push(self, item):",
    'def mean(numbers):\n    """Return the average.\n\n    >>> mean([1, 3])\n    2.0\n    """\n',
    "# Count how often each word occurs in a text.\ncounts = {}\nfor word in",
)


class DeploymentConfig(Config):
    """Prompts, for the sample completions and for comparing llama.cpp with our decoder, and how to sample."""

    prompts: tuple[str, ...] = Field(PROMPTS, min_length=1)
    max_new_tokens: int = Field(96, ge=1)
    temperature: float = Field(0.6, ge=0, le=5)
    top_k: int = Field(0, ge=0)
    top_p: float = Field(0.95, gt=0, le=1)
    seed: int = Field(0, ge=0)
    # Files for llama.cpp; none for blocks that it has not, those of phi-3-small.
    gguf_types: tuple[Literal["F16", "Q8_0"], ...] = Field(("F16", "Q8_0"), exclude_if=lambda types: len(types) == 2)
    # Where there is no verdict, the budget of each phase, of which the last is published: set by the plan.
    phases: dict[str, int] = Field({}, exclude_if=lambda phases: not phases)
    positions: int = Field(200, ge=50)  # drawn for the check by llama.cpp; prompts on top
