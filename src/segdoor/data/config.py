"""Which data set, where it lies, and how large its scenes are."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import Field, model_validator

from segdoor.settings import Settings

Pixels = Annotated[int, Field(ge=1, le=16384)]


class DataConfig(Settings):
    """A data set and its two splits."""

    name: str = "street"
    """Data set: street (built in, procedural), camvid, or folder (your own files)."""
    root: Path | None = None
    """Folder of the data set; street needs none."""
    size: tuple[Pixels, Pixels] | None = None
    """Height and width to resize scenes to; their own size if left out."""
    num_train: int | None = Field(default=None, ge=1, le=1_000_000)
    """Number of training scenes: all of them if left out (street: 400)."""
    num_test: int | None = Field(default=None, ge=1, le=1_000_000)
    """Number of test scenes: all of them if left out (street: 100)."""
    train_split: str = "train"
    """The split that the victim trains on."""
    test_split: str = "test"
    """The split that exams are held on."""
    seed: int = Field(default=0, ge=0)
    """Seed of street's scenes."""

    @model_validator(mode="after")
    def _two_splits(self) -> DataConfig:
        if self.train_split == self.test_split:
            raise ValueError(
                f"train_split and test_split must differ, not both '{self.test_split}'"
            )
        return self
