"""A YAML file and options of the same names, merged into one configuration."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, cast

from cyclopts import Parameter
from pydantic import BaseModel

from segdoor import plain_yaml
from segdoor.attack.config import ExamsConfig
from segdoor.cli.choices import AttackOptions
from segdoor.cli.screen import remark
from segdoor.data.config import DataConfig
from segdoor.errors import DataError
from segdoor.evaluation.config import ExaminationConfig
from segdoor.experiment.config import (
    ControlsConfig,
    ExperimentConfig,
    Method,
    Preset,
    Reading,
    config_from,
)
from segdoor.experiment.fidelity import Tree, merged, told_of_data
from segdoor.settings import Settings, brief
from segdoor.victim.config import NetworkConfig, TrainingConfig


@Parameter(name="*", group="What")
class WhatOptions(Settings):
    """The choices that others follow from."""

    title: str = "Influencer backdoor attack"
    """What this is about, in a line."""
    seed: int = 0
    """Seed of poison and training."""
    reading: Reading = "paper"
    """Follow the paper, or the authors' code where it differs."""
    method: Method = "baseline"
    """The paper's attack: where triggers are placed, and whether pixels are relabelled."""
    preset: Preset = "fast"
    """The recipe that the training options start from."""


Data = Annotated[DataConfig | None, Parameter(group="Scenes")]
Attack = Annotated[AttackOptions | None, Parameter(group="Attack")]
Exams = Annotated[ExamsConfig | None, Parameter(group="Poisoned tests")]
Network = Annotated[NetworkConfig | None, Parameter(group="Network")]
Training = Annotated[TrainingConfig | None, Parameter(group="Training")]
Examination = Annotated[ExaminationConfig | None, Parameter(group="Examination")]
Controls = Annotated[ControlsConfig | None, Parameter(group="Controls")]


@Parameter(name="*", group="Your own network")
@dataclass(frozen=True, kw_only=True)
class VictimOptions:
    """Short forms for a network of one's own."""

    victim: str | None = None
    """Short for network: a known network, or package.module:factory; settings may follow."""
    weights: Path | None = None
    """Short for network.weights: a .safetensors file, or a .pth of tensors alone."""

    def tree(self) -> Tree:
        """Return these options as settings."""
        given = {"name": self.victim, "weights": self.weights}
        named = {key: value for key, value in given.items() if value is not None}
        return {"network": named} if named else {}


def configuration(
    file: Path | None,
    what: WhatOptions | None = None,
    victim: VictimOptions | None = None,
    **sections: BaseModel | None,
) -> ExperimentConfig:
    """Merge a file and options; only what was given is set in the result.

    Args:
        file: A YAML file, or None.
        what: Options at the top level.
        victim: Short forms.
        sections: The other options by section, None where nothing was given.

    Raises:
        DataError: If the file is missing or no YAML.
        ConfigError: If a key is unknown or a value breaks its rule.
    """
    tree: Tree = {}
    if file:
        tree = config_from(read_yaml(file), source=file).model_dump(exclude_unset=True)
    top = what.model_dump(exclude_unset=True) if what else {}
    options: Tree = {
        name: section.model_dump(exclude_unset=True)
        for name, section in sections.items()
        if section
    }
    for layer in (top, options, victim.tree() if victim else {}):
        tree = merged(tree, layer)
    config = config_from(tree, source="--")
    if "attack" in sections and (told := told_of_data(config)):
        remark(told)
    return config


def read_yaml(path: Path) -> Mapping[str, object]:
    """Read a YAML file of plain values.

    Raises:
        DataError: If it is missing, no YAML, or not a mapping.
    """
    content = plain_yaml.read_yaml(path, remedy="Check the path.")
    if content is None:
        return {}
    named = isinstance(content, dict) and all(isinstance(key, str) for key in content)
    if not named:
        found = ", ".join(map(str, content)) if isinstance(content, dict) else type(content)
        raise DataError(
            path, "must hold settings by name", brief(found), "Write 'seed: 0', for example."
        )
    return cast("Mapping[str, object]", content)
