"""Small trainings on the standard library of this Python, remembered, for benchmarks that compare settings."""

import json
import shutil
import sysconfig
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.nn import functional as F

from hornbook.core.documents import document_id, seeded_order
from hornbook.model import huggingface
from hornbook.tokenization.config import TokenizerConfig
from hornbook.tokenization.shards import StoreWriter, TokenStore
from hornbook.tokenization.train import train_bpe, write_folder
from hornbook.training.config import TrainConfig
from hornbook.training.machine import Choices, machine
from hornbook.training.trainer import train_arm_step

VOCABULARY = 4096
LEFT_OUT = {"site-packages", "test", "idlelib", "encodings", "pydoc_data"}  # tests, and tables in the clothes of code
HELD_OUT_ROWS = 64  # of a context each, evenly spread


def prepare(folder: Path) -> None:
    """Write a tokenizer and two token stores, one of them of every 20th file, below `folder`, unless they are there."""
    if (folder / "held_out" / "corpus" / "meta.json").exists():
        return
    library = Path(sysconfig.get_paths()["stdlib"])
    files = sorted(p for p in library.rglob("*.py") if not LEFT_OUT & set(p.parts))
    ids = [document_id("stdlib", str(path.relative_to(library)), 0) for path in files]
    order = np.argsort(seeded_order(ids, 0), kind="stable")
    texts = {ids[i]: files[i].read_text(encoding="utf-8", errors="replace") for i in order}
    tokenizer = train_bpe(iter(texts.values()), TokenizerConfig(vocab_size=VOCABULARY))
    write_folder(tokenizer, folder / "tokenizer")
    for name, rest in (("tokens", range(1, 20)), ("held_out", range(1))):
        with StoreWriter(folder / name / "corpus", VOCABULARY, 0, "stdlib") as writer:
            for number, (id_, text) in enumerate(texts.items()):
                if number % 20 in rest:
                    tokens = np.array(tokenizer.encode(text).ids)
                    writer.append([id_], tokens, np.array([len(tokens)]), len(text.encode()))


class Trainings:
    """Held-out losses of trainings by their settings, kept in `folder/losses.jsonl`: none is run twice."""

    def __init__(self, folder: Path, choices: Choices) -> None:
        self.folder, self.choices = folder, choices
        prepare(folder)
        self._file = folder / "losses.jsonl"
        lines = self._file.read_text().splitlines() if self._file.exists() else []
        self._known = {line["settings"]: line["losses"] for line in map(json.loads, lines)}

    def losses(self, **settings: Any) -> dict[int, float]:
        """Mean nats a token on the held-out files, of the model of every budget; the settings are TrainConfig's."""
        config = TrainConfig(**settings)
        key = config.model_dump_json(exclude={"checkpoints"})
        if key not in self._known:
            self._known[key] = {str(budget): loss for budget, loss in self._train(config).items()}
            with self._file.open("a") as file:
                file.write(json.dumps({"settings": key, "losses": self._known[key], **asdict(self.choices)}) + "\n")
            print(f"{settings}: {self._known[key]}", flush=True)
        return {int(budget): loss for budget, loss in self._known[key].items()}

    def _train(self, config: TrainConfig) -> dict[int, float]:
        out, probe = self.folder / "training.now", self.folder / "probe"
        probe.mkdir(exist_ok=True)
        (probe / "choices.json").write_text(json.dumps(asdict(self.choices)))
        inputs = {name: self.folder / name for name in ("tokens", "tokenizer", "probe")}
        if (out / "settings.json").exists() and (out / "settings.json").read_text() != config.model_dump_json():
            shutil.rmtree(out)
        out.mkdir(exist_ok=True)
        (out / "settings.json").write_text(config.model_dump_json())
        train_arm_step(inputs, out, config)
        losses = {budget: self._held_out_loss(out / str(budget), config.context) for budget in config.budgets}
        shutil.rmtree(out)
        return losses

    def _held_out_loss(self, model_folder: Path, context: int) -> float:
        tokens = TokenStore.open(self.folder / "held_out" / "corpus").tokens
        starts = np.linspace(0, len(tokens) - context - 1, HELD_OUT_ROWS).astype(int)
        ids = torch.from_numpy(np.stack([tokens[at : at + context + 1] for at in starts]).astype(np.int64))
        rows, targets = ids[:, :-1], ids[:, 1:]
        with machine(self.choices), torch.no_grad():
            model = huggingface.load(model_folder)
            parts = [F.cross_entropy(model(row[None])[0], target) for row, target in zip(rows, targets, strict=True)]
        return torch.stack(parts).mean().item()
