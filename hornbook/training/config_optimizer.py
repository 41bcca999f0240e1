"""What the recipe says about the optimiser."""

from typing import Literal

from pydantic import Field

from hornbook.core.config import Config


class AdamWConfig(Config):
    """AdamW for all weights, as the papers train: one learning rate (Loshchilov and Hutter 2019)."""

    lr: float = Field(default=1e-3, gt=0)  # phi-1's at its peak
    betas: tuple[float, float] = (0.9, 0.95)
    eps: float = Field(default=1e-8, gt=0)
    weight_decay: float = Field(default=0.1, ge=0)  # times the learning rate
    # What decays: all weights; matrices, embedding and head among them; or hidden matrices alone.
    decays: Literal["all", "matrices", "hidden"] = "matrices"


class OptimizerConfig(Config):
    """Muon for the hidden matrices and AdamW for embedding, head and norms; or, by name, AdamW for everything."""

    name: Literal["muon", "adamw"] = "muon"
    muon_lr: float = Field(default=0.01, gt=0)  # of an update whose singular values are about 1
    muon_momentum: float = Field(default=0.9, ge=0, lt=1)  # a few hundred steps have no time for more
    embedding_lr: float = Field(default=0.04, gt=0)  # up to a width of 128; beyond, less in proportion
    norm_lr: float = Field(default=0.005, gt=0)
    betas: tuple[float, float] = (0.7, 0.99)
    weight_decay: float = Field(default=0.0, ge=0)  # of hidden matrices, times their learning rate
    adamw: AdamWConfig = AdamWConfig()  # with `name: adamw`, in place of all of the above
    clip_norm: float | None = Field(default=None, gt=0)  # longest gradient, over all weights together
