"""The base of every section of a recipe."""

from pydantic import BaseModel, ConfigDict


class Config(BaseModel):
    """An immutable recipe section; unknown keys are errors, so that a typo never runs for an hour."""

    model_config = ConfigDict(extra="forbid", frozen=True)
