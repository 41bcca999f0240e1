"""The shape of a decoder, as Hugging Face's `config.json` describes it."""

from dataclasses import dataclass

from hornbook.core.errors import HornbookError


@dataclass(frozen=True)
class ModelConfig:
    """Fields named and meant as in the config.json of `Phi3ForCausalLM`.

    Raises HornbookError for shapes that cannot be, such as heads that do not divide the width.
    """

    vocab_size: int
    hidden_size: int
    intermediate_size: int
    num_hidden_layers: int
    num_attention_heads: int
    num_key_value_heads: int
    max_position_embeddings: int
    tie_word_embeddings: bool = True
    rms_norm_eps: float = 1e-5
    rope_theta: float = 10_000.0
    partial_rotary_factor: float = 1.0
    sliding_window: int | None = None  # positions that a token sees, itself included; None: all before it
    initializer_range: float = 0.02
    bos_token_id: int | None = None
    eos_token_id: int = 0
    pad_token_id: int | None = None

    def __post_init__(self) -> None:
        heads, kv_heads = self.num_attention_heads, self.num_key_value_heads
        for name in _COUNTS:
            if getattr(self, name) < 1:
                raise HornbookError(f"A model with {name} {getattr(self, name)} cannot be.", f"Raise {name}.")
        if self.hidden_size % heads:
            raise HornbookError(
                f"A width of {self.hidden_size} cannot be shared by {heads} heads.",
                "Make hidden_size a multiple of num_attention_heads.",
            )
        if heads % kv_heads:
            raise HornbookError(
                f"{heads} heads cannot share {kv_heads} heads of keys and values.",
                "Make num_attention_heads a multiple of num_key_value_heads.",
            )
        if self.rotary_dim % 2 or not 0 < self.rotary_dim <= self.head_dim:
            raise HornbookError(
                f"Rotary embeddings cannot turn {self.rotary_dim} channels of a head of {self.head_dim}.",
                "Change num_attention_heads or partial_rotary_factor: the number of channels must be even.",
            )

    @property
    def head_dim(self) -> int:
        """Channels of one head."""
        return self.hidden_size // self.num_attention_heads

    @property
    def rotary_dim(self) -> int:
        """Channels of a head that rotary embeddings turn: the first ones."""
        return int(self.head_dim * self.partial_rotary_factor)


_COUNTS = (
    "vocab_size",
    "hidden_size",
    "intermediate_size",
    "num_hidden_layers",
    "num_attention_heads",
    "num_key_value_heads",
    "max_position_embeddings",
)
