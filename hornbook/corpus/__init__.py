"""Corpus: readers of sources, the files held out for evaluation, and passages."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hornbook.corpus.held_out import hold_out_step
    from hornbook.corpus.identity import fingerprint
    from hornbook.corpus.passages import passages_step
    from hornbook.corpus.read import read_step

__all__ = ["fingerprint", "hold_out_step", "passages_step", "read_step"]

_MODULES = {"fingerprint": "identity", "hold_out_step": "held_out", "passages_step": "passages", "read_step": "read"}


def __getattr__(name: str) -> Any:
    """Import a step only when it is asked for: the command line reads configs without Arrow."""
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)
