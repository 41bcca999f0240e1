"""Checkpoints: the state of a run as folders, each of them whole or not there.

    checkpoints/model/              config.json and tokenizer: what an export needs beside the weights
    checkpoints/trunk-00000120/     the state after 120 steps of the trunk, written by torch.distributed.checkpoint
    checkpoints/trunk-00000120/checkpoint.json     what it is a state of, and the hashes of the other files

Tensors are copied to the side, and a thread writes them while training goes on. A folder gets its name when all its
files are on disk, so a kill leaves nothing that could be taken for a checkpoint.
"""

import errno
import hashlib
import json
import os
import shutil
import time
import warnings
from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from types import ModuleType, TracebackType
from typing import Any, Self

import torch

from hornbook.core.documents import atomic_write
from hornbook.core.errors import HornbookError, explain
from hornbook.core.lock import folder_lock
from hornbook.training.config import CheckpointConfig

ABOUT, MODEL = "checkpoint.json", "model"
_TEMPORARY = ".partial-"
Identity = dict[str, Any]  # data, settings, machine: a state goes on with the same ones only


@dataclass(frozen=True)
class About:
    """What a checkpoint is a state of."""

    branch: str
    step: int  # the next one
    updates: int  # steps that changed the weights
    identity: Identity
    milestone: bool = False  # branches start from it: to be kept until the run is done
    measure: float | None = None  # of the model, smaller is better
    created: float = 0.0
    files: dict[str, str] | None = None  # name -> hash

    @property
    def name(self) -> str:
        return f"{self.branch}-{self.step:08d}"


class Checkpoints:
    """The checkpoints of one run. As a context manager it holds the folder against other processes."""

    def __init__(self, folder: Path, config: CheckpointConfig) -> None:
        self.folder, self.config, self.model = folder, config, folder / MODEL
        self._pending: Future[None] | None = None
        self._thread = ThreadPoolExecutor(1, "checkpoint")
        self._held = ExitStack()

    def __enter__(self) -> Self:
        self._held.enter_context(folder_lock(self.folder, "Name another folder"))
        for path in self.folder.iterdir():  # what a kill left half written or half removed
            if (
                path.is_dir()
                and path != self.model
                and (path.name.startswith(_TEMPORARY) or not (path / ABOUT).exists())
            ):
                shutil.rmtree(path)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            self.wait()
        except HornbookError:
            if kind is None:
                raise  # otherwise the first error is the one to tell
        finally:
            self._thread.shutdown()
            self._held.close()

    def save(self, state: Mapping[str, torch.Tensor], about: About) -> None:
        """Copy the state and have it written in the background. Raises HornbookError when the last one failed."""
        self.wait()
        temporary = self.folder / f"{_TEMPORARY}{about.name}"
        shutil.rmtree(temporary, ignore_errors=True)
        # Between processes torch copies and agrees; with one process there is nobody to agree with.
        written = _distributed().async_save(dict(state), checkpoint_id=temporary, no_dist=_alone())
        size = sum(tensor.nbytes for tensor in state.values())
        self._pending = self._thread.submit(self._publish, written, temporary, about, size)

    def wait(self) -> None:
        """Until the last checkpoint is on disk. Raises HornbookError when it could not be written."""
        pending, self._pending = self._pending, None
        if pending is not None:
            pending.result()

    def _publish(self, written: "Future[Any]", temporary: Path, about: About, size: int) -> None:
        final = self.folder / about.name
        try:
            written.result()
            about = replace(about, created=time.time(), files=_hashes(temporary))
            atomic_write(temporary / ABOUT, json.dumps(asdict(about), indent=1))
        except BaseException as error:  # torch's own is no Exception
            shutil.rmtree(temporary, ignore_errors=True)
            raise _explained(error, final, size) from error
        shutil.rmtree(final, ignore_errors=True)
        os.replace(temporary, final)
        self._remove_superseded()

    def _remove_superseded(self) -> None:
        """All but the milestones, the last ones, and those that measured best."""
        ordinary = sorted((a for a in self._all() if not a.milestone), key=lambda about: about.created)
        kept = ordinary[-self.config.keep_last :]
        measured = [about for about in ordinary if about.measure is not None]
        kept += sorted(measured, key=lambda about: about.measure or 0.0)[: self.config.keep_best]
        for about in ordinary:
            if about not in kept:
                _remove(self.folder / about.name)

    def _all(self) -> list[About]:
        return [read_about(path.parent) for path in sorted(self.folder.glob(f"*/{ABOUT}"))]

    def newest(self, branch: str, first: int, last: int) -> About | None:
        """The furthest checkpoint of a branch between two steps."""
        self.wait()
        found = [a for a in self._all() if a.branch == branch and first <= a.step <= last]
        return max(found, key=lambda about: about.step, default=None)

    def load(self, about: About, identity: Identity, state: dict[str, torch.Tensor]) -> None:
        """Fill the tensors of `state` from a checkpoint.

        Raises HornbookError when it is of another run than `identity` says, or damaged; then nothing is changed.
        """
        path = self.folder / about.name
        if differences := _differences(about.identity, identity):
            raise HornbookError(
                f"The checkpoint {path} is of a run on {' and '.join(differences)}.",
                f"Go back to what it was, or delete {self.folder.parent} and run again.",
            )
        read_tensors(path, state)

    def remove(self) -> None:
        """At the end of a run: only a resume needs them, unless the config wants to keep them."""
        self.wait()
        if not self.config.keep_when_done:
            shutil.rmtree(self.folder)


def read_about(checkpoint: Path) -> About:
    """What a checkpoint is a state of. Raises HornbookError when that cannot be read."""
    try:
        return About(**json.loads((checkpoint / ABOUT).read_text()))
    except (OSError, ValueError, TypeError) as error:
        raise HornbookError(f"{checkpoint} is not a checkpoint, or damaged ({error}).", _remedy(checkpoint)) from error


def read_tensors(checkpoint: Path, state: dict[str, torch.Tensor]) -> None:
    """Fill the tensors of `state`, whatever their device, from a checkpoint; it may hold more.

    Raises HornbookError when a file is missing or not as it was written.
    """
    expected = read_about(checkpoint).files
    try:
        if (found := _hashes(checkpoint)) != expected:
            wrong = sorted(set(found.items()) ^ set((expected or {}).items()))
            raise HornbookError(f"The checkpoint {checkpoint} is damaged ({wrong[0][0]}).", _remedy(checkpoint))
        _distributed().load(state, checkpoint_id=checkpoint, no_dist=_alone())
    except HornbookError:
        raise
    except BaseException as error:
        if not isinstance(error, Exception) and type(error).__module__.split(".")[0] != "torch":
            raise  # the user, not the checkpoint
        raise HornbookError(
            f"The checkpoint {checkpoint} cannot be read ({_cause(error)}).", _remedy(checkpoint)
        ) from error


def _distributed() -> ModuleType:
    """torch.distributed.checkpoint: imported when it is needed, which takes a moment."""
    import torch.distributed.checkpoint as distributed

    warnings.filterwarnings("ignore", "torch.distributed is disabled, unavailable or uninitialized")
    return distributed


def _alone() -> bool:
    return not (torch.distributed.is_available() and torch.distributed.is_initialized())


def _hashes(folder: Path) -> dict[str, str]:
    """Hash of every file that torch wrote."""
    hashes = {}
    for path in sorted(folder.iterdir()):
        if path.name != ABOUT:
            with open(path, "rb") as file:
                hashes[path.name] = hashlib.file_digest(file, "blake2b").hexdigest()[:32]
    return hashes


def _differences(found: Identity, wanted: Identity) -> list[str]:
    """In what two runs differ, in words."""
    said = []
    for key in wanted:
        if found.get(key) != wanted[key]:
            names = _changed(found.get(key), wanted[key])
            said.append(f"other {key}" + (f" ({', '.join(names)})" if names else ""))
    return said


def _changed(found: Any, wanted: Any, place: str = "") -> list[str]:
    if isinstance(found, dict) and isinstance(wanted, dict):
        return [
            name
            for key in sorted(found.keys() | wanted.keys())
            for name in _changed(found.get(key), wanted.get(key), f"{place}.{key}".lstrip("."))
        ]
    return [place] if found != wanted and place else []


def _remedy(checkpoint: Path) -> str:
    return f"Delete {checkpoint} and run again: training goes on from the checkpoint before it, or from its start."


def _remove(folder: Path) -> None:
    """Without its description a folder is rubbish, so that a kill in between leaves no half a checkpoint."""
    (folder / ABOUT).unlink(missing_ok=True)
    shutil.rmtree(folder, ignore_errors=True)


def _cause(error: BaseException) -> BaseException:
    """What went wrong in a process, out of what torch makes of the errors of all of them."""
    failures = getattr(error, "failures", None)
    return _cause(next(iter(failures.values()))[0]) if failures else error


def _explained(error: BaseException, checkpoint: Path, size: int) -> Exception:
    cause = _cause(error)
    if shutil.disk_usage(checkpoint.parent).free < size:  # torch's writer does not say why it failed
        cause = OSError(errno.ENOSPC, str(cause))
    known = explain(cause, checkpoint.parent) if isinstance(cause, OSError) else cause
    if isinstance(known, HornbookError):
        return known
    return HornbookError(
        f"Could not write the checkpoint {checkpoint} ({type(cause).__name__}: {cause}).",
        "Make sure that the disk has room and takes files of this size, and run again; earlier checkpoints are kept.",
    )
