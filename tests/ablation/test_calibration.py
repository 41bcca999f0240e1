"""Does the verdict find what is there, and nothing where nothing is? Real training on real code, with tiny models."""

import sysconfig
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from tokenizers import Tokenizer

from hornbook.ablation.config import VerdictConfig
from hornbook.ablation.verdict import verdict
from hornbook.corpus.passages import cut
from hornbook.evaluation.bits_per_byte import bits
from hornbook.evaluation.items import Item
from hornbook.model import huggingface
from hornbook.tokenization.config import TokenizerConfig
from hornbook.tokenization.train import train_bpe, write_folder
from hornbook.training.trainer import train_arm_step
from tests.training.stores import config, write_choices, write_store

RAW_BUDGETS, BUDGET = (5120, 10_240, 20_480), 10_240
SEEDS, TEXTS = 3, 60
JUDGE = VerdictConfig(reference_budget=BUDGET, verdict_set="texts", choice_sets=("others",), bootstrap=500)


class Laboratory:
    """Passages of the standard library, a tokenizer for them, and texts to be judged on."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        library = Path(sysconfig.get_paths()["stdlib"])
        files = [path.read_text(encoding="utf-8", errors="replace") for path in sorted(library.glob("[a-s]*.py"))[:90]]
        passages = [passage for text in files for passage in cut(text, "code", 600)]
        order = np.random.default_rng(0).permutation(len(passages))
        texts = [passages[i] for i in order]
        self.sets = {"texts": texts[:TEXTS], "others": texts[TEXTS : TEXTS + 10]}
        self.passages = texts[TEXTS + 10 :]
        self.tokenizer = train_bpe(iter(self.passages[:400]), TokenizerConfig(vocab_size=400))
        write_folder(self.tokenizer, folder / "tokenizer")
        write_choices(folder / "probe")

    def rows(self, arm: str, passages: list[str], budgets: tuple[int, ...], seed: int) -> list[dict]:
        """Train an arm and measure every budget. The name of the arm is part of the ids, so it has its own shuffle."""
        tokens, out = self.folder / f"tokens-{arm}-{seed}", self.folder / f"model-{arm}-{seed}"
        write_store(tokens / "corpus", self.tokenizer, passages, name=arm)
        out.mkdir()
        inputs = {"tokens": tokens, "tokenizer": self.folder / "tokenizer", "probe": self.folder / "probe"}
        train_arm_step(inputs, out, config(budgets=budgets, batch_tokens=256, context=64, seed=seed))
        return [row for budget in budgets for row in self._measured(out / str(budget), arm, budget, seed)]

    def _measured(self, model: Path, arm: str, budget: int, seed: int) -> list[dict]:
        decoder, tokenizer = huggingface.load(model), Tokenizer.from_file(str(model / "tokenizer.json"))
        rows = []
        for name, texts in self.sets.items():
            found = bits(decoder, tokenizer, [Item(f"{i}", "", text) for i, text in enumerate(texts)], 64)
            size = decoder.num_parameters()
            common = {"arm": arm, "budget": budget, "seed": seed, "parameters": size, "set": name}
            rows += [
                {**common, "id": f"{i}", "bits": b, "bytes": int(n)}
                for i, (b, n) in enumerate(zip(*found, strict=True))
            ]
        return rows


@pytest.fixture(scope="module")
def laboratory(tmp_path_factory: pytest.TempPathFactory) -> Laboratory:
    return Laboratory(tmp_path_factory.mktemp("laboratory"))


def judged(rows: list[dict]) -> tuple[dict, dict]:
    """The multiplier and the difference to raw on the judged texts."""
    found = verdict(pa.Table.from_pylist(rows), JUDGE.model_copy(update={"base_arm": "raw"}))
    pick = [next(row for row in found[table] if row["set"] == "texts") for table in ("multipliers", "differences")]
    return pick[0], pick[1]


@pytest.mark.stress
@pytest.mark.timeout(1500)
def test_the_same_data_in_another_order_is_worth_one(laboratory):
    """Twenty comparisons of an arm with a reference that differs by nothing but the shuffle."""
    covered = decided = 0
    for repeat in range(20):
        passages = laboratory.passages
        rows = []
        for seed in range(SEEDS * repeat, SEEDS * (repeat + 1)):
            rows += [row | {"arm": "raw"} for row in laboratory.rows(f"a{repeat}", passages, RAW_BUDGETS, seed)]
            rows += laboratory.rows(f"b{repeat}", passages, (BUDGET,), seed)
        worth, difference = judged(rows)
        covered += worth["low"] <= 1 <= worth["high"]
        decided += difference["decided"]
    assert covered >= 18
    assert decided <= 2


@pytest.mark.stress
@pytest.mark.timeout(600)
def test_an_arm_whose_tokens_are_half_noise_is_found_out(laboratory):
    rng = np.random.default_rng(0)
    noise = ["".join(chr(c) for c in rng.integers(33, 127, len(text))) for text in laboratory.passages[::2]]
    spoilt = [text for pair in zip(laboratory.passages[1::2], noise, strict=False) for text in pair]
    rows = []
    for seed in range(SEEDS):
        rows += laboratory.rows("raw", laboratory.passages, RAW_BUDGETS, seed)
        rows += laboratory.rows("spoilt", spoilt, (BUDGET,), seed)
    worth, difference = judged(rows)
    assert worth["high"] < 1
    assert difference["decided"] and difference["low"] > 0
