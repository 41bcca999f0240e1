"""The training loop: the token stores of one arm become one finished model per budget.

The work is a list of segments (see `schedule`). Every segment starts from a state on disk and leaves a result
there: a piece of the trunk its last state, a decay a Hugging Face folder. In between, a running checkpoint is
written every few seconds. So a killed run goes on where it was, and ends with the same bits.

Shapes in names: B rows, T positions, D width.
"""

import json
import math
import os
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from tokenizers import Tokenizer

from hornbook.core.documents import atomic_write
from hornbook.core.errors import HornbookError
from hornbook.core.progress import Progress
from hornbook.core.step import step_name
from hornbook.model import huggingface
from hornbook.model.config import ModelConfig
from hornbook.model.decoder import Decoder
from hornbook.model.text import load_tokenizer
from hornbook.tokenization.train import END_OF_TEXT
from hornbook.training.batches import DataOrder
from hornbook.training.config import ModelShape, TrainConfig
from hornbook.training.loss import linear_cross_entropy
from hornbook.training.optimizer import Optimizer
from hornbook.training.schedule import TRUNK, Segment, learning_rate_factor, plan_segments

CURVE_LINES = 4000  # at most about so many in curve.jsonl
_RUNNING = "running.safetensors"


@dataclass(frozen=True)
class Choices:
    """What the probe decided for this machine; the same for all arms of a run."""

    threads: int
    compile: bool
    dtype: str  # float32 | bfloat16
    device: str  # cpu | cuda


def read_choices(probe: Path) -> Choices:
    """What the probe wrote."""
    return Choices(**json.loads((probe / "choices.json").read_text()))


def train_arm_step(inputs: dict[str, Path], out: Path, config: TrainConfig) -> dict[str, Any]:
    """Train one arm from the stores in `inputs["tokens"]`; resumes from what an interrupted run left in `out`.

    With `config.finetune` it goes on from the models in `inputs["start"]`; a curriculum needs `inputs["scores"]`.

    Writes `<budget>/` (a Hugging Face folder with the files of `inputs["tokenizer"]`) for every budget, and
    `curve.jsonl` (branch, step, tokens, loss in nats per token, lr as a share of its peak, seconds). Raises
    HornbookError when a source is empty, the loss is no longer finite, or a checkpoint is of other data.
    """
    choices = read_choices(inputs["probe"])
    order = DataOrder(inputs["tokens"], config, inputs.get("scores"))
    segments = plan_segments(config)
    total = sum(segment.last - segment.first for segment in segments) * config.batch_tokens
    with machine(choices):
        model = build_model(config.model, load_tokenizer(inputs["tokenizer"]), config.seed, choices)
        run = _Run(out, config, order, model, choices, inputs["tokenizer"], inputs.get("start"))
        with Progress(f"train {step_name(out).removeprefix('training.')}", total, "tokens") as bar:
            for segment in segments:
                # A piece of the trunk serves the decays after it.
                decays = [s for s in segments if s.is_decay and s.last >= segment.last]
                if run.is_finished(segment) or all(run.is_finished(decay) for decay in decays):
                    bar.advance((segment.last - segment.first) * config.batch_tokens)
                else:
                    run.train(segment, bar)
    for state in out.glob("*.safetensors"):
        state.unlink()  # only a resume needs them

    read = order.tokens_read(segments[-1], segments[-1].last)
    return {
        "unique_tokens": {name: min(n, order.sources[name].tokens) for name, n in read.items()},
        "epochs": {name: round(n / order.sources[name].tokens, 3) for name, n in read.items()},
        "tokens": total,
        "tokens_per_second": round(total / max(run.seconds, 1e-9), 1),
        "parameters": model.num_parameters(),
        "data_order": order.fingerprint(),
    }


def build_model(shape: ModelShape, tokenizer: Tokenizer, seed: int, choices: Choices) -> Decoder:
    """A fresh decoder for the tokenizer's vocabulary, with weights from the seed, as the choices say."""
    end = tokenizer.token_to_id(END_OF_TEXT)
    if end is None:
        raise HornbookError(f"The tokenizer has no token {END_OF_TEXT}.", "Train it with Hornbook.")
    config = ModelConfig(
        vocab_size=tokenizer.get_vocab_size(), bos_token_id=end, eos_token_id=end, **shape.model_dump()
    )
    return Decoder(config).init_weights(seed).to(choices.device)


def loss_function(model: Decoder, choices: Choices) -> Callable[[torch.Tensor], torch.Tensor]:
    """Token ids [B, T + 1] -> mean loss in nats, by the model as the choices say: compiled or not."""
    # The loss goes piece by piece through the cache; compiled as a whole, the pieces would be put together again.
    hidden = torch.compile(model.hidden, dynamic=False) if choices.compile else model.hidden

    def loss(ids_BT: torch.Tensor) -> torch.Tensor:
        h_BTD = hidden(ids_BT[:, :-1].contiguous())
        return linear_cross_entropy(
            h_BTD.flatten(0, 1), model.head_weight, ids_BT[:, 1:].flatten(), choices.compile, model.head_bias
        )

    return loss


@contextmanager
def machine(choices: Choices) -> Iterator[None]:
    """Run a block with a fixed number of threads and deterministic kernels, then restore both settings."""
    threads, deterministic = torch.get_num_threads(), torch.are_deterministic_algorithms_enabled()
    fill = torch.utils.deterministic.fill_uninitialized_memory  # type: ignore[attr-defined]
    if choices.device == "cuda":
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # what cuBLAS needs to be deterministic
    torch.set_num_threads(choices.threads)
    torch.use_deterministic_algorithms(True, warn_only=choices.device == "cuda")
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
    try:
        yield
    finally:
        torch.set_num_threads(threads)
        torch.use_deterministic_algorithms(deterministic)
        torch.utils.deterministic.fill_uninitialized_memory = fill  # type: ignore[attr-defined]


class _Run:
    """The loop of one arm, and the files in `out` that it starts from and leaves behind."""

    def __init__(
        self,
        out: Path,
        config: TrainConfig,
        order: DataOrder,
        model: Decoder,
        choices: Choices,
        tokenizer: Path,
        start: Path | None,
    ) -> None:
        self.out, self.config, self.order, self.model, self.tokenizer = out, config, order, model, tokenizer
        self.start = start
        self.device = torch.device(choices.device)
        self.optimizer = Optimizer(model, config.optimizer)
        self.initial = {name: tensor.clone() for name, tensor in self.optimizer.state().items()}
        model.to(getattr(torch, choices.dtype))  # the optimiser keeps the float32 masters
        self.loss = loss_function(model, choices)
        self.identity = json.dumps([order.fingerprint(), asdict(choices), torch.__version__])
        path = out / "curve.jsonl"
        self.curve = [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []

    @property
    def seconds(self) -> float:
        """Training time so far, that of interrupted runs included."""
        return self.curve[-1]["seconds"] if self.curve else 0.0

    def is_finished(self, segment: Segment) -> bool:
        return self._result(segment).exists()

    def train(self, segment: Segment, bar: Progress) -> None:
        """Run a segment from its start, or from where it was interrupted, and publish its result."""
        config, tokens = self.config, self.config.batch_tokens
        first = self._begin(segment)
        bar.advance((first - segment.first) * tokens)
        every = max(1, segment.last * len(config.budgets) // CURVE_LINES)
        earlier, started = self.seconds, time.monotonic()
        saved = started
        for step in range(first, segment.last):
            factor = learning_rate_factor(step, segment, config)
            loss = self.loss(torch.from_numpy(self.order.batch(segment, step)).to(self.device))
            loss.backward()
            self.optimizer.step(step, factor)
            note, now = "", time.monotonic()
            if step % every == 0 or step + 1 == segment.last:
                self._log(segment, step, factor, loss.item(), earlier + now - started)
                rate = (step + 1 - first) * tokens / (now - started)
                note = f"loss {self.curve[-1]['loss']:.2f}, {rate:,.0f} tok/s"
            bar.advance(tokens, note)
            if now - saved >= config.checkpoint_seconds and step + 1 < segment.last:
                self._save(self.out / _RUNNING, segment, step + 1)
                saved = now
        self._publish(segment)

    def _log(self, segment: Segment, step: int, factor: float, loss: float, seconds: float) -> None:
        if not math.isfinite(loss):
            raise HornbookError(
                f"The loss became {loss} at step {step} of branch {segment.branch}.",
                "Lower the learning rates of the optimizer, or lengthen warmup_tokens.",
            )
        line = {
            "branch": TRUNK if segment.branch == TRUNK else int(segment.branch),
            "step": step,
            "tokens": (step + 1) * self.config.batch_tokens,
            "loss": round(loss, 5),
            "lr": round(factor, 6),
            "seconds": round(seconds, 3),
        }
        self.curve.append(line)

    def _result(self, segment: Segment) -> Path:
        """What vouches for a finished segment."""
        return self.out / (segment.branch if segment.is_decay else f"trunk-{segment.last}.safetensors")

    def _begin(self, segment: Segment) -> int:
        """Bring weights and optimiser to where the segment starts or was interrupted; the next step."""
        running = self.out / _RUNNING
        state, first = self.initial, segment.first
        if running.exists() and (found := self._load(running)) and found[0] == asdict(segment):
            _, first, state = found
        elif self.start:
            weights = huggingface.load(self.start / segment.branch).state_dict()
            state = self.initial | {f"weight.{name}": weights[name] for name in self.optimizer.masters}
        elif first > 0:
            state = self._load(self.out / f"trunk-{first}.safetensors")[2]
        self.optimizer.load(state)
        branch = TRUNK if segment.branch == TRUNK else int(segment.branch)
        self.curve = [line for line in self.curve if line["branch"] != branch or line["step"] < first]
        return first

    def _load(self, path: Path) -> tuple[dict[str, Any], int, dict[str, torch.Tensor]]:
        """Segment, next step and state of a checkpoint."""
        try:
            with safe_open(path, "pt") as file:
                about = file.metadata()
                state = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        except (OSError, SafetensorError) as error:
            raise HornbookError(
                f"The checkpoint {path} is damaged ({error}).", "Delete its folder and run again."
            ) from error
        if about["identity"] != self.identity:
            raise HornbookError(
                f"The checkpoint {path} is of a run on other data, other settings or another machine.",
                "Delete its folder and run again.",
            )
        return json.loads(about["segment"]), int(about["step"]), state

    def _save(self, path: Path, segment: Segment, step: int) -> None:
        """Write a state that `_load` takes; the curve first, so that it is never behind."""
        atomic_write(self.out / "curve.jsonl", "".join(json.dumps(line) + "\n" for line in self.curve))
        about = {"identity": self.identity, "segment": json.dumps(asdict(segment)), "step": str(step)}
        state = {name: tensor.cpu().contiguous() for name, tensor in self.optimizer.state().items()}
        atomic_write(path, save(state, about))

    def _publish(self, segment: Segment) -> None:
        result = self._result(segment)
        if not segment.is_decay:
            self._save(result, segment, segment.last)
            return
        atomic_write(self.out / "curve.jsonl", "".join(json.dumps(line) + "\n" for line in self.curve))
        temporary = self.out / f".{segment.branch}.tmp"
        shutil.rmtree(temporary, ignore_errors=True)
        finished = Decoder(self.model.config)
        finished.load_state_dict(self.optimizer.masters)
        huggingface.save(finished, temporary)
        for file in sorted(self.tokenizer.iterdir()):
            if file.is_file() and file.name != "manifest.json":
                shutil.copyfile(file, temporary / file.name)
        os.replace(temporary, result)
