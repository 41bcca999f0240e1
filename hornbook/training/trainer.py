"""The training loop: the token stores of one arm become one finished model per budget.

The work is a list of segments (see `schedule`). Every segment starts from a state on disk and leaves a result
there: a piece of the trunk its last state, a branch a Hugging Face folder. In between, a checkpoint is written every
few seconds. So a killed run goes on where it was, and ends with the same bits.

Shapes in names: B rows, T positions.
"""

import math
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tokenizers import Tokenizer

from hornbook.core.errors import HornbookError, Terminated
from hornbook.core.progress import Progress
from hornbook.core.step import step_name
from hornbook.model import huggingface, sizes
from hornbook.model.build import build
from hornbook.model.config import ModelConfig
from hornbook.model.decoder import Decoder
from hornbook.model.text import load_tokenizer, start_id
from hornbook.tokenization.train import END_OF_TEXT
from hornbook.training.batches import DataOrder
from hornbook.training.checkpoint import About, Checkpoints
from hornbook.training.config import ModelShape, TrainConfig
from hornbook.training.gradients import gradient_function
from hornbook.training.machine import Choices, machine, random_state, read_choices, read_peak, set_random_state
from hornbook.training.memory import advice, free_bytes
from hornbook.training.model_folder import describe_model, write_model
from hornbook.training.monitor import Measure, Monitor, Units, title
from hornbook.training.optimizer import Optimizer
from hornbook.training.rows import PADDING
from hornbook.training.schedule import TRUNK, Segment, learning_rate_factor, plan_segments
from hornbook.training.termination import termination


def train_arm_step(
    inputs: dict[str, Path], out: Path, config: TrainConfig, measure: Measure | None = None
) -> dict[str, Any]:
    """Train one arm from the stores in `inputs["tokens"]`; resumes from what an interrupted run left in `out`.

    With `inputs["start"]` it goes on from the models there: for fine-tuning from the one of the same budget, else from
    that of the largest budget. A curriculum needs `inputs["scores"]`.
    `measure` is taken of the model at every checkpoint, and `checkpoints.keep_best` keeps those where it is smallest;
    also after every `monitor.evaluate_every` steps.

    Writes `<budget>/` (a Hugging Face folder with the files of `inputs["tokenizer"]`) for every budget, and
    `curve.jsonl` (branch, step, tokens, loss in nats per token, lr as a share of its peak, gradient_norm, seconds);
    `samples.jsonl` where `monitor` asks for samples. Raises
    HornbookError when a source is empty, too many losses are no numbers, memory does not suffice, another process is
    at work in `out`, or a checkpoint is damaged or of other data or settings; Terminated after a SIGTERM.
    """
    choices = read_choices(inputs["probe"])
    if config.checkpoints.keep_best and measure is None:
        raise HornbookError("keep_best needs a measure.", "Set checkpoints.keep_best to 0, or pass a measure in.")
    order = DataOrder(inputs["tokens"], config, inputs.get("scores"))
    segments = plan_segments(config)
    total = sum(segment.last - segment.first for segment in segments) * config.batch_tokens
    label = f"train {step_name(out).removeprefix('training.')}"
    shape = model_config(config.model, load_tokenizer(inputs["tokenizer"]))
    with (
        machine(choices),
        Checkpoints(out / "checkpoints", config.checkpoints) as checkpoints,
        advice(shape, config, choices, free_bytes(choices.device)),
        termination() as asked_to_end,
        Progress(label, total, "tokens") as bar,
    ):
        model = build(shape).init_weights(config.seed).to(choices.device)
        units = Units(
            bytes=order.bytes_per_token(segments[-1]),
            flops=sizes.measure(replace(shape, max_position_embeddings=config.context)).train_flops,
            peak=read_peak(inputs["probe"]),
        )
        run = _Run(out, config, order, model, choices, checkpoints, inputs, measure, units)
        for segment in segments:
            # A piece of the trunk serves the decays after it.
            decays = [s for s in segments if s.is_decay and s.last >= segment.last]
            if run.is_finished(segment) or all(run.is_finished(decay) for decay in decays):
                bar.skip((segment.last - segment.first) * config.batch_tokens)
            else:
                run.train(segment, bar, asked_to_end.is_set)
        checkpoints.remove()

    read = order.tokens_read(segments[-1], segments[-1].last)
    return {
        "unique_tokens": {name: min(n, order.sources[name].tokens) for name, n in read.items()},
        "epochs": {name: round(n / order.sources[name].tokens, 3) for name, n in read.items()},
        **order.packing(segments[-1], segments[-1].last),
        "tokens": total,
        "skipped_steps": run.monitor.skipped,
        "tokens_per_second": round(total / max(run.monitor.seconds, 1e-9), 1),
        "parameters": model.num_parameters(),
        "data_order": order.fingerprint(),
    }


def model_config(shape: ModelShape, tokenizer: Tokenizer) -> ModelConfig:
    """The shape of the recipe with the vocabulary of the tokenizer."""
    end = tokenizer.token_to_id(END_OF_TEXT)
    if end is None:
        raise HornbookError(f"The tokenizer has no token {END_OF_TEXT}.", "Train it with Hornbook.")
    return shape.of(tokenizer.get_vocab_size(), bos_token_id=end, eos_token_id=end)


class _Run:
    """The loop of one arm, and the files in `out` that it starts from and leaves behind."""

    def __init__(
        self,
        out: Path,
        config: TrainConfig,
        order: DataOrder,
        model: Decoder,
        choices: Choices,
        checkpoints: Checkpoints,
        inputs: dict[str, Path],
        measure: Measure | None,
        units: Units,
    ) -> None:
        self.out, self.config, self.order, self.model = out, config, order, model
        self.checkpoints, self.choices = checkpoints, choices
        self.tokenizer, self.start = inputs["tokenizer"], inputs.get("start")
        self.optimizer = Optimizer(model, config.optimizer)
        model.to(getattr(torch, choices.dtype))  # the optimiser keeps the float32 masters
        self.gradients = gradient_function(
            model,
            choices,
            micro_rows=config.micro_rows,
            activation_checkpointing=config.activation_checkpointing,
            z_loss=config.z_loss,
            document_masks=config.data.document_masks,
        )
        self.identity = {
            "data": order.fingerprint(),
            "settings": config.model_dump(mode="json", exclude={"checkpoints", "max_skipped_steps", "monitor"}),
            "machine": {**asdict(choices), "torch": torch.__version__},
        }
        describe_model(checkpoints.folder, model.config, self.tokenizer)
        self.monitor = Monitor(out, config, model, self.optimizer.masters, self.tokenizer, units, measure)

    def is_finished(self, segment: Segment) -> bool:
        if segment.is_decay:
            return (self.out / segment.branch).exists()
        return self.checkpoints.newest(TRUNK, segment.last, segment.last) is not None

    def train(self, segment: Segment, bar: Progress, asked_to_end: Callable[[], bool]) -> None:
        """Run a segment from its start, or from where it was interrupted, and publish its result."""
        config, tokens = self.config, self.config.batch_tokens
        first = self._begin(segment)
        bar.skip((first - segment.first) * tokens)
        with self.monitor.follow(segment, first):
            saved = time.monotonic()
            for step in range(first, segment.last):
                factor = learning_rate_factor(step, segment, config)
                loss = self.gradients(*self._batch(segment, step))
                self.monitor.before_update(step)
                norm = self.optimizer.step(factor)
                bar.advance(tokens, self.monitor.record(step, factor, loss, norm))
                if not math.isfinite(norm):
                    self._check_skipped(segment, step)
                if step + 1 == segment.last:
                    break
                if asked_to_end():
                    self._save(segment, step + 1)
                    self.checkpoints.wait()
                    raise Terminated(
                        f"Asked to end at step {step + 1} of {segment.last} of {title(segment)}; its state is saved.",
                        "Run the same command again to go on.",
                    )
                if self._is_due(step + 1, time.monotonic() - saved):
                    self._save(segment, step + 1)
                    saved = time.monotonic()
        self._publish(segment)

    def _is_due(self, step: int, seconds: float) -> bool:
        every = self.config.checkpoints
        return seconds >= every.every_seconds if every.every_steps is None else step % every.every_steps == 0

    def _batch(self, segment: Segment, step: int) -> tuple[torch.Tensor, torch.Tensor]:
        """Token ids and targets of a step, both [B, T]; there is no target where a row is padded."""
        read = self.order.batch(segment, step)
        ids = np.where(read == PADDING, start_id(self.model.config), read)
        if not 0 <= ids.min() <= ids.max() < self.model.config.vocab_size:
            raise HornbookError(
                f"The tokens of step {step} are not all in the vocabulary: a token store is damaged.",
                "Delete the steps tokenization.* of the run and run it again.",
            )
        return tuple(torch.from_numpy(np.ascontiguousarray(part)) for part in (ids[:, :-1], read[:, 1:]))  # type: ignore[return-value]

    def _check_skipped(self, segment: Segment, step: int) -> None:
        """One bad batch is no reason to lose a run; many of them are one to stop it."""
        print(f"  step {step} of {title(segment)} skipped: its gradients are no numbers", file=sys.stderr)
        if self.monitor.skipped > self.config.max_skipped_steps:
            self.monitor.write()
            raise HornbookError(
                f"The gradients of {self.monitor.skipped} steps were no numbers, the last at step {step} of "
                f"{title(segment)}; max_skipped_steps is {self.config.max_skipped_steps}.",
                "Lower the learning rates of the optimizer, lengthen warmup_tokens, or set optimizer.clip_norm to 1.",
            )

    def _begin(self, segment: Segment) -> int:
        """Bring weights and optimiser to where the segment starts or was interrupted; the next step."""
        found = self.checkpoints.newest(segment.branch, segment.first, segment.last)
        if found is None and segment.first > 0:
            found = self.checkpoints.newest(TRUNK, segment.first, segment.first)
            assert found, "the piece of the trunk before it was run first"
        if found is not None:
            random = random_state(self.choices.device)
            self.checkpoints.load(found, self.identity, self.optimizer.state() | random)
            self.optimizer.resume(found.updates)
            set_random_state(random)
        else:
            self.optimizer.restart(self._fresh_weights(segment))
        return found.step if found else 0

    def _fresh_weights(self, segment: Segment) -> dict[str, torch.Tensor]:
        """Where a training from step 0 starts: from the seed, or from the model of another arm."""
        if self.start:
            budgets = [int(folder.name) for folder in self.start.iterdir() if folder.name.isdigit()]
            budget = int(segment.branch) if self.config.finetune else max(budgets)
            return huggingface.load(self.start / str(budget)).state_dict()
        return build(self.model.config).init_weights(self.config.seed).state_dict()

    def _save(self, segment: Segment, step: int, milestone: bool = False) -> None:
        """Write a checkpoint that `_begin` takes; the curve first, so that it is never behind."""
        self.monitor.write()
        measured = None if milestone else self.monitor.measured()
        about = About(segment.branch, step, self.optimizer.updates, self.identity, milestone, measured)
        self.checkpoints.save(self.optimizer.state() | random_state(self.choices.device), about)

    def _publish(self, segment: Segment) -> None:
        if segment.is_decay:
            self.monitor.write()
            write_model(self.out / segment.branch, self.model.config, self.optimizer.masters, self.tokenizer)
        else:
            self._save(segment, segment.last, milestone=True)
