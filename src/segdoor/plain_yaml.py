"""YAML of plain values, read without trust."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import yaml

from segdoor.errors import DataError, shown
from segdoor.files import read_text

_MOST_VALUES = 100_000


def read_yaml(path: Path, *, remedy: str) -> object:
    """Read a YAML file of plain values.

    Tags that would make objects are refused, and so is a key that is given twice.

    Raises:
        DataError: If it is missing, no text, no plain YAML, or huge by what its aliases repeat.
    """
    text = read_text(path, rule="must be a readable YAML file", remedy=remedy)
    try:
        return _plain(text)
    except (yaml.YAMLError, RecursionError, ValueError) as why:
        said = " ".join(str(why).split())
        raise DataError(path, "must be plain YAML", said, f"Correct the file. {remedy}") from None


class _PlainValues(yaml.SafeLoader):
    """Refuses a key that is given twice, of which YAML would take the last, and half characters."""

    def construct_scalar(self, node: yaml.ScalarNode | yaml.MappingNode) -> Any:  # noqa: ANN401 - PyYAML's own
        text = super().construct_scalar(node)
        if shown(str(text)) != str(text):
            raise yaml.MarkedYAMLError(
                problem=f"{text} is no valid text", problem_mark=node.start_mark
            )
        return text

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:  # noqa: FBT001, FBT002 - PyYAML's own
        seen: set[object] = set()
        for key, _ in node.value:
            if isinstance(key, yaml.ScalarNode):
                if key.value in seen:
                    raise yaml.MarkedYAMLError(
                        problem=f"the key '{key.value}' is given twice", problem_mark=key.start_mark
                    )
                seen.add(key.value)
        return super().construct_mapping(node, deep)


def _plain(text: str) -> object:
    loader = _PlainValues(text)
    try:
        node = loader.get_single_node()
        if node is None:
            return None
        if _size(node, {}) > _MOST_VALUES:
            raise ValueError(f"its aliases repeat more than {_MOST_VALUES} values")
        return loader.construct_document(node)
    finally:
        loader.dispose()


def _size(node: yaml.Node, known: dict[int, float]) -> float:
    """Return how many values a node stands for, each alias written out; infinite if in itself."""
    if id(node) not in known:
        known[id(node)] = math.inf
        parts: list[yaml.Node] = []
        if isinstance(node, yaml.SequenceNode):
            parts = node.value
        elif isinstance(node, yaml.MappingNode):
            parts = [part for pair in node.value for part in pair]
        known[id(node)] = 1 + sum(_size(part, known) for part in parts)
    return known[id(node)]
