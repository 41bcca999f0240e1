"""What the recipe says about training, and how the machine is probed."""

from typing import Any, Literal, Self

from pydantic import Field, model_validator

from hornbook.core.config import Config
from hornbook.core.errors import HornbookError
from hornbook.model.config import PARALLEL, ModelConfig, Phi3SmallConfig
from hornbook.model.presets import PRESETS
from hornbook.training.config_data import DataConfig
from hornbook.training.config_monitor import AlarmConfig, MonitorConfig
from hornbook.training.config_optimizer import AdamWConfig, OptimizerConfig

__all__ = [
    "AdamWConfig",
    "AlarmConfig",
    "CheckpointConfig",
    "FinetuneConfig",
    "ModelShape",
    "MonitorConfig",
    "OptimizerConfig",
    "ProbeConfig",
    "TrainConfig",
    "with_preset",
]


class ModelShape(Config):
    """Shape of the decoder, in the words of Hugging Face's config.json; the vocabulary is the tokenizer's.

    `style` is the `model_type` there: blocks of Phi-3 and Phi-4; `phi`, those of phi-1 to phi-2, which have a head of
    their own; or `phi3small`, those of phi-3-small. phi-1 has a `partial_rotary_factor` of 0.5 and an
    `intermediate_size` of four times its width. `preset` stands for all numbers of a model that `hornbook model list`
    knows, but for those that are given beside it.
    """

    hidden_size: int = Field(default=128, ge=8)
    num_hidden_layers: int = Field(default=4, ge=1)
    num_attention_heads: int = Field(default=2, ge=1)
    num_key_value_heads: int = Field(default=2, ge=1)
    intermediate_size: int = Field(default=352, ge=8)  # a multiple of 32 can be quantised to Q8_0
    max_position_embeddings: int = Field(default=512, ge=8)
    tie_word_embeddings: bool = True
    # What follows is left out of the identity of a training that does not use it.
    style: Literal["phi3", "phi", "phi3small"] = Field(default="phi3", exclude_if=lambda style: style == "phi3")
    partial_rotary_factor: float = Field(default=1.0, gt=0, le=1, exclude_if=lambda factor: factor == 1.0)
    rope_theta: float = Field(default=10_000.0, gt=0, exclude_if=lambda theta: theta == 10_000.0)
    sliding_window: int | None = Field(default=None, ge=1, exclude_if=lambda window: window is None)

    @model_validator(mode="before")
    @classmethod
    def _default_of_style(cls, values: Any) -> Any:
        if not isinstance(values, dict):
            return values
        values = with_preset(values)
        return {"tie_word_embeddings": False} | values if values.get("style") == "phi" else values

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.style != "phi3" and self.sliding_window:
            raise ValueError(f"style {self.style} has no sliding_window")
        try:
            self.of(vocab_size=256)
        except HornbookError as error:
            raise ValueError(str(error)) from error
        return self

    def of(self, vocab_size: int, **special: int) -> ModelConfig:
        """The model of this shape. `special` are ids of special tokens. Raises HornbookError if it cannot be."""
        values: dict[str, Any] = {name: value for name, value in self if name != "style"}
        values |= PARALLEL if self.style == "phi" else {}
        values |= {"vocab_size": vocab_size, **special}
        return Phi3SmallConfig(**values) if self.style == "phi3small" else ModelConfig(**values)

    def fits(self, other: Self) -> bool:
        """Whether weights of the one are weights of the other: only positions may be turned or hidden otherwise."""
        free: dict[str, Any] = {"max_position_embeddings": 8, "rope_theta": 1.0, "sliding_window": None}
        return self.model_copy(update=free) == other.model_copy(update=free)


def with_preset(values: dict[str, Any]) -> dict[str, Any]:
    """A section `model` with the numbers that its `preset` stands for.

    Of models with LongRoPE it is the shape before their context was stretched. Raises ValueError for names that are not
    known, and for mixtures of experts.
    """
    if "preset" not in values:
        return values
    own = {key: value for key, value in values.items() if key != "preset"}
    name = values["preset"]
    shape = PRESETS.get(name)
    if shape is None or shape.mlp == "experts":
        known = ", ".join(name for name, known in PRESETS.items() if known.mlp != "experts")
        raise ValueError(f"preset: {name!r} is no model that a recipe trains; these are: {known}")
    found = {key: getattr(shape, key) for key in ModelShape.model_fields if key != "style"}
    if shape.rope_scaling:
        found["max_position_embeddings"] = shape.rope_scaling.original_max_position_embeddings
    style = "phi3small" if isinstance(shape, Phi3SmallConfig) else "phi" if shape.block == "parallel" else "phi3"
    return {"style": style, **found, **own}


class FinetuneConfig(Config):
    """A second training that goes on from the finished models of another arm, as phi-1's on its exercises."""

    start_from: str  # the arm; each of its models with one of our budgets is trained further
    tokens: int = Field(gt=0)  # on top of what that model has read
    learning_rate: float = Field(default=0.3, gt=0, le=1)  # at its highest, as a share of the peak rates
    warmup_share: float = Field(default=0.05, ge=0, lt=1)  # of the tokens; then linearly down to 0


class CheckpointConfig(Config):
    """When the state of a run is written, and which of the states are kept."""

    every_seconds: float = Field(default=30.0, ge=0)
    every_steps: int | None = Field(default=None, ge=1)  # instead, after so many steps
    keep_last: int = Field(default=1, ge=1)
    keep_best: int = Field(default=0, ge=0)  # by the measure that the plan passes in
    keep_when_done: bool = False  # only a resume needs them


class TrainConfig(Config):
    """One arm: the model, how many tokens it reads, from what, and how it learns from them."""

    model: ModelShape = ModelShape()
    budgets: tuple[int, ...] = Field(default=(300_000, 600_000), min_length=1)  # tokens; each gives a finished model
    # Share of the tokens drawn from lessons: one number, or one for the trunk and one for the decay.
    lesson_share: float | tuple[float, float] = 0.0
    # How far documents come in the order of their level: 0 shuffled, 1 the easiest first, -1 the hardest first. In
    # between, level and chance are weighed. Needs the scores of the classifier, and one budget to be laid out over.
    curriculum: float = Field(default=0.0, ge=-1, le=1)
    data: DataConfig = DataConfig()
    finetune: FinetuneConfig | None = None
    context: int = Field(default=512, ge=8)
    batch_tokens: int = Field(default=2048, ge=8)
    # Tokens that go through the model at once; None: the whole batch. The gradients are added up.
    micro_batch_tokens: int | None = Field(default=None, ge=8)
    activation_checkpointing: bool = False  # compute each block twice instead of keeping what is in it
    z_loss: float = Field(default=0.0, ge=0)  # weight of the mean squared logsumexp of the logits
    # Warmup-stable-decay shares one trunk between the budgets; with the others each budget is a training of its own.
    schedule: Literal["wsd", "cosine", "linear", "constant"] = "wsd"
    warmup_tokens: int = Field(default=40_000, ge=0)
    decay_share: float = Field(default=0.3, gt=0, le=1)  # of a budget's tokens, at its end; of wsd alone
    final_lr_share: float = Field(default=0.0, ge=0, lt=1)  # of the peak, at the end of cosine and linear
    optimizer: OptimizerConfig = OptimizerConfig()
    max_skipped_steps: int = Field(default=10, ge=0)  # whose gradients are no numbers; more of them end the run
    seed: int = Field(default=0, ge=0)
    checkpoints: CheckpointConfig = CheckpointConfig()
    monitor: MonitorConfig = Field(default=MonitorConfig(), exclude_if=lambda monitor: monitor == MonitorConfig())

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.context > self.model.max_position_embeddings:
            raise ValueError("context is longer than model.max_position_embeddings")
        if self.batch_tokens % self.context:
            raise ValueError("batch_tokens must be a multiple of context")
        micro = self.micro_batch_tokens or self.batch_tokens
        if micro % self.context or self.batch_tokens % micro:
            raise ValueError("micro_batch_tokens must be a multiple of context and divide batch_tokens")
        if (decay := self.data.decay_context) is not None:
            if decay > self.model.max_position_embeddings:
                raise ValueError("data.decay_context is longer than model.max_position_embeddings")
            if self.batch_tokens % decay:
                raise ValueError("batch_tokens must be a multiple of data.decay_context")
        if self.data.mixture and self.lesson_share:
            raise ValueError("lesson_share is the short form of data.mixture: give one of them")
        if self.data.curriculum_window and not self.curriculum:
            raise ValueError("data.curriculum_window needs a curriculum")
        if len(set(self.budgets)) < len(self.budgets):
            raise ValueError("two budgets are equal")
        if min(self.budgets) < 2 * self.batch_tokens:
            raise ValueError("every budget must hold at least two batches: raise it, or lower batch_tokens")
        if not all(0 <= share <= 1 for share in self.shares):
            raise ValueError("lesson_share must lie between 0 and 1")
        if self.schedule != "wsd":
            if isinstance(self.lesson_share, tuple) or isinstance(self.data.mixture, tuple) or self.data.decay_context:
                raise ValueError(
                    f"only schedule: wsd has a trunk and a decay; give {self.schedule} one lesson_share, one mixture "
                    "and no decay_context"
                )
            if self.warmup_tokens >= min(self.budgets):
                raise ValueError("warmup_tokens must be less than every budget")
        if self.final_lr_share and self.schedule not in ("cosine", "linear"):
            raise ValueError("final_lr_share is of schedule: cosine or linear; leave it out")
        if self.curriculum and len(self.budgets) > 1 and not self.data.curriculum_window:
            raise ValueError("a curriculum is laid out over one budget: give it one, or set data.curriculum_window")
        if self.finetune and self.finetune.tokens < 2 * self.batch_tokens:
            raise ValueError("finetune.tokens must hold at least two batches: raise it, or lower batch_tokens")
        return self

    @property
    def shares(self) -> tuple[float, float]:
        """Share of lessons in the trunk and in the decay."""
        share = self.lesson_share
        return share if isinstance(share, tuple) else (share, share)

    @property
    def batch_rows(self) -> int:
        """Rows of `context` tokens in a batch."""
        return self.batch_tokens // self.context

    @property
    def micro_rows(self) -> int:
        """Rows that go through the model at once."""
        return (self.micro_batch_tokens or self.batch_tokens) // self.context


class ProbeConfig(Config):
    """What the probe may choose, and the work it should choose for. None: measure and choose."""

    model: ModelShape = ModelShape()
    vocab_size: int = Field(default=4096, ge=257)
    context: int = Field(default=512, ge=8)
    batch_tokens: int = Field(default=2048, ge=8)
    micro_batch_tokens: int | None = Field(default=None, ge=8)
    activation_checkpointing: bool = False
    planned_tokens: int = Field(default=5_000_000, ge=0)  # of all arms and budgets together
    planned_arms: int = Field(default=4, ge=1)  # each compiles again, from a warm cache
    threads: int | None = Field(default=None, ge=1)
    compile: bool | None = None
    dtype: Literal["float32", "bfloat16"] | None = None
    device: Literal["cpu", "cuda", "mps"] | None = None
