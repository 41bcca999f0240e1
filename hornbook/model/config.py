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
    mlp: Literal["swiglu", "gelu", "geglu", "experts"] = "swiglu"  # the last two: `Phi3SmallConfig`, `PhimoeConfig`
    projections: Literal["fused", "split", "grouped"] = "fused"  # queries, keys and values: one matrix or three
    bias: bool = False  # in every projection, and in a head of its own
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
        if self.has_head_bias and self.tie_word_embeddings:
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

    @property
    def has_head_bias(self) -> bool:
        """Whether something is added to the logits."""
        return self.bias

    @property
    def mean_seen(self) -> float:
        """How many positions a token sees, itself included, on average over a full context and over the layers."""
        context = self.max_position_embeddings
        window = min(self.sliding_window or context, context)
        return (window * (window + 1) / 2 + (context - window) * window) / context


@dataclass(frozen=True)
class Phi3SmallConfig(ModelConfig):
    """phi-3-small (Abdin et al. 2024, section 2): what its blocks have that others have not; see `phi3_small`."""

    norm: Literal["rms", "layer"] = "layer"
    mlp: Literal["swiglu", "gelu", "geglu", "experts"] = "geglu"
    projections: Literal["fused", "split", "grouped"] = "grouped"
    bias: bool = True  # in every projection; the head has none
    rope_theta: float = 1_000_000.0
    gegelu_limit: float = 20.0
    blocksparse_block_size: int = 64  # positions
    blocksparse_num_local_blocks: int = 16
    blocksparse_vert_stride: int = 8
    blocksparse_homo_head_pattern: bool = False  # all heads see the same blocks
    dense_attention_every_n_layers: int = 2  # the other layers are sparse; 0: all are
    mup_use_scaling: bool = True  # attention by 1 / head_dim rather than 1 / sqrt(head_dim)
    mup_attn_multiplier: float = 1.0
    mup_embedding_multiplier: float = 10.0
    mup_width_multiplier: float = 8.0
    dummy_token_indices: tuple[int, ...] = ()  # rows of the embedding that stand for no token

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("blocksparse_block_size", "blocksparse_num_local_blocks", "blocksparse_vert_stride"):
            if getattr(self, name) < 1:
                raise HornbookError(f"A model with {name} {getattr(self, name)} cannot be.", f"Raise {name}.")
        _check_whole_heads(self)
        if strangers := [i for i in self.dummy_token_indices if not 0 <= i < self.vocab_size]:
            raise HornbookError(
                f"dummy_token_indices holds {strangers[0]}, and the vocabulary has {self.vocab_size} rows.",
                "Set it to the ids that the tokenizer has no token for; [] for none.",
            )

    @property
    def has_head_bias(self) -> bool:
        return False

    @property
    def head_step(self) -> int:
        """By how many blocks the far blocks of one head lie before those of the head before."""
        if self.blocksparse_homo_head_pattern:
            return 0
        return max(1, self.blocksparse_vert_stride // self.num_attention_heads)

    def is_dense(self, layer: int) -> bool:
        """Whether every position of this layer sees all before it."""
        every = self.dense_attention_every_n_layers
        return every > 0 and (layer + 1) % every == 0

    @property
    def mean_seen(self) -> float:
        context, block = self.max_position_embeddings, self.blocksparse_block_size
        local, stride, heads = self.blocksparse_num_local_blocks, self.blocksparse_vert_stride, self.num_attention_heads
        sparse = 0.0
        for row in range(-(-context // block)):
            rows = min(block, context - row * block)
            near = min(row, local - 1) * block + (rows + 1) / 2  # in its own block a token sees half
            far = max(0, row - local + 1)  # this many blocks lie too far back to be near
            offsets = [head * self.head_step for head in range(heads)]
            seen = sum((far + offset) // stride - offset // stride for offset in offsets) / heads
            sparse += rows * (near + seen * block) / context
        dense = sum(self.is_dense(layer) for layer in range(self.num_hidden_layers)) / self.num_hidden_layers
        return dense * super().mean_seen + (1 - dense) * sparse


@dataclass(frozen=True)
class PhimoeConfig(ModelConfig):
    """Phi-3.5-MoE (Abdin et al. 2024, section 2): experts instead of an MLP; see `phimoe`."""

    norm: Literal["rms", "layer"] = "layer"
    mlp: Literal["swiglu", "gelu", "geglu", "experts"] = "experts"
    projections: Literal["fused", "split", "grouped"] = "split"
    bias: bool = True  # in attention and head; experts have none
    tie_word_embeddings: bool = False
    num_local_experts: int = 16
    num_experts_per_tok: int = 2
    router_jitter_noise: float = 0.01  # experts whose scores differ by less than about twice this share compete
    input_jitter_noise: float = 0.0  # in training, the input of router and experts varies by up to this share

    def __post_init__(self) -> None:
        super().__post_init__()
        _check_whole_heads(self)
        if self.num_experts_per_tok != 2 or self.num_local_experts < 2:
            raise HornbookError(
                f"A token cannot go to {self.num_experts_per_tok} of {self.num_local_experts} experts.",
                "Set num_experts_per_tok to 2, which is what the router computes, and num_local_experts to 2 or more.",
            )


def _check_whole_heads(config: ModelConfig) -> None:
    if config.partial_rotary_factor != 1.0:
        raise HornbookError(
            f"A model with {config.mlp} turns heads as a whole, and partial_rotary_factor is "
            f"{config.partial_rotary_factor}.",
            "Set it to 1.",
        )


# The switches of phi-1, phi-1.5 and phi-2.
PARALLEL: dict[str, Any] = {"block": "parallel", "norm": "layer", "mlp": "gelu", "projections": "split", "bias": True}

# What is no token in the tokenizer of the published phi-3-small.
PHI_3_SMALL_DUMMIES = (100_256, *range(100_258, 100_261), 100_264, 100_265, *range(100_267, 100_352))

_COUNTS = (
    "vocab_size",
    "hidden_size",
    "intermediate_size",
    "num_hidden_layers",
    "num_attention_heads",
    "num_key_value_heads",
    "max_position_embeddings",
)
