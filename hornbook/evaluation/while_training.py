"""Training that is measured on held-out passages while it goes on."""

from pathlib import Path
from typing import Any

from hornbook.core.errors import HornbookError
from hornbook.evaluation.bits_per_byte import bits
from hornbook.evaluation.items import read_items
from hornbook.model.decoder import Decoder
from hornbook.tokenization.encode import open_tokenizer
from hornbook.training.config import TrainConfig
from hornbook.training.trainer import train_arm_step


def train_and_evaluate_step(inputs: dict[str, Path], out: Path, config: TrainConfig) -> dict[str, Any]:
    """`train_arm_step`, measured in bits per byte of the first passages of `inputs["held_out"]`.

    Windows are as long as rows in training. Raises HornbookError when no text is held out.
    """
    items = read_items(inputs["held_out"] / "held_out.jsonl")[: config.monitor.evaluation_passages]
    if not any(item.text for item in items):
        raise HornbookError("No text is held out for evaluation.", "Raise the share of held-out files.")
    tokenizer = open_tokenizer(inputs["tokenizer"])

    def bits_per_byte(model: Decoder) -> float:
        item_bits, item_bytes = bits(model, tokenizer, items, config.context)
        return round(float(item_bits.sum() / item_bytes.sum()), 5)

    return train_arm_step(inputs, out, config, bits_per_byte)
