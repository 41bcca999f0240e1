"""What is seen of a training: its live line, its curve, samples, evaluations, alarms and loggers.

It only reads: a training that is watched ends with the same bits as one that is not.
"""

import math
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import torch

from hornbook.core.errors import HornbookError
from hornbook.model.decoder import Decoder
from hornbook.model.text import encode_prompt, generate_texts, load_tokenizer
from hornbook.training.alarms import WINDOW, Alarms, sample_weights, update_ratio
from hornbook.training.config import TrainConfig
from hornbook.training.loggers import open_loggers
from hornbook.training.schedule import Segment
from hornbook.training.step_log import Line, StepLog, branch_of

CURVE_LINES = 4000  # at most about so many in curve.jsonl
Measure = Callable[[Decoder], float]


@dataclass(frozen=True)
class Units:
    """What one token is in other units."""

    bytes: float  # of text, on average over what is read
    flops: float  # of the model, forward and backward
    peak: float | None  # FLOP/s of the matrix products of this machine, as the probe measured them


class Monitor:
    """Watches one arm. Call `before_update` and `record` around every update, within `follow`."""

    def __init__(
        self,
        out: Path,
        config: TrainConfig,
        model: Decoder,
        masters: Mapping[str, torch.Tensor],
        tokenizer: Path,
        units: Units,
        measure: Measure | None,
    ) -> None:
        self.out, self.config, self.model, self.masters = out, config, model, masters
        self.units, self.measure = units, measure
        self.curve, self.samples = StepLog(out / "curve.jsonl"), StepLog(out / "samples.jsonl")
        self.tokenizer = load_tokenizer(tokenizer)
        prompts = config.monitor.sample_prompts
        self._prompts = [encode_prompt(model.config, self.tokenizer, prompt) for prompt in prompts]
        longest = max(map(len, self._prompts), default=0) + config.monitor.sample_tokens
        if prompts and longest > model.config.max_position_embeddings:
            raise HornbookError(
                f"A sample of {longest} tokens is longer than the model's {model.config.max_position_embeddings}.",
                "Shorten training.monitor.sample_prompts, or lower sample_tokens.",
            )
        if config.monitor.evaluate_every and measure is None:
            raise HornbookError(
                "evaluate_every needs a measure.", "Set monitor.evaluate_every to null, or pass a measure in."
            )

    @property
    def seconds(self) -> float:
        """Training time so far, that of interrupted runs included."""
        return float(self.curve.lines[-1]["seconds"]) if self.curve.lines else 0.0

    @property
    def skipped(self) -> int:
        """Steps whose gradients were no numbers."""
        return sum(line.get("skipped", False) for line in self.curve.lines)

    @contextmanager
    def follow(self, segment: Segment, first: int) -> Iterator[None]:
        """Watch the steps of a segment from `first` on; what is known of them is from an interrupted run."""
        for log in (self.curve, self.samples):
            log.drop(segment, first)
        self._segment, self._first = segment, first
        self._alarms = Alarms(self.config.monitor.alarms, self.curve.leading_to(segment, first))
        self._rang: dict[str, int] = {}  # the last step, by alarm
        self._log_every = max(1, segment.last * len(self.config.budgets) // CURVE_LINES)
        self._begun = time.monotonic()
        self._earlier = self.seconds
        with open_loggers(self.config.monitor.loggers, self.out, segment.branch, first) as self._loggers:
            yield

    def before_update(self, step: int) -> None:
        """Remember a sample of the weights where the update ratio is due."""
        alarms, every = self.config.monitor.alarms, self._log_every
        every *= math.ceil(alarms.update_ratio_every / every)  # the curve has a line for it anyhow
        is_due = alarms.update_ratio is not None and step % every == 0
        self._before = sample_weights(self.masters.values()) if is_due else None

    def record(self, step: int, factor: float, loss: float, norm: float) -> str:
        """Note a step that has changed the weights, or was skipped; returns the live line where there is a new one.

        `factor` is the learning rate as a share of its peak, `loss` in nats per token, `norm` that of the gradients.
        """
        seconds = time.monotonic() - self._begun
        skipped = not math.isfinite(norm)
        ratio, rung = None, {}
        if not skipped:
            ratio = update_ratio(self._before, self.masters.values()) if self._before else None
            rung = self._alarms.check(loss, norm, None if ratio is None else ratio / factor)
        measured = self._evaluate(step)
        is_last = step + 1 == self._segment.last
        if not (skipped or rung or measured is not None or step % self._log_every == 0 or is_last):
            return ""
        line: Line = {
            "branch": branch_of(self._segment),
            "step": step,
            "tokens": (step + 1) * self.config.batch_tokens,
            "loss": None if skipped else round(loss, 5),
            "lr": round(factor, 6),
            "gradient_norm": None if skipped else float(f"{norm:.6g}"),
            "seconds": round(self._earlier + seconds, 3),
        }
        more = {"update_ratio": ratio and float(f"{ratio:.4g}"), "measured": measured, "alarms": list(rung)}
        line |= {name: value for name, value in more.items() if value not in (None, [])}
        self.curve.lines.append(line | {"skipped": True} if skipped else line)
        self._alarms.see(line)
        self._say(step, rung)
        rate = (step + 1 - self._first) * self.config.batch_tokens / max(seconds, 1e-9)
        self._tell(line, rate)
        return f"loss {loss:.2f}, {self._bits_per_byte(loss):.2f} bits/byte, {self._speed(rate)}"

    def write(self) -> None:
        """Bring the files up to date."""
        self.curve.write()
        self.samples.write()

    def _speed(self, rate: float) -> str:
        share = f", {rate * self.units.flops / self.units.peak:.0%} of peak" if self.units.peak else ""
        return f"{rate:,.0f} tok/s{share}"

    def _bits_per_byte(self, loss: float) -> float:
        return loss / math.log(2) / self.units.bytes

    def _say(self, step: int, rung: Mapping[str, str]) -> None:
        """Print what is wrong; once, where it goes on."""
        for name, words in rung.items():
            if step - self._rang.get(name, -math.inf) > WINDOW:
                print(f"  step {step} of {title(self._segment)}: {words}", file=sys.stderr)
            self._rang[name] = step

    def _tell(self, line: Line, rate: float) -> None:
        names = ("loss", "lr", "gradient_norm", "update_ratio", "measured")
        values = {name: line[name] for name in names if line.get(name) is not None}
        if "loss" in values:
            values["bits_per_byte"] = self._bits_per_byte(values["loss"])
        for logger in self._loggers:
            logger.log(line["step"], values | {"tokens_per_second": rate})

    def _evaluate(self, step: int) -> float | None:
        """Measure and sample the model where it is due; its time is not that of training."""
        monitor, is_last = self.config.monitor, step + 1 == self._segment.last
        begun, measured = time.monotonic(), None
        if monitor.evaluate_every and ((step + 1) % monitor.evaluate_every == 0 or is_last):
            measured = self.measured()
        if self._prompts and ((step + 1) % monitor.sample_every == 0 or is_last):
            self._sample(step)
        self._begun += time.monotonic() - begun
        return measured

    def measured(self) -> float | None:
        """The measure of the model as it is now, if there is one."""
        if self.measure is None:
            return None
        threads = torch.get_num_threads()
        try:
            with torch.no_grad():
                return self.measure(self.model)
        finally:
            torch.set_num_threads(threads)

    def _sample(self, step: int) -> None:
        texts = [""] * len(self._prompts)
        stop = [self.model.config.eos_token_id]
        tokens = self.config.monitor.sample_tokens
        for number, piece in generate_texts(
            self.model, self.tokenizer, self._prompts, max_new_tokens=tokens, stop_ids=stop
        ):
            texts[number] += piece
        about = {"branch": branch_of(self._segment), "step": step, "tokens": (step + 1) * self.config.batch_tokens}
        for prompt, text in zip(self.config.monitor.sample_prompts, texts, strict=True):
            self.samples.lines.append({**about, "prompt": prompt, "text": text})
            for logger in self._loggers:
                logger.text(step, prompt, prompt + text)


def title(segment: Segment) -> str:
    """What messages call the branch of a segment."""
    return f"branch {segment.branch}" if segment.is_decay else "the trunk"
