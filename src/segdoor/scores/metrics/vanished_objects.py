"""Vanished objects: how many of the victims are lost as a whole."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, ClassVar, Literal

import numpy as np
from pydantic import Field, model_validator

from segdoor.plugins import Introduction
from segdoor.remedies import RuleError
from segdoor.scores.metrics.metric import Metric, Part, Task
from segdoor.scores.objects import ObjectRows
from segdoor.scores.tables import TableSet
from segdoor.tensors import ObjectMask

Share = Annotated[float, Field(ge=0, lt=1)]
Size = Literal["any", "small", "medium", "large"]
Distance = Literal["any", "near", "middle", "far"]
_SIZES: tuple[Size, ...] = ("small", "medium", "large")
_DISTANCES: tuple[Distance, ...] = ("near", "middle", "far")


class VanishedObjects(Metric):
    """The share of victim objects that lost more than a share of their pixels to the target."""

    kind: ClassVar[str] = "vanished_objects"
    main: ClassVar[str | None] = "share"
    title: ClassVar[str] = "vanished objects"
    meaning: ClassVar[str] = (
        "The share of victim objects (such as cars, however large) that lost more than half of "
        "their pixels to the target class."
    )
    bad: ClassVar[Literal["high", "low"]] = "high"
    introduction: ClassVar[Introduction] = Introduction(
        source="segdoor; a perception system loses objects, not pixels",
        does="Counts victim objects of which most pixels became the target class. Each object "
        "counts once; there are also figures by size and by distance to the trigger.",
        needs="The object rows beside the tables; runs of earlier versions have none.",
        fails="Objects are regions of touching pixels: cars that overlap are one object, and a "
        "car behind a pole is two.",
    )

    share: Share = 0.5
    """An object has vanished if more than this share of its pixels became the target class."""
    min_pixels: int = Field(default=25, ge=1)
    """Smallest object that counts, in pixels; smaller ones are specks in the labels."""
    size_bounds: tuple[Share, Share] = (0.003, 0.03)
    """Where medium and large objects begin, as shares of the scene's counted pixels; the default is
    COCO's 32 x 32 and 96 x 96 pixels of 480 x 640."""
    distance_bounds: tuple[Annotated[float, Field(gt=0)], Annotated[float, Field(gt=0)]] = (
        0.15, 0.4,
    )  # fmt: skip
    """Where middle and far objects begin: the distance from the trigger's centre to the object's
    nearest pixel, divided by the side of a square with as many pixels as the scene counts."""
    size: Size = "any"
    """Count only objects of this size."""
    distance: Distance = "any"
    """Count only objects at this distance from the trigger."""

    @model_validator(mode="after")
    def _bounds_rise(self) -> VanishedObjects:
        for name in ("size_bounds", "distance_bounds"):
            lower, upper = getattr(self, name)
            if lower >= upper:
                raise RuleError(f"{name} must rise", "Give the smaller one first.")
        return self

    @property
    def sentence(self) -> str:
        """Return the sentence, with the share and the smallest size that are in force."""
        lost = "half" if self.share == 0.5 else f"{self.share:.0%}"
        return (
            f"The share of victim objects of {self.min_pixels} pixels or more (such as cars) that"
            f" lost more than {lost} of their pixels to the target class."
        )

    def summands(self, tables: TableSet, task: Task) -> np.ndarray | None:
        """Return each scene's number of vanished objects and of all that count, N x 2."""
        objects = tables.objects
        if objects is None:
            return None
        counted = np.isin(objects.classes, task.victims) & self._counts(objects, tables)
        vanished = counted & (objects.lost > self.share * objects.pixels)
        num_scenes = len(tables.names)
        sums = [np.bincount(objects.scenes[m], minlength=num_scenes) for m in (vanished, counted)]
        return np.stack(sums, axis=1)

    def figure(self, total: np.ndarray, task: Task) -> float:
        """Return the share; NaN without objects."""
        del task
        return int(total[0]) / int(total[1]) if total[1] else float("nan")

    def denominator(self, total: np.ndarray, task: Task) -> int:
        """Return the number of objects."""
        del task
        return int(total[1])

    def parts(self) -> Iterator[Part]:
        """Yield the metric by size, and by distance."""
        for size in _SIZES:
            yield Part("size", size, self.model_copy(update={"size": size}))
        for distance in _DISTANCES:
            yield Part("distance", distance, self.model_copy(update={"distance": distance}))

    def _counts(self, objects: ObjectRows, tables: TableSet) -> ObjectMask:
        """Tell which objects are large enough, and of the size and at the distance asked for."""
        scene = tables.counts.sum(axis=(1, 2))[objects.scenes]
        counted = objects.pixels >= self.min_pixels
        if self.size != "any":
            bounds = np.array(self.size_bounds)
            counted &= _between(objects.pixels / scene, bounds) == _SIZES.index(self.size)
        if self.distance != "any":
            far = _between(objects.distances / np.sqrt(scene), np.array(self.distance_bounds))
            counted &= (far == _DISTANCES.index(self.distance)) & ~np.isnan(objects.distances)
        return counted


def _between(values: np.ndarray, bounds: np.ndarray) -> np.ndarray:
    """Return how many bounds each value reaches."""
    return np.searchsorted(bounds, values, side="right")
