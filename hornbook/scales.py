"""One recipe at several scales: what they have in common, and under `scales` what each says otherwise."""

from typing import Any

from hornbook.core.errors import HornbookError

LAPTOP = "laptop"  # the scale where none is asked for


def at_scale(data: dict[str, Any], scale: str) -> dict[str, Any]:
    """A recipe as read from YAML with what `scales.<scale>` says merged into it, section by section.

    Lists are replaced as a whole. A recipe without `scales` has one scale, laptop. Raises HornbookError for a scale
    that it does not have.
    """
    common = {key: value for key, value in data.items() if key != "scales"}
    scales = data.get("scales", {LAPTOP: {}})
    if not isinstance(scales, dict) or not all(isinstance(changes, dict) for changes in scales.values()):
        raise HornbookError(
            "scales: each scale is a section of its own.", "Write scales: {laptop: {...}, full: {...}}."
        )
    if scale not in scales:
        raise HornbookError(f"There is no scale {scale}.", f"Set --scale to {' or '.join(map(str, scales))}.")
    return merged(common, scales[scale])


def merged(base: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    """`base` with `changes` in it, section by section."""
    both = {key: base[key] for key in changes.keys() & base.keys() if isinstance(base[key], dict)}
    inner = {key: merged(value, changes[key]) for key, value in both.items() if isinstance(changes[key], dict)}
    return {**base, **changes, **inner}
