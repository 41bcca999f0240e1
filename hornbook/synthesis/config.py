"""The section `synthesis` of a recipe: what is written, from which seeds, by which teacher.

synthesis:
  lessons:                                  # a source for corpus.sources: `- synthesis: lessons`
    writers: {exercise: {items: 500, votes: 2}, section: {items: 100, revise: true}}
    topics: python
    teacher: {url: http://localhost:8000/v1, model: qwen}
"""

from pathlib import Path
from typing import Any, Literal, Self

from pydantic import Field, field_serializer, model_validator

from hornbook.core.config import Config
from hornbook.services.llm_config import TeacherConfig

WriterName = Literal[
    "section",  # of a textbook, with runnable snippets
    "worked-example",
    "common-mistakes",
    "dialogue",  # of a teacher and a student
    "problem-set",  # with worked solutions
    "exercise",  # signature and docstring, solution, tests
    "reasoning",  # step by step, to an answer that is checked
    "rewrite",  # of a passage, into a lesson
    "questions",  # and answers, from a passage
    "instruction",  # from code to the request that would produce it
]
OF_PASSAGES: tuple[str, ...] = ("rewrite", "questions", "instruction")


class Outline(Config):
    """A topic tree of your own: headings and lists of Markdown, or YAML `topic: [subtopics]`."""

    outline: Path


class Clusters(Config):
    """A topic tree made from the corpus: so many topics, named by the words that set their passages apart."""

    clusters: int = Field(ge=2, le=10_000)
    subtopics: int = Field(4, ge=1, le=100)  # of each
    sample: int = Field(20_000, ge=10)  # passages that are clustered


class WriterConfig(Config):
    """How much one writer writes."""

    items: int = Field(ge=1)
    revise: bool = False  # have every draft criticised and rewritten; the rewritten one is taken if it passes its check
    votes: int = Field(0, ge=0, le=64)  # further solutions asked for; most must agree (exercise, reasoning)
    formats: tuple[str, ...] | None = Field(None, min_length=1)  # in place of those in the prompt file

    @model_validator(mode="before")
    @classmethod
    def _number(cls, value: Any) -> Any:
        return {"items": value} if isinstance(value, int) else value


class PassagesConfig(Config):
    """Which passages of the other sources the writers read: those that curation keeps."""

    filter: Literal["rules", "classifier"] = "classifier"
    top_share: float = Field(0.1, gt=0, le=1)  # with the classifier: this share of the bytes, the best first
    max_bytes: int = Field(20_000_000, ge=1)


class SynthesisConfig(Config):
    """One source of written lessons.

    Items are drawn from topic x audience x level x format x words without repetition, evenly over the topics. A
    larger number of items keeps those that are there.
    """

    writers: dict[WriterName, WriterConfig] = Field(default={})
    plan: Literal["python-textbook"] | None = None  # repeat the plan of a built-in textbook instead of drawing one
    beyond: Literal["python-textbook"] | None = None  # draw nothing that this plan has
    topics: Literal["python", "general"] | Outline | Clusters = "python"
    code: bool = True  # lessons with Python that is executed; false: prose alone
    audiences: tuple[str, ...] | None = Field(None, min_length=1)  # whom a lesson speaks to
    levels: tuple[Literal[1, 2, 3, 4], ...] = Field((1, 2, 3, 4), min_length=1)  # first weeks to demanding
    words: tuple[str, ...] | None = Field(None, min_length=1)
    words_each: int = Field(2, ge=0, le=8)  # that colour an item
    passages: PassagesConfig = PassagesConfig()
    temperature: float = Field(0.8, ge=0)
    top_p: float = Field(0.95, gt=0, le=1)
    seed: int = Field(0, ge=0)  # not the recipe's: another draw would have to be paid again
    teacher: TeacherConfig = TeacherConfig()

    @model_validator(mode="after")
    def _coherent(self) -> Self:
        if (self.plan is None) == (not self.writers):
            raise ValueError("give either writers (what to draw) or plan (what to repeat)")
        if self.words is not None and self.words_each > len(set(self.words)):
            raise ValueError("words_each is larger than the number of words")
        if not self.code and (coders := {"exercise", "instruction"} & set(self.writers)):
            raise ValueError(f"{', '.join(sorted(coders))} is code: leave it out where code is false")
        if self.topics == "general" and self.code and "code" not in self.model_fields_set:
            raise ValueError("topics: general needs code: false")
        return self

    @field_serializer("teacher")
    def _what_bears_on_answers(self, teacher: TeacherConfig) -> dict[str, Any]:
        return teacher.what_bears_on_answers()

    @property
    def reads_passages(self) -> bool:
        """Whether it needs what curation keeps of the other sources."""
        return isinstance(self.topics, Clusters) or any(name in OF_PASSAGES for name in self.writers)
