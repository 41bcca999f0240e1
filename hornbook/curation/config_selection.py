"""Settings of an arm: which passages a model is trained on."""

from typing import Literal, Self

from pydantic import Field, model_validator

from hornbook.core.config import Config

Score = Literal["edu", "self", "level", "code"]  # columns of curation.scores


class ArmConfig(Config):
    """One arm of the comparison. Lessons are passages of kind `synthetic`; all other passages count as found."""

    name: str = Field(pattern=r"^[a-z][a-z0-9.-]*$")
    filter: Literal["raw", "rules", "classifier", "none"] = "raw"  # of found passages; none takes lessons alone
    min_edu: float | None = Field(None, ge=0, le=5)  # least educational value of a found passage (classifier only)
    top_share: float | None = Field(None, gt=0, le=1)  # or: this share of the bytes, the best first ...
    rank_by: dict[Score, float] = Field(default={"edu": 1.0}, min_length=1)  # ... by this weighted sum of scores
    min_self: float | None = Field(None, ge=0, le=3)  # least self-containedness of a found passage
    # Add the lessons that pass rules, duplicates and leaks: all, or those of these kinds or sources.
    lessons: bool | tuple[str, ...] = False
    min_lesson_edu: float | None = Field(None, ge=0, le=5)
    max_bytes: int = Field(20_000_000, ge=1)  # UTF-8 bytes of found passages, drawn in an order given by `seed`
    seed: int = Field(0, ge=0)

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        chosen = (self.min_edu is not None) + (self.top_share is not None)
        if self.filter == "classifier" and chosen != 1:
            raise ValueError("filter 'classifier' needs exactly one of min_edu and top_share")
        if self.filter != "classifier" and (chosen or self.min_self is not None):
            raise ValueError(f"min_edu, top_share and min_self need filter 'classifier', not {self.filter!r}")
        if self.rank_by != {"edu": 1.0} and self.top_share is None:
            raise ValueError("rank_by orders what top_share cuts: give both")
        if self.filter == "raw" and self.lessons:
            raise ValueError("filter 'raw' takes found passages only; use 'rules' or 'classifier' with lessons")
        if self.filter == "none" and not self.lessons:
            raise ValueError("filter 'none' takes lessons alone: set lessons")
        if self.min_lesson_edu is not None and not self.lessons:
            raise ValueError("min_lesson_edu needs lessons: true")
        return self
