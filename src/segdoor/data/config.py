"""Which data set, where it lies, and how large its scenes are."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from pydantic import Field, model_validator

from segdoor.settings import Pixels, Settings

_SPLITS = {"voc": ("trainaug", "val"), "cityscapes": ("train", "val")}


def _usual_split(number: int) -> Callable[[dict[str, str]], str]:
    """Return how a split follows from the data set's name: the paper's, as others use it."""
    return lambda given: _SPLITS.get(given.get("name", ""), ("train", "test"))[number]


class DataConfig(Settings):
    """A data set and its two splits."""

    name: str = "street"
    """Data set: street (built in, procedural), camvid, voc, cityscapes, or folder (your own
    files)."""
    root: Path | None = None
    """Folder of the data set; street needs none."""
    size: tuple[Pixels, Pixels] | None = None
    """Height and width to resize scenes to; their own size if left out. A poisoned copy then holds
    all scenes at this size."""
    num_train: int | None = Field(default=None, ge=1, le=1_000_000)
    """Number of training scenes: all of them if left out (street: 400)."""
    num_test: int | None = Field(default=None, ge=1, le=1_000_000)
    """Number of test scenes: all of them if left out (street: 100)."""
    train_split: str = Field(default_factory=_usual_split(0))
    """The split that the victim trains on: train if left out (voc: trainaug)."""
    test_split: str = Field(default_factory=_usual_split(1))
    """The split that exams are held on: test if left out (voc and cityscapes: val)."""
    seed: int = Field(default=0, ge=0)
    """Seed of street's scenes."""

    @model_validator(mode="after")
    def _two_splits(self) -> DataConfig:
        if self.train_split == self.test_split:
            raise ValueError(
                f"train_split and test_split must differ, not both '{self.test_split}'"
            )
        return self
