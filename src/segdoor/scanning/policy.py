"""The policy of a scan: every threshold in one file, with a digest that reports repeat."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, cast

from pydantic import Field

from segdoor.errors import DataError
from segdoor.plain_yaml import read_yaml
from segdoor.settings import Settings, Tree, brief, validated

BUILT_IN = Path(__file__).with_name("policy.yaml")
_REMEDY = "Copy the built-in policy from docs/scan.md."


class MethodsPolicy(Settings):
    """Which methods run."""

    methods: tuple[str, ...] | None
    """Methods that run if none is named; null for all that need no training."""
    controls: tuple[str, ...]
    """Methods that run only if they are named."""


class DataPolicy(MethodsPolicy):
    """When a data set is suspect."""

    thresholds: dict[str, float]
    """Scores from which on a scene is suspect, by filter."""
    held_out: float = Field(gt=0, lt=1)
    """Share of the clean scenes that only set thresholds."""
    false_alarms: float = Field(gt=0, le=0.5)
    """Share of clean scenes that may score above a threshold set from clean scenes."""
    significance: float = Field(gt=0, lt=1)
    """Largest probability that so many scenes score above it by chance."""
    least_clean: int = Field(ge=1)
    """Held-out clean scenes needed to set a threshold."""


class ImagesPolicy(MethodsPolicy):
    """When an image is suspect."""

    false_alarms: float = Field(gt=0, le=0.5)
    """Share of clean images that each detector may flag."""
    held_out: float = Field(gt=0, lt=1)
    """Share of the clean scenes that only set the thresholds."""
    least_clean: int = Field(ge=1)
    """Held-out clean scenes needed to set a threshold."""
    agree: int = Field(ge=1)
    """Detectors that must flag an image."""


class ModelPolicy(MethodsPolicy):
    """When a model is suspect."""

    least_null: int = Field(ge=0)
    """Figures of clean models or harmless stickers that a verdict must be based on."""


class Policy(Settings):
    """Every threshold of `segdoor scan`."""

    unjudged: Literal["pass", "finding"]
    """What a scan without any verdict counts as."""
    shown: int = Field(ge=1, le=1000)
    """Most rows in a table, and most pictures on a sheet."""
    data: DataPolicy
    """For data sets."""
    images: ImagesPolicy
    """For images."""
    model: ModelPolicy
    """For models."""

    @property
    def text(self) -> str:
        """Return the policy as JSON with sorted keys, as it is written beside reports."""
        return f"{json.dumps(self.model_dump(mode='json'), indent=1, sort_keys=True)}\n"


@dataclass(frozen=True)
class LoadedPolicy:
    """A policy and where it comes from.

    Attributes:
        policy: The policy.
        source: The name of its file; "built-in" without one.
    """

    policy: Policy
    source: str

    @property
    def digest(self) -> str:
        """Return the SHA-256 of the policy's text: equal policies have the same."""
        return hashlib.sha256(self.policy.text.encode()).hexdigest()


def load_policy(path: Path | None = None) -> LoadedPolicy:
    """Return the built-in policy, with the settings of a file in place of its own.

    Args:
        path: A YAML file with any of the settings; None for the built-in policy alone.

    Raises:
        DataError: If the file is missing or no plain YAML.
        ConfigError: If a key is unknown or a value breaks its rule.
    """
    tree = _mapping(BUILT_IN)
    if path is not None:
        tree = _over(tree, _mapping(path))
    policy = validated(Policy, tree, source=path or BUILT_IN)
    return LoadedPolicy(policy, "built-in" if path is None else path.name)


def _mapping(path: Path) -> Tree:
    content = read_yaml(path, remedy=_REMEDY)
    if content is None:
        return {}
    if not isinstance(content, dict):
        raise DataError(path, "must hold settings by name", brief(type(content)), _REMEDY)
    return cast("Tree", content)


def _over(below: Mapping[str, object], above: Mapping[str, object]) -> Tree:
    """Return settings with others in place of some; methods' own thresholds are joined too."""
    tree = dict(below)
    for key, value in above.items():
        under = tree.get(key)
        if isinstance(value, Mapping) and isinstance(under, Mapping):
            tree[key] = _over(cast("Tree", under), cast("Tree", value))
        else:
            tree[key] = value
    return tree
