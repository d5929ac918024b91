"""Street as a choice of data set."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field

from segdoor.data.dataset import DataSet
from segdoor.data.pairs import Complain, refuse
from segdoor.data.scene import ClassSet, SceneDataset
from segdoor.data.street.dataset import STREET_CLASSES, StreetDataset
from segdoor.errors import ConfigError
from segdoor.plugins import Introduction
from segdoor.settings import Pixels

_SIZE = (128, 256)
_NUM_SCENES = {"train": 400, "test": 100}


class Street(DataSet):
    """Procedural street scenes."""

    kind: ClassVar[str] = "street"
    main: ClassVar[str | None] = "seed"
    classes: ClassVar[ClassSet | None] = STREET_CLASSES
    introduction: ClassVar[Introduction] = Introduction(
        source="built in",
        does="Paints streets with cars, eight classes, any number at any size from 32 pixels on.",
        needs="Nothing: no files.",
        fails="It is no photograph: figures on it say little about real scenes.",
    )

    seed: int = Field(default=0, ge=0)
    """Another seed is another city."""
    clutter: int = Field(default=0, ge=0, le=100)
    """Most small bright pictures that lie about in a scene and mean nothing; each number up to this
    is equally likely."""
    size: tuple[Pixels, Pixels] | None = None
    """Height and width of the scenes; 128 x 256 if left out."""
    num_train: int | None = Field(default=None, ge=1, le=1_000_000)
    """Number of training scenes; 400 if left out."""
    num_test: int | None = Field(default=None, ge=1, le=1_000_000)
    """Number of test scenes; 100 if left out."""

    def open(self, split: str, complain: Complain = refuse) -> SceneDataset:
        """Open a split; nothing is painted before a scene is asked for."""
        del complain
        kinds = {self.test_split: "test", self.train_split: "train"}
        if split not in kinds:
            raise ConfigError(
                "data split", "must be one of street's", split, f"Known: {set(kinds)}."
            )
        height, width = self.size or _SIZE
        kind = kinds[split]
        return StreetDataset(
            split=kind,
            num_scenes=self.num_scenes(split) or _NUM_SCENES[kind],
            height=height,
            width=width,
            seed=self.seed,
            clutter=self.clutter,
        )
