"""The chosen model as files that other programs run; each file is checked before the step is done."""

import json
import math
import shutil
import sys
from dataclasses import asdict
from itertools import chain, cycle, islice
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer

from hornbook.core.documents import atomic_write
from hornbook.core.errors import HornbookError
from hornbook.core.progress import Progress
from hornbook.deployment.agreement import COMPARED_AS_STORED, Agreement, Row, check, compare
from hornbook.deployment.config import DeploymentConfig
from hornbook.deployment.engines import open_model
from hornbook.deployment.model_card import model_card
from hornbook.model import gguf
from hornbook.model.config import ModelConfig
from hornbook.model.decoder import Decoder
from hornbook.model.generate import generate
from hornbook.model.gguf_limits import short_context, visible_context
from hornbook.model.load import load_any
from hornbook.model.prepare import prepared
from hornbook.model.text import encode_prompt, stream_text

TRAINING = "training."  # the start of an input's name; the name of the arm follows


def export_step(inputs: dict[str, Path], out: Path, config: DeploymentConfig) -> dict[str, Any]:
    """Publish the model of the best arm at the reference budget, or of the last phase, and show what all of them write.

    `inputs["verdict"]` is a folder with verdict.json (keys `best_arm`, `reference_budget`), missing where the config
    names phases, and every `inputs["training.<arm>"]` one with a Hugging Face folder for each budget. Writes `final/`
    (Hugging Face folder with a model card), `final-F16.gguf`, `final-Q8_0.gguf`, `agreement.json` (file type ->
    Agreement) and `samples.json` (completions of the same prompts by every arm at that budget). Raises HornbookError
    when llama.cpp would compute, or computes, something else than our decoder.
    """
    folders = {name.removeprefix(TRAINING): folder for name, folder in inputs.items() if name.startswith(TRAINING)}
    if config.phases:
        best, budgets = list(config.phases)[-1], config.phases
    else:
        verdict = json.loads((inputs["verdict"] / "verdict.json").read_text())
        best, budgets = verdict["best_arm"], dict.fromkeys(folders, verdict["reference_budget"])
    arms = {name: folder / str(budgets[name]) for name, folder in folders.items()}
    final = out / "final"
    shutil.copytree(arms[best], final, dirs_exist_ok=True)

    agreement: dict[str, dict[str, float]] = {}
    completions = {}
    with Progress("export", len(config.gguf_types) + len(arms)) as bar:
        for file_type in config.gguf_types:
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


def export_file(source: Path, path: Path, file_type: gguf.FileType, *, compared: bool = True) -> None:
    """Write a GGUF file of any model that our decoder opens, and print what to expect of it.

    `compared` asks llama.cpp whether it computes the same. Raises HornbookError as `export_gguf` does.
    """
    if not path.parent.is_dir():
        raise HornbookError(f"There is no folder {path.parent}.", "Make it, or name another file with --output.")
    if not compared:
        _export(source, path, file_type)
    else:
        measured = export_gguf(source, path, file_type, DeploymentConfig())
        what = "its weights" if file_type in COMPARED_AS_STORED else "the model"
        print(
            f"At {measured.positions} positions llama.cpp computes with it what our decoder computes with {what}: "
            f"{measured.top_token:.1%} equal top tokens, KL divergence {measured.kl_divergence:.1e} nats."
        )
    print(f"Wrote {path} ({path.stat().st_size / 1e6:,.1f} MB).")


def export_gguf(folder: Path, path: Path, file_type: gguf.FileType, config: DeploymentConfig) -> Agreement:
    """Write a GGUF file, open it with llama.cpp, and compare it with our decoder; returns what was measured.

    The texts are the prompts of the config and what the model itself draws after them, so that the comparison
    meets the contexts that the model meets; with LongRoPE one text is long. Files of 4 bits are compared with our
    decoder on their own weights. Prints where llama.cpp computes the same only under conditions. Raises HornbookError
    when tokens or probabilities differ.
    """
    _export(folder, path, file_type)
    model, tokenizer = open_model(folder)
    drawn = math.ceil(config.positions / len(config.prompts))
    with prepared(model):
        rows = _rows([_prompt_and_draw(model, tokenizer, p, drawn, config.seed) for p in config.prompts], model.config)
        if file_type in COMPARED_AS_STORED:
            model, _ = load_any(path)
        measured = compare(model, tokenizer, path, config.prompts, rows, file_type)
    check(measured, path, file_type)
    return measured


def _export(source: Path, path: Path, file_type: gguf.FileType) -> None:
    for limit in gguf.export(source, path, file_type):
        print(f"  {path.name}: {limit}", file=sys.stderr)


def _rows(texts: list[list[int]], config: ModelConfig) -> list[Row]:
    """Texts as rows with a context in which llama.cpp computes what our decoder computes.

    With LongRoPE that is one for short texts, where there is one, and for a long text put together from them another.
    """
    if config.rope_scaling is None:
        context = visible_context(config)
        return [Row(ids[: context - 1], context) for ids in texts]
    rows, original = [], config.rope_scaling.original_max_position_embeddings
    if (room := short_context(config)) is not None:
        rows += [Row(ids[: room - 1], room) for ids in texts]
    wanted = sum(len(ids) for ids in texts)
    if (long := min(original + wanted, visible_context(config) - 1)) > original:
        ids = list(islice(cycle(chain.from_iterable(texts)), long))
        rows.append(Row(ids, config.max_position_embeddings, first=max(long - wanted, 0)))
    return rows


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


def _prompt_and_draw(model: Decoder, tokenizer: Tokenizer, prompt: str, count: int, seed: int) -> list[int]:
    """Token ids of a prompt and of `count` tokens drawn after it, where the context has room for them."""
    ids = _prompt_ids(model, tokenizer, prompt)
    return [*ids, *generate(model, ids, max_new_tokens=count, temperature=1.0, seed=seed)]
