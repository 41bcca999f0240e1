"""The chosen model as files that other programs run; each file is checked before the step is done."""

import json
import math
import shutil
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer

from hornbook.core.documents import atomic_write
from hornbook.core.progress import Progress
from hornbook.deployment.agreement import Agreement, check, compare
from hornbook.deployment.config import DeploymentConfig
from hornbook.deployment.engines import open_model
from hornbook.deployment.model_card import model_card
from hornbook.model import gguf
from hornbook.model.decoder import Decoder
from hornbook.model.generate import generate
from hornbook.model.prepare import prepared
from hornbook.model.text import encode_prompt, stream_text

TRAINING = "training."  # the start of an input's name; the name of the arm follows
GGUF_TYPES: tuple[gguf.FileType, ...] = ("F16", "Q8_0")


def export_step(inputs: dict[str, Path], out: Path, config: DeploymentConfig) -> dict[str, Any]:
    """Publish the model of the best arm at the reference budget, and show what all arms write.

    `inputs["verdict"]` is a folder with verdict.json (keys `best_arm`, `reference_budget`), and every
    `inputs["training.<arm>"]` one with a Hugging Face folder for each budget. Writes `final/` (Hugging Face
    folder with a model card), `final-F16.gguf`, `final-Q8_0.gguf`, `agreement.json` (file type -> Agreement)
    and `samples.json` (completions of the same prompts by every arm at that budget). Raises HornbookError
    when llama.cpp would compute, or computes, something else than our decoder.
    """
    verdict = json.loads((inputs["verdict"] / "verdict.json").read_text())
    budget = str(verdict["reference_budget"])
    arms = {
        name.removeprefix(TRAINING): folder / budget for name, folder in inputs.items() if name.startswith(TRAINING)
    }
    final = out / "final"
    shutil.copytree(arms[verdict["best_arm"]], final, dirs_exist_ok=True)

    agreement: dict[str, dict[str, float]] = {}
    completions = {}
    with Progress("export", len(GGUF_TYPES) + len(arms)) as bar:
        for file_type in GGUF_TYPES:
            measured = export_gguf(final, out / f"final-{file_type}.gguf", file_type, config)
            agreement[file_type] = asdict(measured)
            bar.advance()
        for name, folder in arms.items():
            completions[name] = complete_prompts(folder, config)
            bar.advance()
    atomic_write(out / "agreement.json", json.dumps(agreement, indent=1))
    samples = {"config": config.model_dump(), "completions": completions}
    atomic_write(out / "samples.json", json.dumps(samples, indent=1))
    model, _ = open_model(final)
    atomic_write(final / "README.md", model_card(model.config, model.num_parameters(), agreement))
    sizes = {file.name: file.stat().st_size for file in sorted(out.glob("*.gguf"))}
    return {"agreement": agreement, "bytes_out": sum(sizes.values()), "files": sizes}


def export_gguf(folder: Path, path: Path, file_type: gguf.FileType, config: DeploymentConfig) -> Agreement:
    """Write a GGUF file, open it with llama.cpp, and compare it with our decoder; returns what was measured.

    The texts are the prompts of the config and what the model itself draws after them, so that the comparison
    meets the contexts that the model meets. Raises HornbookError when tokens or probabilities differ.
    """
    gguf.export(folder, path, file_type)
    model, tokenizer = open_model(folder)
    drawn = math.ceil(config.positions / len(config.prompts))
    with prepared(model):
        rows = [_prompt_and_draw(model, tokenizer, prompt, drawn, config.seed) for prompt in config.prompts]
        measured = compare(model, tokenizer, path, config.prompts, rows, file_type)
    check(measured, path, file_type)
    return measured


def complete_prompts(folder: Path, config: DeploymentConfig) -> list[dict[str, str]]:
    """A greedy and a drawn completion of every prompt: keys `prompt`, `greedy`, `sampled`."""
    model, tokenizer = open_model(folder)
    with prepared(model):
        return [
            {
                "prompt": prompt,
                "greedy": _complete(model, tokenizer, prompt, config, temperature=0.0),
                "sampled": _complete(model, tokenizer, prompt, config, config.temperature),
            }
            for prompt in config.prompts
        ]


def _complete(model: Decoder, tokenizer: Tokenizer, prompt: str, config: DeploymentConfig, temperature: float) -> str:
    tokens = generate(
        model,
        _prompt_ids(model, tokenizer, prompt),
        max_new_tokens=config.max_new_tokens,
        temperature=temperature,
        top_k=config.top_k,
        top_p=config.top_p,
        seed=config.seed,
        stop_ids={model.config.eos_token_id},
    )
    return "".join(stream_text(tokenizer, tokens))


def _prompt_ids(model: Decoder, tokenizer: Tokenizer, prompt: str) -> list[int]:
    """Token ids of a prompt, cut where it would leave a very short context no room."""
    return encode_prompt(model.config, tokenizer, prompt)[: model.config.max_position_embeddings // 2]


def _prompt_and_draw(model: Decoder, tokenizer: Tokenizer, prompt: str, count: int, seed: int) -> Sequence[int]:
    """Token ids of a prompt and of `count` tokens drawn after it, one less than the context holds at most."""
    ids = _prompt_ids(model, tokenizer, prompt)
    ids += generate(model, ids, max_new_tokens=count, temperature=1.0, seed=seed)
    return ids[: model.config.max_position_embeddings - 1]
