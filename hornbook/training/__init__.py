"""Training: one readable loop from token stores to finished models, exact on resume."""

from hornbook.training.probe import probe_step
from hornbook.training.trainer import train_arm_step

__all__ = ["probe_step", "train_arm_step"]
