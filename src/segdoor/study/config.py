"""What a study varies, and what it is run on: two kinds of small files.

A paper adds what it needs to both: its grids, its units, its names for networks and classes.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, ClassVar

from pydantic import AfterValidator, Field, model_validator

from segdoor.data.config import DataConfig
from segdoor.errors import ConfigError
from segdoor.experiment.wishes import (
    AttackWishes,
    ControlsWishes,
    ExaminationWishes,
    NetworkWishes,
    PoisonedTestsWishes,
    TrainingWishes,
)
from segdoor.settings import Settings
from segdoor.victim.config import Preset as Recipe


def _in_writing(spec: str) -> str:
    """Return a repair as it writes itself into records: 0.00001 is 1e-05 there."""
    # Imported late: repairs bring torch.
    from segdoor.defense.repairs.registry import REPAIRS  # noqa: PLC0415

    try:
        return str(REPAIRS.read(spec))
    except ConfigError as why:
        found = f" (found: {why.value})" if why.value else ""
        raise ValueError(f"a repair {why.rule}{found}. {why.remedy}") from None


def _method_in_writing(spec: str) -> str:
    """Return a method of defense, of whatever sort, as it writes itself into records."""
    # Imported late: methods bring torch.
    from segdoor.experiment.bench.methods import read_method  # noqa: PLC0415

    try:
        return str(read_method(spec))
    except ConfigError as why:
        found = f" (found: {why.value})" if why.value else ""
        raise ValueError(f"a method of defense {why.rule}{found}. {why.remedy}") from None


WrittenMethod = Annotated[str, AfterValidator(_method_in_writing)]
WrittenRepair = Annotated[str, AfterValidator(_in_writing)]


class Study(Settings):
    """A table or figure: what it varies and what it can judge."""

    title: str
    """What it is about, in a line."""
    shows: str
    """The table or figure of the paper."""
    paper: str | None = None
    """The paper it is of, where the file is none that comes along; the first one if left out."""
    tables: tuple[str, ...] = ()
    """Tables of the paper whose numbers are shown beside the measured ones."""
    claims: tuple[Annotated[int, Field(ge=1)], ...] = ()
    """Orderings of the paper that it can judge."""


def _at(tree: object, key: str) -> object:
    """Return a setting by its name, or a choice in a list by its kind; None if it is not there."""
    if isinstance(tree, list):
        return next((choice for choice in tree if choice["kind"] == key), None)
    return tree.get(key) if isinstance(tree, dict) else None


class Preset(Settings):
    """What a study is run on: scenes, networks, recipe and seeds."""

    axes: ClassVar[Mapping[str, str]] = {}
    """Settings of runs that are axes of the paper's grids, and their names there."""

    title: str
    """What it is, in a line."""
    recipe: Recipe = "fast"
    """The recipe that `training` starts from."""
    data: DataConfig
    """The scenes."""
    networks: dict[str, NetworkWishes | None]
    """What stands for the paper's networks; null to leave a network out."""
    pretrained: bool = False
    """Whether the networks must start from ImageNet weights."""
    training: TrainingWishes = TrainingWishes()
    """What differs from the recipe."""
    examination: ExaminationWishes = ExaminationWishes()
    """How models are examined."""
    attack: AttackWishes = AttackWishes()
    """What differs of the attack, such as the trigger's picture; never an axis of the grid."""
    tests: PoisonedTestsWishes = PoisonedTestsWishes()
    """What differs of the poisoned tests."""
    controls: ControlsWishes = ControlsWishes()
    """What differs of the controls."""
    seeds: tuple[Annotated[int, Field(ge=0)], ...] = Field(min_length=1)
    """Seeds of every point of the grid."""

    @model_validator(mode="after")
    def _leaves_axes_to_the_grid(self) -> Preset:
        given = {"attack": self.attack.tree(), "tests": self.tests.tree()}
        for setting, axis in self.axes.items():
            tree: object = given
            for key in setting.split("."):
                tree = _at(tree, key)
            if tree is not None:
                raise ConfigError(
                    setting,
                    f"is the axis {axis} of the study's grid and no setting of its preset",
                    tree,
                    f"Choose among its values by --only {axis}=..., or write a study file.",
                )
        return self
