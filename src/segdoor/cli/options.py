"""A YAML file and options of the same names, merged into one configuration."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, cast

from cyclopts import Parameter
from pydantic import BaseModel

from segdoor import plain_yaml
from segdoor.cli.choices import AttackOptions
from segdoor.cli.panels import ATTACK, DATA, NETWORK, TESTS, TRAINING, WHAT
from segdoor.cli.screen import remark
from segdoor.errors import DataError
from segdoor.experiment.config import ExperimentConfig, Method, Reading
from segdoor.experiment.resolving import Asked, merged
from segdoor.experiment.wishes import (
    ControlsWishes,
    DataWishes,
    ExaminationWishes,
    NetworkWishes,
    PoisonedTestsWishes,
    TrainingWishes,
    wishes_from,
)
from segdoor.papers.iba.reading import asked, told_of_data
from segdoor.settings import Tree, Wishes, brief
from segdoor.victim.config import Preset


@Parameter(name="*", group=WHAT)
class WhatOptions(Wishes):
    """The choices that others follow from."""

    facts = ExperimentConfig
    title: str | None = None
    seed: int | None = None
    reading: Reading | None = None
    method: Method | None = None
    preset: Preset | None = None


Data = Annotated[DataWishes | None, Parameter(group=DATA)]
Attack = Annotated[AttackOptions | None, Parameter(group=ATTACK)]
Tests = Annotated[PoisonedTestsWishes | None, Parameter(group=TESTS)]
Network = Annotated[NetworkWishes | None, Parameter(group=NETWORK)]
Training = Annotated[TrainingWishes | None, Parameter(group=TRAINING)]
Examination = Annotated[ExaminationWishes | None, Parameter(group=TESTS)]
Controls = Annotated[ControlsWishes | None, Parameter(group=TESTS)]


@Parameter(name="*", group=NETWORK)
@dataclass(frozen=True, kw_only=True)
class ModelOptions:
    """Short forms for a network of one's own."""

    model: str | None = None
    """The network: a built-in one such as pspnet, or package.module:factory of your own, whose code
    is run. With torchscript, the code in the file is run: use only files that you trust. Short for
    --network."""
    weights: Path | None = None
    """Weights to load: .safetensors, or .pth with tensors only. For onnx and torchscript, the model
    file. Short for --network.weights."""

    def tree(self) -> Tree:
        """Return these options as settings."""
        given = {"name": self.model, "weights": self.weights}
        named = {key: value for key, value in given.items() if value is not None}
        return {"network": named} if named else {}


def configuration(
    file: Path | None,
    what: WhatOptions | None = None,
    model: ModelOptions | None = None,
    **sections: BaseModel | None,
) -> Asked:
    """Merge a file and options into what is asked for.

    Args:
        file: A YAML file, or None.
        what: Options at the top level.
        model: Short forms.
        sections: The other options by section, None where nothing was given.

    Raises:
        DataError: If the file is missing or no YAML.
        ConfigError: If a key is unknown or a value breaks its rule.
    """
    tree = wishes_from(read_yaml(file), source=file).tree() if file else Tree()
    options: Tree = {
        name: section.model_dump(exclude_defaults=True)
        for name, section in sections.items()
        if section
    }
    for layer in (what.tree() if what else {}, options, model.tree() if model else {}):
        tree = merged(tree, layer)
    wishes = wishes_from(tree, source="--")
    if "attack" in sections and (told := told_of_data(wishes)):
        remark(told)
    return asked(wishes)


def read_yaml(path: Path) -> Mapping[str, object]:
    """Read a YAML file of plain values.

    Raises:
        DataError: If it is missing, no YAML, or not a mapping.
    """
    if path.is_dir():
        raise DataError(
            path, "must be a YAML file with settings", "a folder",
            f"For the data set in it: --data.name folder --data.root {path}.",
        )  # fmt: skip
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
