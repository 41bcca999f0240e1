"""What the recipe says about tokenization."""

from pydantic import Field

from hornbook.core.config import Config


class TokenizerConfig(Config):
    """The byte-level BPE that all arms share."""

    vocab_size: int = Field(4096, ge=257, le=1 << 20)  # 256 bytes and the end-of-text token at least
    max_bytes: int = Field(16_000_000, ge=1)  # of text it is trained on, all arms together
    min_frequency: int = Field(2, ge=1)  # a pair that is rarer is never merged
    seed: int = Field(0, ge=0)  # which documents of an arm are read


class EncodeConfig(Config):
    """How documents become tokens."""

    batch_documents: int = Field(4096, ge=1)  # encoded at a time; changes memory, never the result
    check_documents: int = Field(200, ge=0)  # on which gigatoken must agree with tokenizers
    # Sources (`builtin:python-exercises`), kinds of lessons (`exercise`) and kinds (`code`, `text`) that get a store of
    # their own; of several the first of these three counts. A mixture adds what it names. The rest goes to `corpus` and
    # `lessons`.
    stores: tuple[str, ...] = ()
