"""The section `teacher` of a recipe: which LLM answers, how, and what it may cost."""

from typing import Any, Literal
from urllib.parse import urlsplit

from pydantic import Field, model_validator

from hornbook.core.config import Config

EMBEDDED = "embedded"
SAMPLING_KEYS = frozenset(
    {"seed", "response_format", "model", "messages", "temperature", "top_p", "max_tokens", "max_completion_tokens"}
)


class BudgetConfig(Config):
    """A hard stop in each unit that is given. Answers from the cache count with what they cost when they were paid."""

    requests: int | None = Field(None, ge=0)
    tokens: int | None = Field(None, ge=0)  # read and written
    money: float | None = Field(None, ge=0)  # in the currency of the prices


class PriceConfig(Config):
    """What a million tokens cost; look them up at your host. The default is a model that runs at home."""

    prompt: float = Field(0.0, ge=0)
    completion: float = Field(0.0, ge=0)


class TeacherConfig(Config):
    """An LLM behind an OpenAI-compatible chat endpoint, or the embedded one."""

    url: str = EMBEDDED  # or the base, such as http://localhost:8000/v1
    model: str = ""  # as the endpoint names it; the embedded teacher has only one
    key_env: str = ""  # name of the environment variable that holds the API key; never the key itself
    temperature: float = Field(0.0, ge=0)
    top_p: float = Field(1.0, gt=0, le=1)
    max_tokens: int = Field(1024, ge=1)  # of one answer
    max_tokens_key: Literal["max_tokens", "max_completion_tokens"] = "max_tokens"  # the new name, where it is wanted
    extra: dict[str, Any] = Field(
        default_factory=dict
    )  # further fields of the request, such as {chat_template_kwargs: {...}}
    concurrency: int = Field(64, ge=1, le=4096)  # most requests in flight; fewer where the endpoint asks for it
    timeout: float = Field(300.0, gt=0)  # seconds for one answer
    attempts: int = Field(6, ge=1)  # of one request; refusals for being too fast do not count
    patience: float = Field(600.0, gt=0)  # seconds without any answer after which the run stops
    answer_bytes: int = Field(1_000_000, ge=1_000)  # of an HTTP answer; a longer one is cut off and counts as failed
    other_model: Literal["count", "stop"] = "count"  # when answers come from a model of another name
    slots: int = Field(8, ge=1, le=256)  # embedded only: answers that are written at the same time
    budget: BudgetConfig = BudgetConfig()
    prices: PriceConfig = PriceConfig()

    def what_bears_on_answers(self) -> dict[str, Any]:
        """Another address, another pace or another budget gives the same answers."""
        kept = ("model", "extra") if self.model else ("url",)
        return {name: getattr(self, name) for name in kept}

    @model_validator(mode="after")
    def _coherent(self) -> "TeacherConfig":
        if clash := SAMPLING_KEYS & self.extra.keys():
            raise ValueError(f"extra may not contain {', '.join(sorted(clash))}: these have keys of their own")
        if self.url == EMBEDDED:
            if self.model or self.key_env:
                raise ValueError("the embedded teacher takes no model and no key_env: it has one model and no account")
            return self
        parts = urlsplit(self.url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError("url is `embedded` or begins with http:// or https://, such as http://localhost:8000/v1")
        if parts.username or parts.password or parts.query:
            raise ValueError("url carries a name, a password or a query: put a key into the environment (key_env)")
        if not self.model:
            raise ValueError("model is missing: name the model as the endpoint does")
        if self.budget.money is not None and not (self.prices.prompt or self.prices.completion):
            raise ValueError("a budget in money needs prices")
        return self
