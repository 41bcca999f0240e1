"""What the recipe says about batches: which sources, in which shares and order, and how rows are made of documents."""

from typing import Literal, Self

from pydantic import Field, model_validator

from hornbook.core.config import Config

Mixture = dict[str, float]  # weight, or number of tokens, of each store


class DataConfig(Config):
    """Which tokens are read, beyond `lesson_share` and `curriculum`; the defaults are today's lossless rows."""

    # Weights of stores by name: `corpus`, `lessons`, a source such as `builtin:python-exercises`, a kind such as
    # `exercise`. Only their ratio counts, so numbers of tokens do as well. One mixture, or one for the trunk and one
    # for the decay. None: `corpus`, and `lessons` as lesson_share says.
    mixture: Mixture | tuple[Mixture, Mixture] | None = None
    # How often a source is read at most: one number for all, or one for each that has a limit.
    max_epochs: float | dict[str, float] | None = None
    when_exhausted: Literal["others", "error"] = "others"  # what then: the other sources take its share, or an error
    # Rows of T tokens. lossless: cut from the endless row of documents. best_fit: made of whole documents, or of pieces
    # of documents longer than a row; every row begins with a document, and its end may be padding.
    packing: Literal["lossless", "best_fit"] = "lossless"
    packing_window: int = Field(default=4096, ge=1)  # documents that are packed together
    document_masks: bool = False  # attention does not look across documents
    decay_context: int | None = Field(default=None, ge=8)  # tokens in a row of the decay, where it differs
    curriculum_window: int | None = Field(default=None, ge=1)  # tokens in which documents are ordered; None: all

    @model_validator(mode="after")
    def _check(self) -> Self:
        for mixture in self.mixtures or ():
            if not mixture or min(mixture.values()) < 0 or not sum(mixture.values()):
                raise ValueError("a mixture needs weights of at least 0, one of them above")
        if any(epochs <= 0 for epochs in self.caps.values()):
            raise ValueError("max_epochs must be above 0")
        if unknown := self.caps.keys() - {"*", *(self.stores or ("corpus", "lessons"))}:
            raise ValueError(f"max_epochs: the mixture has no source {min(unknown)!r}")
        if self.packing == "best_fit" and self.decay_context:
            raise ValueError("packing: best_fit needs one context: leave out decay_context")
        return self

    @property
    def mixtures(self) -> tuple[Mixture, Mixture] | None:
        """The mixtures of the trunk and of the decay, if they are given."""
        if self.mixture is None or isinstance(self.mixture, tuple):
            return self.mixture
        return self.mixture, self.mixture

    @property
    def caps(self) -> dict[str, float]:
        """Greatest number of epochs by source; `*` stands for all that are not named."""
        if self.max_epochs is None:
            return {}
        return self.max_epochs if isinstance(self.max_epochs, dict) else {"*": self.max_epochs}

    @property
    def stores(self) -> list[str]:
        """The stores that the mixtures name, in their order."""
        return list(dict.fromkeys(name for mixture in self.mixtures or () for name in mixture))
