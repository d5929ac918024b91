"""The stage: what kind of street it is, its sky, its road and its pavements."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from jaxtyping import Float32

from segdoor.data.scene import Colour
from segdoor.data.street.drawing import (
    NEAR,
    ROAD,
    SIDEWALK,
    SKY,
    VEGETATION,
    Camera,
    Canvas,
    mixed,
    picked,
    scaled,
    varied,
)

FAR = 220.0
"""Where the road ends, in metres; beyond it lies the skyline."""

ASPHALTS: tuple[Colour, ...] = ((92, 92, 94), (112, 111, 110), (74, 75, 80), (130, 127, 122),
                                (104, 98, 96))  # fmt: skip
SLABS: tuple[Colour, ...] = ((150, 146, 138), (128, 126, 124), (168, 152, 140), (112, 110, 112),
                             (146, 128, 120))  # fmt: skip
GRASS: tuple[Colour, ...] = ((96, 118, 62), (78, 104, 54), (124, 124, 70))
SKIES: tuple[tuple[Colour, Colour, Colour], ...] = (
    ((88, 138, 206), (190, 212, 232), (244, 244, 244)),
    ((120, 164, 214), (214, 222, 228), (250, 250, 250)),
    ((168, 174, 182), (206, 208, 210), (226, 226, 228)),
    ((140, 148, 160), (184, 188, 192), (160, 164, 172)),
    ((108, 118, 160), (236, 190, 150), (244, 214, 190)),
)
"""Zenith, horizon and clouds: clear, hazy, overcast, rainy, evening."""

SUNNY = (0, 1, 4)
"""Which of the skies come with shadows."""


@dataclass(frozen=True)
class Street:
    """The plan of a street; distances in metres, seen from the camera at 0.

    Attributes:
        left: Where the road's left edge runs.
        right: Where the road's right edge runs.
        left_wall: Where the house fronts on the left run.
        right_wall: Where the house fronts on the right run.
        crossing: Where a street crosses, from and to ahead of the camera, if one does.
        left_light: How bright the fronts on the left are, about 1.
        right_light: How bright the fronts on the right are.
        weather: Which of the skies.
    """

    left: float
    right: float
    left_wall: float
    right_wall: float
    crossing: tuple[float, float] | None
    left_light: float
    right_light: float
    weather: int


def plan_street(rng: np.random.Generator) -> Street:
    """Choose the plan of a street."""
    road = 6.0 + 5.0 * rng.random()
    left = -road * (0.35 + 0.3 * rng.random())
    walks = 2.0 + 3.0 * rng.random(2)
    start = 9.0 + 14.0 * rng.random()
    shade = 0.62 + 0.4 * rng.random()
    lights = (shade, 1.05) if rng.random() < 0.5 else (1.05, shade)
    return Street(
        left=left,
        right=left + road,
        left_wall=left - float(walks[0]),
        right_wall=left + road + float(walks[1]),
        crossing=(start, start + 6.0 + 3.0 * rng.random()) if rng.random() < 0.35 else None,
        left_light=lights[0],
        right_light=lights[1],
        weather=int(rng.random() * len(SKIES)),
    )


def place_camera(rng: np.random.Generator, street: Street, height: int, width: int) -> Camera:
    """Choose where the camera looks; all lengths follow the picture's height."""
    return Camera(
        focal=height * (0.95 + 0.35 * rng.random()),
        horizon=height * (0.34 + 0.16 * rng.random()),
        vanishing=width * (0.38 + 0.24 * rng.random()),
        eye=1.3 + 0.8 * rng.random(),
        haze=SKIES[street.weather][1],
        clarity=90.0 + 260.0 * rng.random(),
    )


def soft_noise(
    rng: np.random.Generator, rows: int, columns: int, height: int, width: int
) -> Float32[np.ndarray, "H W"]:
    """Return smooth noise between 0 and 1 with this many bumps down and across.

    The number of draws does not depend on the picture's size, so that a street looks the same
    at any size.
    """
    coarse = rng.integers(0, 256, (rows, columns), np.uint8)
    # The exact variant gives the same bytes on every machine.
    smooth = cv2.resize(coarse, (width, height), interpolation=cv2.INTER_LINEAR_EXACT)
    return np.asarray(smooth, np.float32) / 255


def paint_sky(canvas: Canvas, camera: Camera, street: Street, rng: np.random.Generator) -> None:
    """Fill the canvas above the horizon with a graded sky and clouds."""
    rows, width = int(camera.horizon) + 2, canvas.pixels.shape[1]
    colours = (np.array(varied(rng, part, 8), np.float32) for part in SKIES[street.weather])
    zenith, low, cloud = colours
    share = np.minimum(np.arange(rows, dtype=np.float32) / camera.horizon, 1)[:, None, None]
    sky = zenith + (low - zenith) * share
    noise = 0.6 * soft_noise(rng, 3, 6, rows, width) + 0.4 * soft_noise(rng, 6, 16, rows, width)
    cover = 0.4 + 0.25 * rng.random()
    amount = np.clip((noise - cover) * 5, 0, 0.9)[..., None]
    canvas.pixels[:rows, :, :3] = sky + (cloud - sky) * amount
    canvas.pixels[:rows, :, 3] = SKY


def paint_ground(canvas: Canvas, camera: Camera, street: Street, rng: np.random.Generator) -> None:
    """Paint pavements, road, kerbs and markings."""
    asphalt, slabs = (
        varied(rng, picked(rng, ASPHALTS), 8),
        varied(rng, picked(rng, SLABS), 8),
    )
    _paint_bands(canvas, camera, (-400.0, 400.0, NEAR, FAR), slabs, SIDEWALK)
    for edge, wall in (
        (street.left, street.left_wall),
        (street.right, street.right_wall),
    ):
        _paint_slabs(canvas, camera, edge, wall, scaled(slabs, 0.86))
        if rng.random() < 0.2:
            lawn = (min(edge, wall), max(edge, wall))
            inner = (lawn[0] + 0.5, lawn[1] - 1.2 if wall > edge else lawn[1] - 0.5)
            grass = varied(rng, picked(rng, GRASS), 8)
            _paint_bands(canvas, camera, (*inner, NEAR, FAR), grass, VEGETATION)
    _paint_kerbs(canvas, camera, street, scaled(slabs, 1.18))
    _paint_bands(canvas, camera, (street.left, street.right, NEAR, FAR), asphalt, ROAD)
    if street.crossing:
        _paint_bands(canvas, camera, (-120.0, 120.0, *street.crossing), asphalt, ROAD)
    _paint_wear(canvas, camera, street, asphalt, rng)
    _paint_markings(canvas, camera, street, rng)
    _cast_house_shadows(canvas, camera, street, rng)


def _cast_house_shadows(
    canvas: Canvas, camera: Camera, street: Street, rng: np.random.Generator
) -> None:
    """On sunny days, let the row of houses on the darker side throw its outline on the ground."""
    if street.weather not in SUNNY:
        return
    wall = street.left_wall if street.left_light < street.right_light else street.right_wall
    keep, far = 0.5 + 0.25 * rng.random(), 80.0
    while far > NEAR:
        near = max(NEAR, far * (0.3 + 0.4 * rng.random()))
        reach = wall - wall * (0.2 + 1.5 * rng.random())
        canvas.darken(camera.ground(min(wall, reach), max(wall, reach), near, far), keep)
        far = near - 1.0 - 2.0 * rng.random()


def _paint_bands(
    canvas: Canvas,
    camera: Camera,
    area: tuple[float, float, float, float],
    colour: Colour,
    class_id: int,
) -> None:
    """Paint a rectangle on the ground in bands, the farther the hazier."""
    left, right, near, far = area
    while far > near:
        start = max(near, far * 0.55)
        hazed = camera.hazed(colour, start)
        canvas.fill([camera.ground(left, right, start, far)], hazed, class_id)
        far = start


def _paint_slabs(canvas: Canvas, camera: Camera, edge: float, wall: float, colour: Colour) -> None:
    """Rule the joints between paving slabs, as far as one can see them."""
    left, right = min(edge, wall), max(edge, wall)
    joints = [
        camera.ground(left, right, ahead, ahead + 0.01 * ahead)
        for ahead in (2.5, 3.3, 4.1, 5.0, 6.0, 7.2, 8.6, 10.2, 12.0)
    ]
    canvas.fill(joints, colour, SIDEWALK)
    middle = (left + right) / 2
    canvas.fill([camera.ground(middle, middle + 0.04, NEAR, 20.0)], colour, SIDEWALK)


def _paint_kerbs(canvas: Canvas, camera: Camera, street: Street, colour: Colour) -> None:
    for edge, outward in ((street.left, -0.22), (street.right, 0.22)):
        left, right = min(edge, edge + outward), max(edge, edge + outward)
        canvas.fill([camera.ground(left, right, NEAR, 60.0)], colour, SIDEWALK)


def _paint_wear(
    canvas: Canvas,
    camera: Camera,
    street: Street,
    asphalt: Colour,
    rng: np.random.Generator,
) -> None:
    """Paint mended patches and manhole covers on the road."""
    for _ in range(int(rng.random() * 5)):
        across, ahead = (
            street.left + (street.right - street.left) * rng.random(),
            3 + 15 * rng.random(),
        )
        wide, deep = 0.5 + 1.5 * rng.random(), 0.6 + 4 * rng.random()
        left, right = max(street.left, across - wide), min(street.right, across + wide)
        patch = camera.ground(left, right, ahead, ahead + deep)
        canvas.fill([patch], scaled(asphalt, 0.8 + 0.35 * rng.random()), ROAD)


def _paint_markings(
    canvas: Canvas, camera: Camera, street: Street, rng: np.random.Generator
) -> None:
    """Paint lane dashes, edge lines and at times a zebra crossing or a coloured lane."""
    paint = mixed((232, 232, 226), (170, 168, 160), float(rng.random()))
    middle = (street.left + street.right) / 2
    if rng.random() < 0.25:
        lane: Colour = picked(rng, ((150, 82, 70), (84, 128, 92), (82, 110, 150)))
        area = (street.right - 1.5, street.right - 0.1, NEAR, FAR)
        _paint_bands(canvas, camera, area, lane, ROAD)
    gap = 4.0 + 3.0 * rng.random()
    first = 1.0 + gap * rng.random()
    dashes = [
        camera.ground(middle - 0.07, middle + 0.07, first + gap * step, first + gap * (step + 0.5))
        for step in range(9)
    ]
    canvas.fill(dashes, paint, ROAD)
    if rng.random() < 0.5:
        lines = [camera.ground(edge, edge + 0.12, NEAR, 70.0)
                 for edge in (street.left + 0.25, street.right - 0.37)]  # fmt: skip
        canvas.fill(lines, paint, ROAD)
    if rng.random() < 0.3:
        _paint_zebra(canvas, camera, street, 4.0 + 8.0 * rng.random(), paint)


def _paint_zebra(
    canvas: Canvas, camera: Camera, street: Street, ahead: float, paint: Colour
) -> None:
    count = int((street.right - street.left - 0.4) / 0.9)
    bars = [
        camera.ground(
            street.left + 0.3 + 0.9 * bar,
            street.left + 0.75 + 0.9 * bar,
            ahead,
            ahead + 3,
        )
        for bar in range(count)
    ]
    canvas.fill(bars, paint, ROAD)
