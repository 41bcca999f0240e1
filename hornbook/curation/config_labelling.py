"""Settings of the sample that a teacher labels, of the labelling, and of what is measured on the labels."""

from typing import Any

from pydantic import Field, field_serializer

from hornbook.core.config import Config
from hornbook.curation.annotation import MAX_LABELS, MIN_LABELS
from hornbook.curation.config_classifier import ClassifierConfig
from hornbook.services.llm_config import TeacherConfig


class SampleConfig(Config):
    """How many passages are drawn, in which order."""

    passages: int = Field(2000, ge=MIN_LABELS, le=MAX_LABELS)
    seed: int = Field(0, ge=0)


class LabellingConfig(Config):
    """Who labels, and how. At temperature 0 a second answer would repeat the first and say nothing of its noise."""

    teacher: TeacherConfig = TeacherConfig()
    temperature: float = Field(0.5, ge=0)
    top_p: float = Field(0.95, gt=0, le=1)
    twice: float = Field(0.1, ge=0, le=1)  # share of the passages that is asked a second time ...
    at_least_twice: int = Field(30, ge=0)  # ... and their least number

    @field_serializer("teacher")
    def _teacher(self, teacher: TeacherConfig) -> dict[str, Any]:
        return teacher.what_bears_on_answers()


class LearningConfig(ClassifierConfig):
    """The learning curve, and what the best `keep` of the passages by score hold."""

    keep: float = Field(0.15, gt=0, le=1)
    fractions: tuple[float, ...] = (0.125, 0.25, 0.5, 1.0)  # of the labels
    draws: int = Field(3, ge=1)  # of each fraction but the whole
