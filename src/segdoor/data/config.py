"""Which data set, where it lies, and how large its scenes are."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from pydantic import Field, field_validator, model_validator

from segdoor.data.dataset import DataSet
from segdoor.data.registry import DATASETS
from segdoor.errors import ConfigError
from segdoor.remedies import RuleError
from segdoor.settings import Pixels, ReadingInfo, Settings, Telling

OBJECT = "object "
"""How records name scenes that were handed in, before the name of their class."""


def _usual(split: str) -> Callable[[dict[str, str]], str]:
    """Return how a split follows from the data set's name: it is the data set's own default."""
    # Without a name, it was refused.
    return lambda given: _owner(given.get("name", "street")).model_fields[split].default


def _owner(name: str) -> type[DataSet]:
    return DataSet if name.startswith(OBJECT) else _kind(name)


def _kind(name: str, telling: Telling | None = None) -> type[DataSet]:
    return DATASETS.understood(name, telling)[0]


class DataConfig(Settings):
    """A data set and its two splits."""

    name: str = "street"
    """Data set: street (built in), folder (your own files), ... or package.module:Class. `segdoor
    list data` shows all kinds. Settings of a class of your own follow after commas."""
    root: Path | None = None
    """Folder of the data set; street needs none."""
    size: tuple[Pixels, Pixels] | None = None
    """Height and width to resize scenes to. If left out, they keep their size. A poisoned copy has
    all scenes at this size."""
    num_train: int | None = Field(default=None, ge=1, le=1_000_000)
    """Number of training scenes. If left out, all of them (street: 400)."""
    num_test: int | None = Field(default=None, ge=1, le=1_000_000)
    """Number of test scenes. If left out, all of them (street: 100)."""
    exclude: Path | None = None
    """Text file with the scenes to leave out of training, one name a line, such as the suspects.txt
    of `segdoor scan data`. num_train counts scenes before any is left out."""
    train_split: str = Field(default_factory=_usual("train_split"))
    """The split for training. If left out, train (voc: trainaug)."""
    test_split: str = Field(default_factory=_usual("test_split"))
    """The split for the tests. If left out, test (voc and cityscapes: val)."""
    seed: int = Field(default=0, ge=0)
    """Seed of the built-in street scenes."""

    @field_validator("name")
    @classmethod
    def _is_there(cls, name: str, info: ReadingInfo) -> str:
        if name.startswith(OBJECT):
            return name
        telling = Telling.of(info.context)
        plugin, given = DATASETS.understood(name, telling)
        apart = given.keys() & cls.model_fields.keys()
        if plugin.kind in DATASETS.known and apart:
            raise ConfigError(
                telling.culprit(DATASETS.option), f"must not have {min(apart)} within it", name,
                f"Write {plugin.kind}, and data.{min(apart)} apart.",
            )  # fmt: skip
        return name

    @property
    def whole(self) -> DataConfig:
        """Return the same data set with all of its scenes."""
        return self.model_copy(update={"num_train": None, "num_test": None, "exclude": None})

    @model_validator(mode="after")
    def _two_splits(self) -> DataConfig:
        if self.train_split == self.test_split:
            raise RuleError(
                f"train_split and test_split must differ, not both '{self.test_split}'",
                "Name another split for the tests.",
            )
        return self
