"""What stands in the street besides cars: persons, trees, lampposts, signs and stands.

A new thing is one function of (brush, rng) and one line in ``FURNITURE`` in ``street.py``.
"""

from __future__ import annotations

import numpy as np

from segdoor.data.scene import Colour
from segdoor.data.street.drawing import Brush, picked, scaled, varied
from segdoor.data.street.motifs import paint_motif

CLOTHES: tuple[Colour, ...] = (
    (40, 42, 52), (60, 74, 110), (130, 40, 44), (180, 176, 168), (84, 96, 70), (196, 150, 60),
    (110, 84, 120), (40, 96, 110), (96, 92, 90), (214, 110, 90),
)  # fmt: skip
SKINS: tuple[Colour, ...] = (
    (224, 180, 150),
    (190, 140, 108),
    (120, 84, 62),
    (86, 60, 46),
)
LEAVES: tuple[Colour, ...] = ((62, 92, 40), (84, 112, 48), (48, 78, 46), (110, 120, 52),
                              (128, 96, 44))  # fmt: skip
METAL: tuple[Colour, ...] = (
    (70, 72, 74),
    (110, 112, 112),
    (48, 60, 54),
    (140, 142, 140),
)


def paint_person(brush: Brush, rng: np.random.Generator) -> None:
    """Paint a person, standing or walking."""
    tall = 1.5 + 0.4 * rng.random()
    trousers, coat = picked(rng, CLOTHES), varied(rng, picked(rng, CLOTHES), 14)
    skin, stride = picked(rng, SKINS), 0.32 * rng.random()
    brush.shadow(0.35, 0.3, 0.6)
    hip, shoulder = 0.5 * tall, 0.82 * tall
    for side in (-1, 1):
        foot = side * (0.08 + stride)
        leg = [(foot - 0.08, 0.0), (foot + 0.1, 0.0), (side * 0.1 + 0.09, hip),
               (side * 0.1 - 0.09, hip)]  # fmt: skip
        brush.polygon(leg, trousers)
        hand = side * (0.3 + 0.4 * stride)
        arm = [(hand - 0.05, hip), (hand + 0.06, hip), (side * 0.2 + 0.06, shoulder),
               (side * 0.2 - 0.06, shoulder)]  # fmt: skip
        brush.polygon(arm, scaled(coat, 0.8))
    torso = [
        (-0.19, hip - 0.06),
        (0.19, hip - 0.06),
        (0.24, shoulder),
        (-0.24, shoulder),
    ]
    brush.polygon(torso, coat)
    brush.disc((0.0, 0.92 * tall), 0.13, skin)
    hair = scaled(skin, 0.4)
    brush.box(-0.12, 0.95 * tall, 0.12, tall, hair)


def paint_tree(brush: Brush, rng: np.random.Generator) -> None:
    """Paint a tree with a crown of leafy blobs, lit from above."""
    leaf, tall = varied(rng, picked(rng, LEAVES), 10), 4.0 + 4.0 * rng.random()
    spread = 1.2 + 1.2 * rng.random()
    bark: Colour = (74, 60, 46)
    brush.shadow(spread, 0.8 * spread, 0.75)
    brush.box(-0.13, 0.0, 0.13, 0.6 * tall, bark)
    blobs: list[list[float]] = rng.random((14, 3)).tolist()
    # From the bottom up, so that the brighter upper leaves lie in front.
    for across, up, size in sorted(blobs, key=lambda blob: blob[1]):
        centre = (spread * (across - 0.5) * 1.5, tall * (0.52 + 0.46 * up))
        brush.disc(centre, spread * (0.3 + 0.3 * size), scaled(leaf, 0.6 + 0.6 * up))


def paint_bush(brush: Brush, rng: np.random.Generator) -> None:
    """Paint a low bush."""
    leaf, size = varied(rng, picked(rng, LEAVES), 10), 0.4 + 0.5 * rng.random()
    brush.shadow(size, 0.4 * size, 0.7)
    blobs: list[list[float]] = rng.random((6, 2)).tolist()
    for across, up in sorted(blobs, key=lambda blob: blob[1]):
        centre = (2 * size * (across - 0.5), size * (0.35 + 0.7 * up))
        brush.disc(centre, 0.5 * size, scaled(leaf, 0.65 + 0.5 * up))


def paint_lamppost(brush: Brush, rng: np.random.Generator) -> None:
    """Paint a lamppost whose arm reaches over the road."""
    metal, tall = picked(rng, METAL), 4.5 + 3.0 * rng.random()
    arm = -1.4 if brush.across > 0 else 1.4
    brush.box(-0.08, 0.0, 0.08, tall, metal)
    brush.polygon([(0.0, tall - 0.1), (arm, tall), (arm, tall + 0.12), (0.0, tall + 0.08)], metal)
    brush.box(min(0.6 * arm, arm), tall, max(0.6 * arm, arm), tall + 0.16, scaled(metal, 1.3))


def paint_sign(brush: Brush, rng: np.random.Generator) -> None:
    """Paint a post with one or two traffic signs, near enough to a sticker to mislead."""
    tall = 2.2 + 0.8 * rng.random()
    brush.box(-0.05, 0.0, 0.05, tall + 0.3, picked(rng, METAL))
    half = 0.28 + 0.22 * rng.random()
    paint_motif(brush, rng, (-half, tall - 2 * half), 2 * half)
    if rng.random() < 0.3:
        paint_motif(brush, rng, (-half, tall - 4 * half - 0.1), 2 * half)


def paint_stand(brush: Brush, rng: np.random.Generator) -> None:
    """Paint an advertising stand, a picture in a frame on short legs."""
    size = 0.8 + 0.6 * rng.random()
    metal = picked(rng, METAL)
    brush.shadow(size / 2, 0.2, 0.6)
    brush.box(-size / 2, 0.0, -size / 2 + 0.1, 0.4, metal)
    brush.box(size / 2 - 0.1, 0.0, size / 2, 0.4, metal)
    brush.box(-size / 2 - 0.06, 0.3, size / 2 + 0.06, 0.42 + size, metal)
    paint_motif(brush, rng, (-size / 2, 0.36), size)
