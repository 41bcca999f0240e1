"""A JSON Lines file about steps of the trunk and the branches: the curve, the samples.

The lines are in memory, and the file is written as a whole with every checkpoint. So after a kill it is never behind
the weights, and what it says of steps that are done once more is dropped.
"""

import json
from pathlib import Path
from typing import Any

from hornbook.core.documents import atomic_write
from hornbook.training.schedule import TRUNK, Segment

Line = dict[str, Any]


class StepLog:
    """Lines that have a `branch` and a `step`, in the order that they were added."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.lines: list[Line] = [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []

    def drop(self, segment: Segment, first: int) -> None:
        """Forget the steps of a branch from `first` on."""
        branch = branch_of(segment)
        self.lines = [line for line in self.lines if line["branch"] != branch or line["step"] < first]

    def leading_to(self, segment: Segment, step: int) -> list[Line]:
        """What was noted on the way to a step of a segment, on the trunk before the branch included."""
        ends = {TRUNK: segment.first, branch_of(segment): step}
        return [line for line in self.lines if line["step"] < ends.get(line["branch"], 0)]

    def write(self) -> None:
        """Bring the file up to date; none where there is nothing to say."""
        if self.lines or self.path.exists():
            atomic_write(self.path, "".join(json.dumps(line) + "\n" for line in self.lines))


def branch_of(segment: Segment) -> str | int:
    """How lines name the branch of a segment."""
    return int(segment.branch) if segment.is_decay else TRUNK
