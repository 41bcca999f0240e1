"""A recipe in miniature: the whole way on a small folder of real code, in seconds."""

import gzip
import os
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

from hornbook.curation.annotation import labels_file

MODULES = """
abc argparse ast base64 bisect calendar cmd code codeop collections/__init__ colorsys configparser contextlib copy csv
dataclasses datetime decimal difflib dis doctest enum filecmp fnmatch fractions functools getpass glob graphlib gzip
hashlib heapq html/__init__ imaplib inspect ipaddress json/decoder json/encoder keyword linecache locale mailbox
mimetypes numbers operator optparse pathlib pdb pickle pickletools plistlib poplib pprint profile queue quopri random
reprlib sched secrets selectors shelve shlex shutil smtplib socket sqlite3/dump statistics string stringprep struct
subprocess symtable tabnanny tarfile tempfile textwrap this threading timeit token tokenize trace traceback types
typing unittest/case unittest/mock urllib/parse uuid warnings wave weakref webbrowser xml/dom/minidom zipfile
""".split()

RECIPE = """
name: miniature
corpus:
  sources:
    - {folder: home/code}
    - builtin: python-textbook
  held_out: {share: 0.05}
curation:
  classifier: {labels: labels.jsonl, folds: 2, repeats: 1, bootstrap: 100}
arms:
  - {name: raw, filter: raw, budgets: [4_000, 8_000, 16_000]}
  - {name: rules, filter: rules}
  - {name: curated, filter: classifier, top_share: 0.3}
  - {name: textbook, filter: classifier, top_share: 0.3, lessons: true, lesson_share: 0.4}
tokenization: {vocab_size: 1024, max_bytes: 400_000}
probe: {compile: false, threads: 1}
training:
  model: {hidden_size: 64, num_hidden_layers: 2, num_attention_heads: 2, num_key_value_heads: 2,
          intermediate_size: 96, max_position_embeddings: 256}
  budgets: [4_000, 8_000]
  context: 256
  batch_tokens: 512
  warmup_tokens: 1_024
evaluation: {functions_per_distribution: 3, held_out_passages: 20}
ablation: {reference_budget: 8_000, bootstrap: 200}
deployment: {max_new_tokens: 12, positions: 50, prompts: ["def add(a, b):", "import json"]}
"""


def write_miniature(folder: Path) -> Path:
    """Write `recipe.yaml`, a few labels, and modules of the standard library in `home/code`; returns the recipe."""
    stdlib = Path(sysconfig.get_paths()["stdlib"])
    for module in MODULES:
        source, target = stdlib / f"{module}.py", folder / "home" / "code" / f"{module}.py"
        if source.exists():  # some leave the library as Python moves on
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source, target)
    (folder / "home" / "code" / "NOTES.md").write_text("# Notes\n\nModules of the standard library, as they are.\n" * 3)
    write_labels(folder)
    recipe = folder / "recipe.yaml"
    recipe.write_text(RECIPE)
    return recipe


def write_labels(folder: Path) -> None:
    """Write `labels.jsonl`, every fifth of the built-in labels."""
    with gzip.open(labels_file(), "rt") as labels:
        (folder / "labels.jsonl").write_text("".join(list(labels)[::5]))


def hornbook(*arguments: object, cwd: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run the command line in a process of its own."""
    command = [sys.executable, "-m", "hornbook.cli", *map(str, arguments)]
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, env={**os.environ, **environment})
