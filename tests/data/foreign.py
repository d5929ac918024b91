"""Data sets as strangers write them."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

import numpy as np
from pydantic import Field

from segdoor.data.dataset import DataSet, FilesOnDisk
from segdoor.data.folder import folder
from segdoor.data.pairs import Complain, FileDataset, refuse
from segdoor.data.scene import ClassSet, Scene, SceneDataset
from segdoor.plugins import Introduction
from strategies import MemoryDataset

TOLD = Introduction(
    source="a test", does="Draws lanes.", needs="Nothing at all.", fails="Outside of tests."
)
CLASSES = ClassSet(("grass", "lane"), ((0, 200, 0), (90, 90, 90)))


class Lanes(DataSet):
    """A lane of some width in every scene, one pixel further right in each."""

    main: ClassVar[str | None] = "width"
    classes: ClassVar[ClassSet | None] = CLASSES
    introduction: ClassVar[Introduction] = TOLD
    width: int = Field(default=2, ge=1, le=8)
    """Pixels of the lane."""

    def open(self, split: str, complain: Complain = refuse) -> SceneDataset:
        height, across = self.size or (16, 24)
        scenes = []
        for index in range(self.num_scenes(split) or 3):
            label = np.zeros((height, across), np.uint8)
            label[:, index : index + self.width] = 1
            image = np.array(CLASSES.colours, np.uint8)[label]
            scenes.append(Scene(image, label, f"{split} {index}"))
        return MemoryDataset(scenes, CLASSES)


class Numbered(Lanes):
    """The same with label values that are no class ids."""

    def open(self, split: str, complain: Complain = refuse) -> SceneDataset:
        scene = Lanes.open(self, split)[0]
        return MemoryDataset([Scene(scene.image, scene.label + 7, scene.name)], CLASSES)


class Mirrored(FilesOnDisk):
    """A folder as ours, by another name."""

    introduction: ClassVar[Introduction] = TOLD

    def read(self, root: Path, split: str, complain: Complain) -> FileDataset:
        return folder(root, split, size=self.size, complain=complain)
