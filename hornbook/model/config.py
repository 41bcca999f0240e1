"""The shape of a decoder, as Hugging Face's `config.json` describes it."""

from dataclasses import dataclass
from typing import Any, Literal

from hornbook.core.errors import HornbookError

Factors = tuple[float, ...]


@dataclass(frozen=True)
class LongRope:
    """How rotary embeddings are stretched beyond the length that a model was first trained at (Ding et al. 2024).

    Each rotary frequency is divided by a factor of its own: from the short list while a sequence has at most
    `original_max_position_embeddings` tokens, from the long list above. Both lists are empty where only the
    checkpoint knows them; such a model can be measured, not run.
    """

    original_max_position_embeddings: int
    short_factor: Factors = ()
    long_factor: Factors = ()
    attention_factor: float | None = None  # of cosines and sines; None: see rope.attention_factor


@dataclass(frozen=True)
class ModelConfig:
    """Fields named and meant as in config.json; the switches from `block` to `bias` are what its `model_type` implies.

    Their defaults are those of `Phi3ForCausalLM`, and `PARALLEL` holds those of `PhiForCausalLM`. Raises HornbookError
    for shapes that cannot be, such as heads that do not divide the width.
    """

    vocab_size: int
    hidden_size: int
    intermediate_size: int
    num_hidden_layers: int
    num_attention_heads: int
    num_key_value_heads: int
    max_position_embeddings: int
    # Attention then MLP, each after a norm of its own; or both side by side after one norm.
    block: Literal["sequential", "parallel"] = "sequential"
    norm: Literal["rms", "layer"] = "rms"
    mlp: Literal["swiglu", "gelu"] = "swiglu"
    projections: Literal["fused", "split"] = "fused"  # queries, keys and values from one matrix or from three
    bias: bool = False  # in every projection and in the head
    head_dim: int = 0  # channels of one head; 0 becomes hidden_size / num_attention_heads
    tie_word_embeddings: bool = True
    rms_norm_eps: float = 1e-5
    layer_norm_eps: float = 1e-5
    rope_theta: float = 10_000.0
    partial_rotary_factor: float = 1.0
    rope_scaling: LongRope | None = None
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
        if not self.head_dim:
            if self.hidden_size % heads:
                raise HornbookError(
                    f"A width of {self.hidden_size} cannot be shared by {heads} heads.",
                    "Make hidden_size a multiple of num_attention_heads, or set head_dim.",
                )
            object.__setattr__(self, "head_dim", self.hidden_size // heads)
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
        if self.bias and self.tie_word_embeddings:
            raise HornbookError("A head with a bias is not the embedding.", "Set tie_word_embeddings or bias to false.")
        if self.sliding_window is not None and self.sliding_window < 1:
            raise HornbookError(
                f"A sliding_window of {self.sliding_window} hides everything.", "Raise it, or set it to null."
            )
        if self.rope_scaling:
            self._check_factors(self.rope_scaling)

    def _check_factors(self, scaling: LongRope) -> None:
        for name in ("short_factor", "long_factor"):
            factors = getattr(scaling, name)
            known = scaling.short_factor or scaling.long_factor
            if known and (len(factors) != self.rotary_dim // 2 or min(factors) <= 0):
                raise HornbookError(
                    f"{name} has {len(factors)} factors, and {self.rotary_dim} rotary channels need "
                    f"{self.rotary_dim // 2} that are positive.",
                    "Take both lists from the config.json of the checkpoint.",
                )
        if not 1 < scaling.original_max_position_embeddings <= self.max_position_embeddings:
            raise HornbookError(
                f"original_max_position_embeddings is {scaling.original_max_position_embeddings}, and "
                f"max_position_embeddings {self.max_position_embeddings}.",
                "LongRoPE stretches from the first, at least 2, to the second.",
            )

    @property
    def rotary_dim(self) -> int:
        """Channels of a head that rotary embeddings turn: the first ones."""
        return int(self.head_dim * self.partial_rotary_factor)


# The switches of phi-1, phi-1.5 and phi-2.
PARALLEL: dict[str, Any] = {"block": "parallel", "norm": "layer", "mlp": "gelu", "projections": "split", "bias": True}

_COUNTS = (
    "vocab_size",
    "hidden_size",
    "intermediate_size",
    "num_hidden_layers",
    "num_attention_heads",
    "num_key_value_heads",
    "max_position_embeddings",
)
