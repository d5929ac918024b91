"""Data sets of real files, written for a test."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import numpy as np
from PIL import Image as PillowImage

from segdoor.attack.materialise import CopyOrder, new_copy
from segdoor.attack.plan import PoisonPlan
from segdoor.data.pairs import FileDataset
from segdoor.data.splits import Splits
from segdoor.data.street import StreetDataset
from segdoor.progress import Silent
from segdoor.workers import Alone

PALETTE = list(np.random.default_rng(0).integers(0, 256, 768))
SIZES = [(48, 64), (40, 80), (64, 48)]


def write_source(root: Path, *, ending: str, palette: bool) -> None:
    """Write nine scenes of three sizes as a data set of files, with a file of no scene."""
    for part in ("images", "labels"):
        (root / part / "train").mkdir(parents=True)
    for index in range(9):
        height, width = SIZES[index % 3]
        scene = StreetDataset(split="train", num_scenes=9, height=height, width=width)[index]
        save_image(root / "images" / "train" / f"s{index}.{ending}", scene.image)
        label = PillowImage.fromarray(scene.label)
        if palette:
            label.putpalette([int(value) for value in PALETTE])
        label.save(root / "labels" / "train" / f"s{index}.png")
    names = StreetDataset(split="train", num_scenes=1).classes.names
    (root / "classes.yaml").write_text(json.dumps({"classes": list(names)}))
    (root / "notes.txt").write_text("nothing of a scene")


def write_copy(
    dataset: FileDataset, plan: PoisonPlan, order: CopyOrder, splits: Splits | None = None
) -> None:
    """Write a poisoned copy with nothing else beside it."""
    with new_copy(dataset, plan, order, workers=Alone(), observer=Silent(), splits=splits):
        pass


def save_image(path: Path, image: np.ndarray) -> None:
    options = {"quality": 83, "subsampling": "4:2:0"} if path.suffix == ".jpg" else {}
    PillowImage.fromarray(image).save(path, **options)


def tree(root: Path) -> dict[str, str]:
    return {
        str(path.relative_to(root)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(root.rglob("*"))
        if path.is_file()
    }
