"""The verbs `hornbook synth ...`: lessons that a teacher writes. As in `cli`, no logic and no heavy import."""

from pathlib import Path
from typing import Annotated

import typer

SYNTH = "Lessons written by a teacher and checked. Example: hornbook synth run recipes/synthetic-python.yaml"
synth_app = typer.Typer(help=SYNTH, no_args_is_help=True, rich_markup_mode=None)
RecipeArgument = Annotated[Path, typer.Argument(help="A recipe (YAML) with a section `synthesis`.")]
SectionOption = Annotated[str | None, typer.Option(help="This section of `synthesis` alone.")]
FolderOption = Annotated[Path | None, typer.Option("--run", help="Where the run lives [default: runs/<name>].")]
TeacherOption = Annotated[
    str | None, typer.Option(help="URL of another teacher than the recipe's, such as http://localhost:8000/v1.")
]
ModelOption = Annotated[str, typer.Option(help="Its model.")]
KeyOption = Annotated[str, typer.Option(help="Environment variable that holds its key.")]


@synth_app.command("run")
def synth_run(
    recipe: RecipeArgument,
    section: SectionOption = None,
    dry_run: Annotated[bool, typer.Option(help="Print prompts, counts and cost; ask nothing.")] = False,
    minutes: Annotated[float | None, typer.Option(min=0, help="Begin no item after this time.")] = None,
    teacher: TeacherOption = None,
    model: ModelOption = "",
    key_env: KeyOption = "",
    folder: FolderOption = None,
) -> None:
    """Write the lessons of a recipe; after a kill or a pause the same command goes on, and asks nothing twice."""
    from hornbook import synth

    if dry_run:
        synth.dry_run(recipe, folder, section)
    else:
        synth.run(recipe, folder, section, synth.teacher_at(teacher, model, key_env), minutes)


@synth_app.command("plan")
def synth_plan(recipe: RecipeArgument, section: SectionOption = None, folder: FolderOption = None) -> None:
    """Print the plan as JSON lines: topic, level, audience, words ... of every item."""
    from hornbook.synth import show_plan

    show_plan(recipe, folder, section)


@synth_app.command("export-batch")
def synth_export_batch(
    recipe: RecipeArgument,
    target: Annotated[Path, typer.Argument(help="Folder for the batch files.")],
    section: SectionOption = None,
    teacher: TeacherOption = None,
    model: ModelOption = "",
    folder: FolderOption = None,
) -> None:
    """Write what has no answer yet into batch files for a host. Example: hornbook synth export-batch my.yaml batches"""
    from hornbook import synth

    synth.export_batch(recipe, target, folder, section, synth.teacher_at(teacher, model, ""))


@synth_app.command("import-batch")
def synth_import_batch(
    answers: Annotated[list[Path], typer.Argument(help="Files of answers (JSONL), whole or in part.")],
) -> None:
    """Take the answers of batch files in; then run `synth run`, or `synth export-batch` for what is asked next."""
    from hornbook.synthesis.command import import_batch

    print(
        ", ".join(f"{name.replace('_', ' ')} {count}" for name, count in import_batch(answers).items() if count != "")
    )
