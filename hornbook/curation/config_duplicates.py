"""Settings of exact duplicates, near duplicates and decontamination."""

from pydantic import Field

from hornbook.core.config import Config


class ExactDuplicatesConfig(Config):
    """Which of several equal passages stays: one that the rules keep, then the first in an order drawn by `seed`."""

    enabled: bool = True  # false: all of them stay
    seed: int = Field(0, ge=0)


class NearDuplicatesConfig(Config):
    """MinHash as in FineWeb: with 14 bands of 8, pairs of Jaccard similarity 0.75 are found in 77 % of cases."""

    enabled: bool = True  # false: not looked for
    words: int = Field(5, ge=1, le=50)  # length of a shingle
    bands: int = Field(14, ge=1, le=100)
    rows: int = Field(8, ge=1, le=100)  # MinHash values in a band; all must agree
    seed: int = Field(0, ge=0)  # of the hash functions, and of the order when scores are equal


class DecontaminationConfig(Config):
    """When a passage counts as a copy of an evaluation item; see docs/curation.md for how these were chosen."""

    enabled: bool = True  # false: not looked for, and the verdict means little
    tokens: int = Field(13, ge=3, le=100)  # length of an n-gram: words, numbers and marks
    min_words: int = Field(4, ge=0, le=100)  # different words in an n-gram, so that it says something
    min_share: float = Field(0.2, gt=0, le=1)  # of an item's n-grams that a passage must have
    min_share_of_text: float = Field(0.5, gt=0, le=1)  # or of the item without its prompt: a solution alone
    min_shared: int = Field(5, ge=1)  # n-grams, however short the item
    enough: int = Field(50, ge=1)  # n-grams, however long the item
    min_nodes: int = Field(18, ge=1)  # of a function's syntax tree, from which an equal one is a copy
