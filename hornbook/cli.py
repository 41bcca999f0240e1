"""The command line: verbs, no logic. Each verb imports what it needs, so that `hornbook --help` starts at once."""

import os
import sys
from pathlib import Path
from typing import Annotated, Literal

import typer

from hornbook import __version__
from hornbook.cli_synth import KeyOption, ModelOption, synth_app
from hornbook.core.errors import HornbookError

EXAMPLES = """
Textbook-quality data, small language models trained on it, and the proof that it was worth it.

\b
Examples:
  hornbook run recipes/laptop-python.yaml      from raw files to the report
  hornbook init mine --source ~/code           a recipe for your own files
  hornbook run mine/recipe.yaml --until curation.scores
  hornbook compare recipes/laptop-python.yaml --arms auto --seeds 3
  hornbook ladder recipes/laptop-python.yaml --sizes 0.3M,3M,10M
  hornbook train recipes/phi-1.yaml --scale full --plan
  hornbook complete "def fibonacci(n):"
  hornbook export runs/laptop-python/models/final --type Q4_0
  hornbook chat model.gguf                     talk with a model, yours or another
  hornbook grade ~/code --keep 15%             labels by a teacher, a classifier from them, the best passages
  hornbook synth run recipes/synthetic-python.yaml   lessons that a teacher writes, checked before they are believed
  hornbook fetch teacher                       a small teacher that runs here; prints where it is
  hornbook score passages.jsonl --run runs/laptop-python > scores.jsonl
  hornbook bpb runs/laptop-python/models/final texts.jsonl --field text
  hornbook model show phi-4                    what a model of this shape costs
"""

app = typer.Typer(
    help=EXAMPLES, no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None
)
RUN = Path("runs/laptop-python")
ScaleOption = Annotated[str, typer.Option(help="Which of the scales of the recipe: laptop, full.")]
RunOption = Annotated[Path, typer.Option("--run", help="Folder of a run.", show_default=True)]


@app.callback(invoke_without_command=True)
def hornbook(version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False) -> None:
    if version:
        print(__version__)
        raise typer.Exit


@app.command()
def run(
    recipe: Annotated[Path, typer.Argument(help="A recipe (YAML).")],
    until: Annotated[str | None, typer.Option(help="Stop after this step, for instance curation.scores.")] = None,
    folder: Annotated[Path | None, typer.Option("--run", help="Where the run lives [default: runs/<name>].")] = None,
    scale: ScaleOption = "laptop",
) -> None:
    """Walk the way of a recipe; what an earlier run has finished is not done again."""
    from hornbook.run import run_recipe

    run_recipe(recipe, folder, until, scale)


@app.command()
def train(
    recipe: Annotated[Path, typer.Argument(help="A recipe (YAML).")],
    scale: ScaleOption = "laptop",
    plan: Annotated[bool, typer.Option("--plan", help="Print what the training costs, and train nothing.")] = False,
    gpu_hour: Annotated[float, typer.Option(min=0, help="Dollars that a GPU costs an hour, for --plan.")] = 2.0,
    folder: Annotated[Path | None, typer.Option("--run", help="Where the run lives [default: runs/<name>].")] = None,
) -> None:
    """Run a recipe up to its last training. Example: hornbook train recipes/phi-1.yaml --scale full --plan"""
    if plan:
        from hornbook.estimate import print_plan

        print_plan(recipe, scale, gpu_hour)
    else:
        from hornbook.run import train_recipe

        train_recipe(recipe, folder, scale)


@app.command()
def compare(
    recipe: Annotated[Path, typer.Argument(help="A recipe (YAML).")],
    arms: Annotated[
        str | None, typer.Option(help="Arms by name, divided by commas; or auto: leave each data decision out.")
    ] = None,
    seeds: Annotated[int | None, typer.Option(min=1, help="How often every arm is drawn and trained.")] = None,
    folder: Annotated[
        Path | None, typer.Option("--run", help="Where the run lives [default: runs/<name>-compare].")
    ] = None,
) -> None:
    """What did each data decision bring? Example: hornbook compare recipes/laptop-python.yaml --arms auto --seeds 3"""
    from hornbook.compare import compare as run_arms

    run_arms(recipe, arms, seeds, folder)


@app.command()
def sweep(
    recipe: Annotated[Path, typer.Argument(help="A recipe (YAML).")],
    arm: Annotated[str, typer.Argument(help="Name of an arm.")],
    setting: Annotated[str, typer.Argument(help="A number of the arm and its values: name=value,value,...")],
    seeds: Annotated[int | None, typer.Option(min=1, help="How often every value is drawn and trained.")] = None,
    folder: Annotated[
        Path | None, typer.Option("--run", help="Where the run lives [default: runs/<name>-<setting>].")
    ] = None,
) -> None:
    """Sweep a number of an arm: top_share, lesson_share, max_bytes, training.curriculum ...

    Example: hornbook sweep recipes/laptop-python.yaml textbook lesson_share=0,0.3,0.6
    """
    from hornbook.compare import sweep as run_sweep

    run_sweep(recipe, arm, setting, seeds, folder)


@app.command()
def ladder(
    recipe: Annotated[Path, typer.Argument(help="A recipe (YAML).")],
    data: Annotated[str, typer.Option(help="Arms whose data is compared with the reference arm's.")] = "curated",
    sizes: Annotated[str, typer.Option(help="Sizes of the model beside the recipe's own.")] = "0.3M,1M,3M,10M",
    budgets: Annotated[
        str | None, typer.Option(help="Tokens of every model [default: half, once and twice the reference budget].")
    ] = None,
    seeds: Annotated[int | None, typer.Option(min=1, help="How often every model is trained.")] = None,
    folder: Annotated[
        Path | None, typer.Option("--run", help="Where the run lives [default: runs/<name>-ladder].")
    ] = None,
) -> None:
    """How many times larger must a model on raw data be? Example: hornbook ladder recipes/laptop-python.yaml"""
    from hornbook.compare import ladder as run_ladder

    run_ladder(recipe, data, sizes, budgets, seeds, folder)


@app.command()
def init(
    folder: Annotated[Path, typer.Argument(help="Folder to make; the recipe goes into it.")],
    source: Annotated[str, typer.Option(help="Folder with text or code; JSONL, Parquet, WARC or WET files.")],
) -> None:
    """Write a recipe for your own files. Example: hornbook init mine --source ~/code"""
    from hornbook.init import init_recipe

    path = init_recipe(folder, source)
    print(f"Wrote {path}. Now: hornbook run {path}")


@app.command()
def score(
    file: Annotated[Path, typer.Argument(help="JSON lines with `id` and `text`.")],
    run: RunOption = RUN,
    output: Annotated[Path | None, typer.Option(help="Write here instead of standard output.")] = None,
) -> None:
    """Score passages for educational value: JSON lines with `id`, `edu`, `self` and `level`."""
    from hornbook.core.step import finished_step
    from hornbook.curation.scoring import score_file

    score_file(file, finished_step(run, "curation.classifier"), output)


@app.command()
def bpb(
    model: Annotated[Path, typer.Argument(help="Folder of a model.")],
    file: Annotated[Path, typer.Argument(help="JSON lines with texts.")],
    field: Annotated[str, typer.Option(help="Key of the text.")] = "text",
    prompt_field: Annotated[str | None, typer.Option(help="Key of a prompt that is given, not predicted.")] = None,
) -> None:
    """Bits per byte of a model on texts. Example: hornbook bpb runs/laptop-python/models/final texts.jsonl"""
    from hornbook.evaluation.bits_per_byte import bpb as measure

    result = measure(model, file, field, prompt_field)
    print(f"{result['bpb']:.4f} bits per byte ({result['texts']:,} texts, {result['bytes']:,} bytes)")


Engine = Annotated[
    Literal["hornbook", "llama.cpp"] | None,
    typer.Option(help="What computes it [default: hornbook, or llama.cpp for a GGUF file that only it can run]."),
]
Temperature = Annotated[float, typer.Option(min=0, help="0: always the most likely token.")]
TopK = Annotated[int, typer.Option(min=0, help="Draw from this many tokens (0: all).")]
TopP = Annotated[float, typer.Option(min=0, max=1, help="Draw from this share of the probability.")]
MinP = Annotated[
    float, typer.Option(min=0, max=1, help="Draw from tokens at least this share as likely as the most likely one.")
]
Penalty = Annotated[float, typer.Option(min=0, help="Above 1, tokens that were there before become less likely.")]
Seed = Annotated[int, typer.Option(min=0, help="The same seed repeats the draws.")]
Stop = Annotated[list[str] | None, typer.Option(help="End before this text; may be given several times.")]


@app.command()
def complete(
    prompt: Annotated[str, typer.Argument(help="The start of a text.")],
    model: Annotated[Path, typer.Option(help="Folder or GGUF file of a model.")] = RUN / "models" / "final",
    engine: Engine = None,
    max_new_tokens: Annotated[int, typer.Option(min=1, help="Longest continuation.")] = 128,
    temperature: Temperature = 0.2,
    top_k: TopK = 0,
    top_p: TopP = 0.95,
    min_p: MinP = 0.0,
    repetition_penalty: Penalty = 1.0,
    seed: Seed = 0,
    stop: Stop = None,
) -> None:
    """Continue a text, streaming. Example: hornbook complete "def fibonacci(n):" """
    from hornbook.deployment.complete import complete as stream
    from hornbook.deployment.engines import Ask
    from hornbook.model.sampling import SamplingOptions

    sampling = SamplingOptions(temperature, top_k, top_p, min_p, repetition_penalty)
    stream(prompt, model=model, engine=engine, ask=Ask(max_new_tokens, sampling, seed, tuple(stop or ())))


@app.command()
def chat(
    model: Annotated[Path, typer.Argument(help="Folder or GGUF file of a model.")],
    system: Annotated[str | None, typer.Option(help="What the model is told before the conversation.")] = None,
    engine: Engine = None,
    max_new_tokens: Annotated[int, typer.Option(min=1, help="Longest answer.")] = 512,
    temperature: Temperature = 0.2,
    top_k: TopK = 0,
    top_p: TopP = 0.95,
    min_p: MinP = 0.0,
    repetition_penalty: Penalty = 1.0,
    seed: Seed = 0,
    stop: Stop = None,
) -> None:
    """Talk with a model; messages are lines of the terminal or of standard input.

    \b
    Examples:
      hornbook chat "$(hornbook fetch teacher)"
      echo "What is a prime?" | hornbook chat model.gguf --engine llama.cpp
    """
    from hornbook.deployment.chat import chat as talk
    from hornbook.deployment.engines import Ask
    from hornbook.model.sampling import SamplingOptions

    sampling = SamplingOptions(temperature, top_k, top_p, min_p, repetition_penalty)
    talk(model, system=system, engine=engine, ask=Ask(max_new_tokens, sampling, seed, tuple(stop or ())))


@app.command("export-checkpoint")
def export_checkpoint(
    checkpoint: Annotated[Path, typer.Argument(help="Folder of a checkpoint, <arm>/checkpoints/<branch>-<step>.")],
    out: Annotated[Path, typer.Argument(help="Folder to make.")],
) -> None:
    """Write the model of a checkpoint as a Hugging Face folder, also while training goes on."""
    from hornbook.training.model_folder import export_checkpoint as export

    export(checkpoint, out)
    print(f'Wrote {out}. Now: hornbook complete "..." --model {out}')


@app.command()
def export(
    model: Annotated[Path, typer.Argument(help="Folder or GGUF file of a model.")],
    format: Annotated[Literal["gguf"], typer.Option(help="gguf: one file that llama.cpp runs.")] = "gguf",
    type: Annotated[
        Literal["F32", "F16", "BF16", "Q8_0", "Q4_0", "Q4_1"], typer.Option(help="Numbers of the matrices.")
    ] = "Q8_0",
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="The file [default: <model>-<type>.gguf].")
    ] = None,
    check: Annotated[bool, typer.Option(help="Ask llama.cpp whether it computes the same.")] = True,
) -> None:
    """Write a model as a file that other programs run.

    \b
    Examples:
      hornbook export runs/laptop-python/models/final --type Q4_0 -o tiny.gguf
      hornbook export phi-2 --format gguf --type BF16 --no-check
    """
    from hornbook.deployment.export import export_file

    export_file(model, output or Path(f"{model.resolve().stem}-{type}.{format}"), type, compared=check)


@app.command()
def fetch(
    what: Annotated[Literal["teacher"], typer.Argument(help="teacher: SmolLM2-135M-Instruct, a GGUF file of 98 MB.")],
) -> None:
    """Download a model once and print where it is. Example: hornbook fetch teacher"""
    from hornbook.services.teacher import fetch_teacher

    print(fetch_teacher())


SHAPES = "Shapes of models, and what they cost. Example: hornbook model show phi-4"
model_app = typer.Typer(help=SHAPES, no_args_is_help=True, rich_markup_mode=None)
app.add_typer(model_app, name="model")


@model_app.command("list")
def model_list() -> None:
    """Print parameters, memory and context of every model that has a name. Example: hornbook model list"""
    from hornbook.model.sizes import list_models

    list_models()


@model_app.command("show")
def model_show(
    model: Annotated[str, typer.Argument(help="Name of a model (see `hornbook model list`), or a folder with one.")],
) -> None:
    """Print shape, parameters, memory and arithmetic of a model. Example: hornbook model show phi-4"""
    from hornbook.model.sizes import show_model

    show_model(model)


app.add_typer(synth_app, name="synth")


@app.command()
def grade(
    corpus: Annotated[str, typer.Argument(help="Folder with text or code; JSONL, Parquet, WARC or WET files.")],
    keep: Annotated[str, typer.Option(help="Share of the bytes to keep, the best first.")] = "15%",
    rubric: Annotated[str, typer.Option(help="What is good: code, prose, or a file of your own.")] = "code",
    teacher: Annotated[str | None, typer.Option(help="URL of a teacher [default: the embedded one].")] = None,
    model: ModelOption = "",
    key_env: KeyOption = "",
    labels: Annotated[int, typer.Option(help="Passages that the teacher labels.")] = 2000,
    budget: Annotated[int | None, typer.Option(min=0, help="Most tokens that it may read and write.")] = None,
    labels_file: Annotated[Path | None, typer.Option(help="Labels that exist (JSONL), in place of a teacher.")] = None,
    folder: Annotated[
        Path | None, typer.Option("--folder", "--run", help="Where the run lives [default: runs/<corpus>-graded].")
    ] = None,
) -> None:
    """Keep the best of a corpus by a teacher's labels; after a kill the same command goes on and pays nothing twice.

    Example: hornbook grade pages.jsonl --rubric prose --teacher http://localhost:8000/v1 --model qwen --keep 15%
    """
    from hornbook.grade import grade as run_grade
    from hornbook.synth import teacher_at

    run_grade(corpus, keep, rubric, teacher_at(teacher, model, key_env), labels, labels_file, budget, folder)


@app.command()
def why(
    id: Annotated[str, typer.Argument(help="Id of a passage or file; the first digits will do.")],
    run: RunOption = RUN,
) -> None:
    """Tell the life of a document: where it came from, what each step said of it, where it went."""
    from hornbook.report.why import why as tell

    tell(run, id)


@app.command()
def status(
    run: Annotated[Path, typer.Argument(help="Folder of a run.")] = RUN,
    curves: Annotated[bool, typer.Option(help="Also write curves.html of its trainings, begun or finished.")] = False,
) -> None:
    """Show what of a run is done."""
    from hornbook.report.status import status as show

    show(run, curves)


def main() -> None:
    """Entry point: a HornbookError becomes one line on standard error and its exit status, usually 2."""
    try:
        app()
    except HornbookError as error:
        print(f"hornbook: {' '.join(str(error).split())}", file=sys.stderr)
        sys.exit(error.status)
    except KeyboardInterrupt:
        print("\nhornbook: interrupted; run the same command again to go on.", file=sys.stderr)
        sys.exit(130)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)


if __name__ == "__main__":
    main()
