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
        does="Paints streets with cars: eight classes, any number of scenes, any size from 32 "
        "pixels.",
        needs="Nothing.",
        fails="The scenes are painted: figures on them say little about photographs.",
    )

    seed: int = Field(default=0, ge=0)
    """Another seed paints another city."""
    clutter: int = Field(default=0, ge=0, le=100)
    """Largest number of small bright pictures without meaning in a scene; each number up to this is
    equally likely."""
    size: tuple[Pixels, Pixels] | None = None
    """Height and width of the scenes; default: 128 x 256."""
    num_train: int | None = Field(default=None, ge=1, le=1_000_000)
    """Number of training scenes; default: 400."""
    num_test: int | None = Field(default=None, ge=1, le=1_000_000)
    """Number of test scenes; default: 100."""

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
