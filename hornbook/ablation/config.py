"""What the recipe says about the verdict."""

from typing import Self

from pydantic import Field, model_validator

from hornbook.core.config import Config


class SweepConfig(Config):
    """Arms that differ in one number, so that their results are a curve."""

    setting: str  # of an arm, such as top_share
    values: dict[str, float]  # by arm


class LadderConfig(Config):
    """Arms that are the rungs of ladders: the same data under models of several sizes."""

    data: dict[str, str]  # arm -> the arm whose data it reads; an arm that is not named reads its own


class VerdictConfig(Config):
    """Which arm is the yardstick, which set decides, and how the intervals are made.

    The best arm is chosen on `choice_sets`, never on `verdict_set`: a test that also chooses is no test.
    """

    reference_arm: str = "raw"
    base_arm: str | None = None  # what other arms are compared with one by one; the last arm unless given
    reference_budget: int = Field(default=600_000, gt=0)  # tokens; every arm is trained on that many
    verdict_set: str = "humaneval"
    choice_sets: tuple[str, ...] = Field(default=("programs", "explained", "helpers"), min_length=1)
    sweep: SweepConfig | None = None
    ladder: LadderConfig | None = None
    bootstrap: int = Field(default=2000, ge=100, le=100_000)  # resamples behind every interval
    seeds: int = Field(default=1, ge=1, le=100)  # times that every arm is drawn, ordered and trained
    seed: int = Field(default=0, ge=0)  # of the resamples

    @model_validator(mode="after")
    def _verdict_is_not_choice(self) -> Self:
        if self.verdict_set in self.choice_sets:
            raise ValueError(f"{self.verdict_set} is the verdict_set, so it cannot be one of the choice_sets")
        return self
