"""A user's own study without a paper: every combination of values of any settings of a run."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, cast

from pydantic import ConfigDict, Field, field_validator, model_validator

from segdoor.errors import ConfigError
from segdoor.experiment.config import Reading
from segdoor.experiment.resolving import in_full, merged
from segdoor.record import AxisValue
from segdoor.settings import Tree, brief
from segdoor.study.config import Preset, Study, WrittenMethod
from segdoor.study.expand import Place, Point
from segdoor.study.paper import AnyPaper, Reported, every_test, nothing_before, nothing_scaled

OWN = "none"
"""The paper in the records of such studies."""

_ELSEWHERE = {
    "seed": "Name seeds in the preset, or by --seeds.",
    "reading": "Use --reading.",
    "preset": "Use --preset.",
    "title": "It has no effect here.",
    "data.root": "Use --root.",
    "with": "Write 'with' beside 'grid': these defenses are measured on every run.",
}


class GridStudy(Study):
    """A study whose axes are settings of `segdoor run` by their dotted names."""

    grid: dict[str, tuple[Any, ...]] = Field(min_length=1)
    """Values by setting, as attack.rate: [0.05, 0.2]; a run for every combination."""
    with_: tuple[WrittenMethod, ...] = Field(default=(), alias="with")
    """Methods of defense measured on every run, as `segdoor defend --with` takes them; all stands
    for every method that comes along and needs no setting."""

    without: tuple[dict[str, Any], ...] = ()
    """Combinations to leave out, each as values by setting: a point that has them all is no run."""

    @field_validator("with_", mode="before")
    @classmethod
    def _all_are_named(cls, given: object) -> object:
        if not isinstance(given, list | tuple) or "all" not in given:
            return given
        # Imported late: methods bring torch.
        from segdoor.experiment.bench.methods import without_settings  # noqa: PLC0415

        told = cast("Sequence[object]", given)
        return [name for one in told for name in (without_settings() if one == "all" else (one,))]

    @field_validator("grid")
    @classmethod
    def _axes_are_settings(cls, grid: dict[str, tuple[Any, ...]]) -> dict[str, tuple[Any, ...]]:
        for axis, values in grid.items():
            if axis in _ELSEWHERE:
                raise ConfigError(f"grid.{axis}", "is no axis of a grid", axis, _ELSEWHERE[axis])
            if not values:
                raise ConfigError(f"grid.{axis}", "must have at least one value", "", "Add one.")
        return grid

    @model_validator(mode="after")
    def _leaves_out_points(self) -> GridStudy:
        for place, apart in enumerate(self.without):
            for axis, value in apart.items():
                if value not in self.grid.get(axis, ()):
                    told = f"{axis}: {brief(value)}"
                    rule = "must name axes and values of the grid"
                    raise ConfigError(f"without.{place}", rule, told, "Write it as in the grid.")
        return self

    def has(self, chosen: Mapping[str, object]) -> bool:
        """Tell whether a combination of values is not left out.

        Args:
            chosen: A value for every axis.
        """
        return not any(
            apart and all(chosen[axis] == value for axis, value in apart.items())
            for apart in self.without
        )


class GridPoint(Point):
    """A combination of values: its fields are the axes of the study's file."""

    model_config = ConfigDict(extra="allow")

    def __hash__(self) -> int:
        """Return a hash of the values, which pydantic leaves out of its own."""
        return hash(tuple(self.model_dump().items()))

    def clean(self) -> GridPoint:
        """Return the place of the clean model that is examined as this point's is."""
        return GridPoint(**{**self.model_dump(), "clean": True})


def without_paper(paper: AnyPaper) -> AnyPaper:
    """Return the paper object for users' own studies, on the presets of a paper."""
    return replace(
        paper, name=OWN, study=GridStudy, places=places, reported=_nothing_reported, orderings={},
        tables=(), tests=every_test, scaled=nothing_scaled, newest=1, before=nothing_before,
    )  # fmt: skip


def places(study: GridStudy, preset: Preset, reading: Reading) -> Iterator[Place]:
    """Yield every combination of the grid's values, with the settings of its runs."""
    del reading
    # Imported late: methods bring torch.
    from segdoor.experiment.bench.methods import are_repairs  # noqa: PLC0415

    methods = tuple(dict.fromkeys(study.with_))
    # The bench does the repairs as well.
    repairs = {spec: spec for spec in methods if are_repairs([spec])}
    for values in itertools.product(*study.grid.values()):
        chosen = dict(zip(study.grid, values, strict=True))
        if not study.has(chosen):
            continue
        point = GridPoint(**{axis: in_a_word(value) for axis, value in chosen.items()})
        yield Place(point, _network_of(preset), repairs, _settings(chosen, preset), methods)


def in_a_word(value: object) -> AxisValue:
    """Return a value as labels show it."""
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, Mapping):
        told = cast("Mapping[str, object]", value)
        return ",".join(f"{name}={in_a_word(inner)}" for name, inner in told.items())
    if isinstance(value, Sequence):
        return "+".join(str(in_a_word(inner)) for inner in cast("Sequence[object]", value))
    return brief(value)


def _settings(chosen: Mapping[str, object], preset: Preset) -> Tree:
    """Return values by dotted names as a tree of settings."""
    tree: Tree = {}
    for axis, value in chosen.items():
        leaf: object = _network(str(value), preset) if axis == "network" else value
        for part in reversed(axis.split(".")):
            leaf = {part: leaf}
        tree = merged(tree, in_full(cast("Tree", leaf)))
    return tree


def _network(name: str, preset: Preset) -> Tree:
    """Return a network by its name in the preset, or one that is built in or the user's own."""
    known = preset.networks.get(name)
    return known.tree() if known else {"name": name}


def _network_of(preset: Preset) -> Tree:
    """Return the first network of a preset: that of grids without the axis network."""
    first = next((network for network in preset.networks.values() if network), None)
    return {"network": first.tree()} if first else {}


def _nothing_reported(found: object) -> Iterator[Reported]:
    del found
    yield from ()
