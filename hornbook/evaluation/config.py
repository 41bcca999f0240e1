"""What the recipe says about evaluation."""

from typing import Self

from pydantic import Field, model_validator

from hornbook.core.config import Config

# Pure Python that Hornbook's dependencies bring, and that none of its recipes trains on.
HELD_OUT_DISTRIBUTIONS = ("mpmath", "joblib", "narwhals", "pyparsing", "click", "fonttools")


class SetsConfig(Config):
    """The texts that models are measured on."""

    distributions: tuple[str, ...] = Field(HELD_OUT_DISTRIBUTIONS, min_length=1)
    functions_per_distribution: int = Field(20, ge=1)
    min_chars: int = Field(200, ge=1)  # of a function
    max_chars: int = Field(2000, ge=1)
    held_out_passages: int = Field(75, ge=1)
    seed: int = Field(0, ge=0)

    @model_validator(mode="after")
    def _lengths_in_order(self) -> Self:
        if self.min_chars > self.max_chars:
            raise ValueError(f"min_chars {self.min_chars} is above max_chars {self.max_chars}")
        return self


class BitsConfig(Config):
    """Which arm and seed is measured, and on which sets."""

    arm: str
    seed: int = Field(0, ge=0)
    sets: tuple[str, ...] = ()  # empty: all that there are
    batch_tokens: int = Field(2048, ge=1)  # positions at a time: memory and speed, not the result


class ExecutionConfig(Config):
    """Whether models write solutions to the beginner exercises, and how; they are run in the sandbox."""

    enabled: bool = False
    samples: int = Field(1, ge=1)  # solutions of each exercise
    temperature: float = Field(0.0, ge=0)  # 0: the most likely one, which needs no second sample
    top_p: float = Field(0.95, gt=0, le=1)
    max_new_tokens: int = Field(100, ge=1)  # the longest reference solution has about 80
    exercises: int | None = Field(None, ge=1)  # the first so many; all unless given
    arm: str = ""  # which arm, seed and budget is measured: set by the plan
    seed: int = Field(0, ge=0)
    budget: int | None = None  # all unless given

    @model_validator(mode="after")
    def _samples_differ(self) -> Self:
        if self.samples > 1 and not self.temperature:
            raise ValueError("several samples need a temperature above 0: they would all be the same")
        return self
