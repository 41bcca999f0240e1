"""From a shape to the model that computes it."""

from hornbook.model.config import ModelConfig, Phi3SmallConfig, PhimoeConfig
from hornbook.model.decoder import Decoder
from hornbook.model.phi3_small import Phi3Small
from hornbook.model.phimoe import Phimoe

_MODELS: dict[type[ModelConfig], type[Decoder]] = {
    ModelConfig: Decoder,
    Phi3SmallConfig: Phi3Small,
    PhimoeConfig: Phimoe,
}


def build(config: ModelConfig) -> Decoder:
    """A model of this shape; its weights are to be filled."""
    return _MODELS[type(config)](config)
