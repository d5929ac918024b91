"""What the physical test varies: one thing at a time, from one usual situation."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final, Literal, get_args

from segdoor.errors import ConfigError

Surface = Literal["flat sticker", "board", "ground", "wall", "vehicle"]
"""What the sticker is on. The flat sticker is that of the training, stamped where the board would
be; a board stands upright on the ground; ground, wall and vehicle are classes of the scene."""
SURFACES: Final[tuple[Surface, ...]] = get_args(Surface)

Stage = Literal["perspective", "printer", "light", "sensor", "JPEG"]
"""Parts of the rendering, in their order."""
STAGES: Final[tuple[Stage, ...]] = get_args(Stage)

DISTANCE: Final = 8.0
"""Metres ahead of the camera, where a print of the usual size looks as large as the trigger."""
EXPOSURE: Final = 1 / 60
"""Seconds that the shutter is open."""


@dataclass(frozen=True)
class Situation:
    """A print in a scene, and the light and camera that it is seen by.

    Attributes:
        surface: What it is on.
        distance: Metres ahead of the camera; for boards.
        yaw: Degrees that a board is turned away from the camera.
        scale: Its side, as a multiple of the usual one.
        gamut: How far the printer is from a perfect one; 1 is the assumed printer.
        light: Light on it, as a multiple of that on its surroundings.
        focus: Diameter of a point out of focus, as a share of the side in the picture.
        speed: Metres a second that it moves across the view.
        electrons: What a pixel of the sensor holds at white.
        quality: Quality of JPEG.
        hidden: Share that is hidden by something before it.
        stages: Which parts of the rendering there are.
    """

    surface: Surface = "board"
    distance: float = DISTANCE
    yaw: float = 0.0
    scale: float = 1.0
    gamut: float = 1.0
    light: float = 1.0
    focus: float = 0.0
    speed: float = 0.0
    electrons: float = 4000.0
    quality: int = 92
    hidden: float = 0.0
    stages: tuple[Stage, ...] = STAGES


USUAL: Final = Situation()
"""A board of the usual size, facing the camera, 8 m ahead."""


@dataclass(frozen=True)
class AxisPoint:
    """One value of an axis.

    Attributes:
        name: The value in words.
        value: The value as a number; None where it is none.
        situation: The situation, the usual one but for the axis.
    """

    name: str
    value: float | None
    situation: Situation


@dataclass(frozen=True)
class Axis:
    """What is varied, and its values.

    Attributes:
        name: Its name.
        title: What the numbers are, with their unit.
        points: The values in order.
    """

    name: str
    title: str
    points: tuple[AxisPoint, ...]


def _numbers(name: str, title: str, setting: str, values: tuple[float, ...], form: str) -> Axis:
    points = [
        AxisPoint(
            form.format(value), value,
            replace(USUAL, **{setting: int(value) if setting == "quality" else value}),
        )
        for value in values
    ]  # fmt: skip
    return Axis(name, title, tuple(points))


_ALL = (
    Axis(
        "surface", "what the sticker is on",
        tuple(AxisPoint(name, None, replace(USUAL, surface=name)) for name in SURFACES),
    ),
    Axis(
        "stage", "how far the rendering goes",
        (
            AxisPoint("flat sticker", None, replace(USUAL, surface="flat sticker")),
            *(
                AxisPoint(
                    f"+ {stage}" if n else stage, None, replace(USUAL, stages=STAGES[: n + 1])
                )
                for n, stage in enumerate(STAGES)
            ),
        ),
    ),
    _numbers("distance", "metres ahead of the camera", "distance",
             (4.0, 5.6, 8.0, 11.3, 16.0, 24.0), "{:g} m"),
    _numbers("angle", "degrees turned away", "yaw",
             (0.0, 15.0, 30.0, 45.0, 60.0, 75.0), "{:g} deg"),
    _numbers("size", "side, as a multiple of the usual one", "scale",
             (0.5, 0.7, 1.0, 1.4, 2.0), "x {:g}"),
    _numbers("gamut", "how far the printer is from a perfect one", "gamut",
             (0.0, 0.125, 0.25, 0.5, 1.0), "{:g}"),
    _numbers("light", "light on it, as a multiple of the surroundings'", "light",
             (0.125, 0.25, 0.5, 1.0, 2.0), "x {:g}"),
    _numbers("focus", "disc of a point out of focus, as a share of the side", "focus",
             (0.0, 0.1, 0.2, 0.4, 0.6), "{:g}"),
    _numbers("motion", "metres a second across the view, shutter 1/60 s", "speed",
             (0.0, 5.0, 10.0, 20.0, 30.0), "{:g} m/s"),
    _numbers("noise", "electrons at white", "electrons",
             (30.0, 120.0, 500.0, 4000.0), "{:g}"),
    _numbers("jpeg", "quality of JPEG", "quality", (10.0, 30.0, 50.0, 75.0, 92.0), "{:g}"),
    _numbers("occlusion", "share of it that is hidden", "hidden",
             (0.0, 0.125, 0.25, 0.5, 0.75), "{:g}"),
)  # fmt: skip
AXES: Final[Mapping[str, Axis]] = {axis.name: axis for axis in _ALL}
"""The axes by name."""


_OWN: Final[Mapping[str, tuple[Stage, ...]]] = {
    "gamut": ("perspective", "printer"),
    "noise": ("perspective", "sensor"),
    "jpeg": ("perspective", "JPEG"),
    "stage": STAGES,
}
"""Parts of the rendering that an axis needs."""


def axes_named(names: tuple[str, ...], *, ideal: bool = False) -> tuple[Axis, ...]:
    """Return the axes of some names, all of them for none.

    Args:
        names: The names.
        ideal: Whether to leave out printer, light, sensor and JPEG, except where they are varied.

    Raises:
        ConfigError: If there is none of a name.
    """
    for name in names:
        if name not in AXES:
            known = ", ".join(AXES)
            raise ConfigError("--axis", "must be a known axis", name, f"Known: {known}.")
    found = [AXES[name] for name in names or AXES]
    return tuple(_ideal(axis) if ideal else axis for axis in found)


def _ideal(axis: Axis) -> Axis:
    stages = _OWN.get(axis.name, STAGES[:1])
    points = [
        replace(
            point,
            situation=replace(
                point.situation,
                stages=tuple(stage for stage in point.situation.stages if stage in stages),
            ),
        )
        for point in axis.points
    ]
    return replace(axis, points=tuple(points))
