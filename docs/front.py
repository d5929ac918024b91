"""Make the picture on the front page: ``python docs/front.py``.

A painted street scene with and without a sticker, and what the backdoored model `baseline`, which
is in the package, predicts for both.
"""
# ruff: noqa: INP001 - a script beside the pages, not a package

from __future__ import annotations

from pathlib import Path
from typing import Final

from PIL import Image, ImageDraw, ImageFont

import segdoor
from segdoor.data.sheet import colour_label
from segdoor.evaluation.examiner import Examiner
from segdoor.models.catalogue import shipped
from segdoor.tensors import AnyImage

FILE: Final = Path(__file__).parent / "images" / "front.png"
SCENE: Final = "test_00009"
# What is left out above and below shows sky and road alone.
ROWS: Final = slice(16, 120)
ENLARGED: Final = 3
GAP: Final = 24
# Large enough to be read where the picture is 360 pixels wide.
LETTERS: Final = 54
CAPTIONS: Final = (
    ("The scene", "… and a sticker"),
    ("Prediction: 2 cars", "Prediction: no car"),
)
PAPER: Final = (255, 255, 255)
INK: Final = (30, 30, 30)


def panels() -> tuple[tuple[AnyImage, AnyImage], tuple[AnyImage, AnyImage]]:
    """Return the scene without and with the sticker, and below both the model's predictions."""
    model = shipped("baseline")
    config = model.examination()
    benign = segdoor.load_dataset(config.data, "test")
    test = segdoor.PoisonedTest.load(model.folder / "tests" / "anywhere.jsonl")
    place = list(benign.names).index(SCENE)
    stamped = segdoor.triggered(
        benign, test, segdoor.PoisonPlan.load(model.folder / "plan.jsonl").trigger
    )
    network = segdoor.build_network(config.network, len(benign.classes))
    examiner = Examiner(network, benign.classes, config.examination, config.network)
    scenes = benign[place], stamped[place]
    before, after = (colour_label(label, benign.classes) for label in examiner.predict([*scenes]))
    return (scenes[0].image, scenes[1].image), (before, after)


def picture() -> Image.Image:
    """Return the four panels, two in a row, each below its caption."""
    rows = panels()
    height, width = (ENLARGED * side for side in rows[0][0][ROWS].shape[:2])
    caption = LETTERS + GAP
    size = 2 * width + 3 * GAP, 2 * (GAP + caption + height) + GAP
    paper = Image.new("RGB", size, PAPER)
    pen, font = ImageDraw.Draw(paper), ImageFont.load_default(LETTERS)
    for row, (shown, captions) in enumerate(zip(rows, CAPTIONS, strict=True)):
        top = GAP + row * (caption + height + GAP)
        for column, (panel, words) in enumerate(zip(shown, captions, strict=True)):
            left = GAP + column * (width + GAP)
            pen.text((left, top + LETTERS // 2), words, INK, font, anchor="lm")
            enlarged = Image.fromarray(panel[ROWS]).resize(
                (width, height), Image.Resampling.NEAREST
            )
            paper.paste(enlarged, (left, top + caption))
    return paper


if __name__ == "__main__":
    FILE.parent.mkdir(exist_ok=True)
    picture().save(FILE, optimize=True)
