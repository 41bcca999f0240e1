"""Settings of the educational-value classifier."""

from pydantic import Field

from hornbook.core.config import Config


class ClassifierConfig(Config):
    """How the classifier is trained and how its report is made. The labels are an input of the step."""

    labels: str = "builtin:python-edu"  # or the path of a JSONL file; see docs/annotation.md
    ridge: float = Field(0.1, gt=0)  # larger: smoother, more cautious scores
    useful: float = Field(2.5, gt=0, lt=5)  # `edu` from which a label counts as useful in AUC and precision
    folds: int = Field(5, ge=2, le=20)
    repeats: int = Field(3, ge=1, le=50)
    bootstrap: int = Field(500, ge=100, le=100_000)  # resamples behind every interval
    seed: int = Field(0, ge=0)
