"""Procedural street scenes: the embedded data set, any number at any size, without files.

A scene is painted far to near. ``drawing`` holds canvas and camera, ``backdrop``
sky and ground, ``buildings`` the houses, ``cars`` and ``things`` what stands
in the street, ``motifs`` the signs and posters that a trigger must compete with.
"""

from __future__ import annotations

import functools
import hashlib
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from segdoor.data.scene import ClassSet, Scene
from segdoor.data.street.backdrop import (
    Street,
    paint_ground,
    paint_sky,
    place_camera,
    plan_street,
    soft_noise,
)
from segdoor.data.street.buildings import paint_row, paint_skyline
from segdoor.data.street.cars import paint_car
from segdoor.data.street.clutter import strew
from segdoor.data.street.drawing import (
    CAR,
    IGNORED,
    PERSON,
    POLE,
    VEGETATION,
    Brush,
    Camera,
    Canvas,
)
from segdoor.data.street.things import (
    paint_bush,
    paint_lamppost,
    paint_person,
    paint_sign,
    paint_stand,
    paint_tree,
)
from segdoor.data.transforms import Size
from segdoor.errors import ConfigError
from segdoor.randomness import Stream
from segdoor.tensors import Image, Label

GENERATOR_VERSION = 1
"""Raise it with every change to what is painted: digests and caches follow it."""

SPLITS = ("train", "test")
SMALLEST = 32
STREET_CLASSES = ClassSet(
    names=("road", "sidewalk", "building", "sky", "car", "person", "vegetation", "pole"),
    colours=((128, 64, 128), (244, 35, 232), (70, 70, 70), (70, 130, 180), (0, 0, 142),
             (220, 20, 60), (107, 142, 35), (153, 153, 153)),
)  # fmt: skip
"""In the order of the class ids of ``drawing``; a pole includes the signs that it bears."""

GRAIN = np.array([9, 11, 9, 3, 3, 4, 30, 4], np.float32)
"""How rough each class's surface is, in grey levels."""


class StreetDataset:
    """Street scenes with cars, made up on demand.

    A scene depends on seed, split, index and size alone, so any prefix of a data set is the
    same however long it is and in whatever order it is read.
    """

    def __init__(
        self,
        *,
        split: str,
        num_scenes: int,
        height: int = 128,
        width: int = 256,
        seed: int = 0,
        clutter: int = 0,
    ) -> None:
        """Check the settings; nothing is painted yet.

        Args:
            split: "train" or "test"; the two share no scene.
            num_scenes: How many scenes.
            height: Height in pixels, at least 32.
            width: Width in pixels, at least 32.
            seed: Another seed is another city.
            clutter: How many small bright pictures lie about in a scene at most; without, or with
                another number, streets and labels are the same.

        Raises:
            ConfigError: If a setting breaks its rule.
        """
        if split not in SPLITS:
            raise ConfigError("street: split", "must be train or test", split, "Name one of them.")
        for name, value, least in (
            ("num_scenes", num_scenes, 1), ("height", height, SMALLEST), ("width", width, SMALLEST),
            ("clutter", clutter, 0),
        ):  # fmt: skip
            if value < least:
                raise ConfigError(
                    f"street: {name}",
                    f"must be at least {least}",
                    value,
                    f"Raise {name}.",
                )
        self._split = split
        self._names = tuple(f"{split}_{index:05d}" for index in range(num_scenes))
        self._height = height
        self._width = width
        self._seed = seed
        self._clutter = clutter

    @property
    def classes(self) -> ClassSet:
        """The eight classes of a street."""
        return STREET_CLASSES

    @property
    def names(self) -> Sequence[str]:
        """Names such as ``train_00017``, in order."""
        return self._names

    @property
    def digest(self) -> str:
        """A hash over the settings and the version of the painter."""
        settings = (
            GENERATOR_VERSION,
            self._split,
            len(self),
            self._height,
            self._width,
            self._seed,
            # Without clutter the digest is that of the time before there was any.
            *((("clutter", self._clutter),) if self._clutter else ()),
        )
        return hashlib.sha256(repr(("street", *settings)).encode()).hexdigest()

    def scene_size(self, index: int) -> Size:
        """Return the height and width, which all scenes share."""
        del index
        return self._height, self._width

    def __len__(self) -> int:
        """Return the number of scenes."""
        return len(self._names)

    def __getitem__(self, index: int) -> Scene:
        """Paint one scene."""
        number = range(len(self))[index]
        stream = self._stream(number)
        canvas = _painted(stream.generator(), self._height, self._width)
        image = _photographed(canvas, stream.child("photograph").generator())
        if self._clutter:
            litter = stream.child("clutter").generator()
            image = strew(image, canvas.label, self._clutter, litter)
        return Scene(image=image, label=canvas.label, name=self._names[number])

    def label(self, index: int) -> Label:
        """Paint one scene's label map alone."""
        number = range(len(self))[index]
        return _painted(self._stream(number).generator(), self._height, self._width).label

    def _stream(self, number: int) -> Stream:
        return Stream(self._seed).child("street", self._split, number)


Painter = Callable[[Brush, np.random.Generator], None]

FURNITURE: tuple[tuple[Painter, int, int, float], ...] = (
    (paint_person, PERSON, 7, 0.2),
    (paint_tree, VEGETATION, 4, 0.0),
    (paint_bush, VEGETATION, 2, 0.0),
    (paint_lamppost, POLE, 4, 0.0),
    (paint_sign, POLE, 4, 0.05),
    (paint_stand, POLE, 3, 0.15),
)
"""Who paints it, its class, how many at most, and which share of them stands on the road."""


@dataclass(frozen=True)
class _Thing:
    """Something to paint: how far ahead and across it stands, its class, and who paints it."""

    ahead: float
    across: float
    class_id: int
    paint: Painter


def _painted(rng: np.random.Generator, height: int, width: int) -> Canvas:
    """Paint a street, far to near."""
    canvas = Canvas(height, width)
    street = plan_street(rng)
    camera = place_camera(rng, street, height, width)
    paint_sky(canvas, camera, street, rng)
    paint_skyline(canvas, camera, rng)
    paint_ground(canvas, camera, street, rng)
    for side in (-1, 1):
        paint_row(canvas, camera, street, side, rng)
    things = [*_furniture(street, rng), *_cars(street, rng)]
    for thing in sorted(things, key=lambda thing: -thing.ahead):
        thing.paint(Brush(canvas, camera, thing.across, thing.ahead, thing.class_id), rng)
    _hide_some(canvas, camera, rng)
    return canvas


def _furniture(street: Street, rng: np.random.Generator) -> list[_Thing]:
    """Choose what stands on the pavements and, now and then, on the road."""
    things: list[_Thing] = []
    for paint, class_id, most, on_road in FURNITURE:
        for _ in range(int(rng.random() * (most + 1))):
            ahead = 4.5 * 10.0 ** (0.9 * rng.random())
            place, share = rng.random(), 0.15 + 0.7 * rng.random()
            if place < on_road:
                edge, wall = street.left, street.right
            elif place < (1 + on_road) / 2:
                edge, wall = street.left, street.left_wall
            else:
                edge, wall = street.right, street.right_wall
            things.append(_Thing(ahead, edge + (wall - edge) * share, class_id, paint))
    return things


def _cars(street: Street, rng: np.random.Generator) -> list[_Thing]:
    """Choose cars that do not stand in one another: parked, driving, oncoming, crossing."""
    if rng.random() < 0.125:
        return []
    cars: list[_Thing] = []
    for _ in range(1 + int(rng.random() * 6)):
        across, heading = _lane(street, rng)
        ahead = 5.2 * 10.0 ** (0.95 * rng.random() ** 1.15)
        if all(abs(ahead - car.ahead) > 5.2 or abs(across - car.across) > 2.3 for car in cars):
            paint = functools.partial(paint_car, heading=heading)
            cars.append(_Thing(ahead, across, CAR, paint))
    return cars


def _lane(street: Street, rng: np.random.Generator) -> tuple[float, float]:
    """Choose where across the road a car stands and where it is headed."""
    middle = (street.left + street.right) / 2
    wobble = 0.16 * (rng.random() - 0.5)
    kind = rng.random()
    if kind < 0.3:
        return street.right - 1.1, wobble
    if kind < 0.5:
        return street.left + 1.1, wobble + (math.pi if rng.random() < 0.7 else 0.0)
    if kind < 0.7:
        return (middle + street.right) / 2 - 0.3, wobble
    if kind < 0.85:
        return (middle + street.left) / 2, math.pi + wobble
    across = street.left + (street.right - street.left) * rng.random()
    return across, math.pi * (0.5 if rng.random() < 0.5 else 1.5) + 3 * wobble


def _hide_some(canvas: Canvas, camera: Camera, rng: np.random.Generator) -> None:
    """Ignore the camera car's own bonnet, or a picture's rim, in some scenes as real sets do."""
    height = canvas.pixels.shape[0]
    choice, share = rng.random(), 0.04 + 0.05 * rng.random()
    if choice < 0.18:
        foot = (round(camera.vanishing), height - 1)
        axes = (round(0.62 * height), round(share * height))
        ink = (46, 48, 54, IGNORED)
        cv2.ellipse(canvas.pixels, foot, axes, 0, 180, 360, ink, cv2.FILLED)
    elif choice < 0.3:
        rim = max(1, height // 64)
        inner = np.s_[rim:-rim, rim:-rim, 3]
        kept = canvas.pixels[inner].copy()
        canvas.pixels[..., 3] = IGNORED
        canvas.pixels[inner] = kept


def _photographed(canvas: Canvas, rng: np.random.Generator) -> Image:
    """Give surfaces their grain, then blur, expose and add the noise of a sensor."""
    height, width = canvas.pixels.shape[:2]
    label = canvas.label
    grain = np.append(GRAIN, np.zeros(248, np.float32))[label]
    coarse = soft_noise(rng, 24, 48, height, width) + soft_noise(rng, 56, 112, height, width) - 1
    picture = canvas.image + (grain * coarse)[..., None]
    picture = np.clip(picture, 0, 255).astype(np.uint8)
    picture = cv2.GaussianBlur(picture, (3, 3), 0.3 + 0.5 * float(rng.random()))
    light = (0.72 + 0.5 * float(rng.random())) * (0.95 + 0.1 * rng.random(3))
    level = 2 + int(rng.random() * 8)
    noise = rng.integers(-level, level + 1, picture.shape, np.int8)
    return np.clip(picture * light.astype(np.float32) + noise, 0, 255).astype(np.uint8)
