"""What the recipe says about watching a training. Nothing of it changes what is trained."""

from typing import Literal

from pydantic import Field

from hornbook.core.config import Config


class AlarmConfig(Config):
    """When a step is told aloud and marked in the curve. None: never."""

    gradient_norm: float | None = Field(default=10.0, gt=1)  # times its running median
    loss: float | None = Field(default=1.0, gt=0)  # nats per token above its running median
    # Length of an update over that of the weights, as it would be at the peak of the learning rate: from, to.
    update_ratio: tuple[float, float] | None = (1e-6, 1.0)
    update_ratio_every: int = Field(default=100, ge=1)  # steps


class MonitorConfig(Config):
    """What is recorded of a training beside its curve."""

    loggers: tuple[Literal["tensorboard", "wandb"], ...] = ()  # of what is installed; wandb uses the network
    evaluate_every: int | None = Field(default=None, ge=1)  # steps, on the held-out passages
    evaluation_passages: int = Field(default=100, ge=1)  # so many of them
    sample_prompts: tuple[str, ...] = ()  # continued greedily
    sample_every: int = Field(default=200, ge=1)  # steps
    sample_tokens: int = Field(default=48, ge=1)
    alarms: AlarmConfig = AlarmConfig()
