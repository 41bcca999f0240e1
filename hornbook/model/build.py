"""From a shape to the model that computes it."""

from hornbook.model.config import ModelConfig, Phi3SmallConfig, PhimoeConfig
from hornbook.model.decoder import Decoder


def build(config: ModelConfig) -> Decoder:
    """A model of this shape; its weights are to be filled."""
    # Two kinds bring torch's compiler, whose import takes a second.
    if isinstance(config, Phi3SmallConfig):
        from hornbook.model.phi3_small import Phi3Small

        return Phi3Small(config)
    if isinstance(config, PhimoeConfig):
        from hornbook.model.phimoe import Phimoe

        return Phimoe(config)
    return Decoder(config)
