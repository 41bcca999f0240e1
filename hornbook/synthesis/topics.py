"""Topic trees: those that ship, and those of an outline. A tree is a mapping from topics to their subtopics."""

import re
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from hornbook.core.errors import HornbookError

Tree = dict[str, tuple[str, ...]]
_ITEM = re.compile(r"^(\s*)(?:[-*+]|\d+[.)])\s+(.*\S)\s*$")
_HEADING = re.compile(r"^(#+)\s+(.*?)\s*#*\s*$")


@cache
def builtin_tree(name: str) -> Tree:
    """The tree `python` or `general`."""
    return _tree(yaml.safe_load(_read(f"{name}.yaml")))


@cache
def vocabulary() -> dict[str, Any]:
    """Words, verbs, audiences and levels that ship."""
    return yaml.safe_load(_read("vocabulary.yaml"))


def read_outline(path: Path) -> Tree:
    """The tree in a file: YAML, or Markdown with headings and lists.

    The two deepest levels of Markdown count; a topic without subtopics is its own. HornbookError when there is
    nothing in it that reads as a tree.
    """
    try:
        text = path.read_text(encoding="utf-8")
        tree = _tree(yaml.safe_load(text)) if path.suffix in (".yaml", ".yml") else _markdown(text)
    except (OSError, UnicodeDecodeError) as error:
        raise HornbookError(f"Cannot read the outline {path}: {error}.", "Correct `outline:`.") from error
    except (yaml.YAMLError, ValueError) as error:
        raise HornbookError(f"{path} is no outline: {error}.", "Write `topic:` and under it `- subtopic`.") from error
    if not tree:
        raise HornbookError(f"The outline {path} has no topic.", "Write a Markdown list or YAML `topic: [subtopics]`.")
    return tree


def leaves(tree: Tree) -> list[tuple[str, str]]:
    """Topic and subtopic of every leaf."""
    return [(topic, subtopic) for topic, subtopics in tree.items() for subtopic in subtopics]


def _read(name: str) -> str:
    return (Path(__file__).parent / "topics" / name).read_text(encoding="utf-8")


def _tree(data: Any) -> Tree:
    if isinstance(data, list):  # a flat list of topics, some with subtopics
        merged: dict[str, Any] = {}
        for item in data:
            merged |= item if isinstance(item, dict) else {str(item): None}
        data = merged
    if not isinstance(data, dict):
        raise ValueError("it has no topics")
    tree: Tree = {}
    for topic, subtopics in data.items():
        if not isinstance(subtopics, list | None):
            raise ValueError(f"what stands under {topic!r} is no list")
        tree[str(topic)] = tuple(dict.fromkeys(str(subtopic) for subtopic in subtopics or [topic]))
    return tree


def _markdown(text: str) -> Tree:
    """Headings and list items by depth; the leaves are subtopics, and their parents topics."""
    nodes: list[tuple[int, str]] = []
    deepest_heading = 0
    for line in text.splitlines():
        if heading := _HEADING.match(line):
            deepest_heading = len(heading[1])
            nodes.append((deepest_heading, heading[2]))
        elif item := _ITEM.match(line):
            nodes.append((deepest_heading + 1 + len(item[1].expandtabs(4)), item[2]))
    tree: dict[str, list[str]] = {}
    path: list[tuple[int, str]] = []
    for number, (depth, name) in enumerate(nodes):
        while path and path[-1][0] >= depth:
            path.pop()
        is_leaf = number + 1 == len(nodes) or nodes[number + 1][0] <= depth
        if is_leaf:
            tree.setdefault(path[-1][1] if path else name, []).append(name)
        path.append((depth, name))
    return {topic: tuple(dict.fromkeys(subtopics)) for topic, subtopics in tree.items()}
