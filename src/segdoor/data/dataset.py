"""What a choice of data set is: where scenes come from, before a split of them is opened."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar

from pydantic import Field

from segdoor.data.pairs import Complain, FileDataset, refuse
from segdoor.data.scene import ClassSet, SceneDataset
from segdoor.data.subset import Subset, spread
from segdoor.errors import ConfigError
from segdoor.plugins import Plugin
from segdoor.settings import Pixels


class DataSet(Plugin):
    """Scenes in two splits or more.

    Attributes:
        classes: Its classes, if they are known before files are read.
        marks: What lies in a folder that is taken for one of its copies.
    """

    classes: ClassVar[ClassSet | None] = None
    marks: ClassVar[tuple[str, ...]] = ()

    size: tuple[Pixels, Pixels] | None = None
    """Height and width to resize scenes to; default: their own size."""
    num_train: int | None = Field(default=None, ge=1, le=1_000_000)
    """Number of training scenes; default: all."""
    num_test: int | None = Field(default=None, ge=1, le=1_000_000)
    """Number of test scenes; default: all."""
    train_split: str = "train"
    """The split for training."""
    test_split: str = "test"
    """The split for tests."""

    @abstractmethod
    def open(self, split: str, complain: Complain = refuse) -> SceneDataset:
        """Open a split, with as many scenes as the settings say.

        Args:
            split: The training split, the test split, or another one.
            complain: Receives missing files; if it returns, their scenes are left out.

        Raises:
            ConfigError: If a setting is wrong.
            DataError: If files cannot be used.
        """

    def splits(self, root: Path) -> Sequence[str]:
        """Return the splits that lists and folders name."""
        del root
        return self.train_split, self.test_split

    def num_scenes(self, split: str) -> int | None:
        """Return how many scenes of a split the settings ask for; None for all."""
        return self.num_test if split == self.test_split else self.num_train


class FilesOnDisk(DataSet):
    """Scenes from files in a folder."""

    main: ClassVar[str | None] = "root"

    root: Path | None = None
    """Folder of the data set."""

    @abstractmethod
    def read(self, root: Path, split: str, complain: Complain) -> FileDataset:
        """Open a split with all of its scenes.

        Args:
            root: The folder, which exists.
            split: The split.
            complain: Receives missing files.
        """

    def open(self, split: str, complain: Complain = refuse) -> SceneDataset:
        """Open a split, with as many scenes as the settings say, evenly spaced."""
        dataset = self.read(self._folder(), split, complain)
        wanted = self.num_scenes(split)
        if wanted is None:
            return dataset
        option = "data.num_test" if split == self.test_split else "data.num_train"
        return Subset(dataset, spread(len(dataset), wanted, option=option))

    def _folder(self) -> Path:
        if self.root is None:
            raise ConfigError(
                "data.root",
                f"must name the folder of '{self.kind}'",
                remedy="Set --data.root.",
            )
        try:
            root = self.root.expanduser()
        except RuntimeError as why:
            raise ConfigError("data.root", "must name a folder", why, "Write it in full.") from None
        if not root.is_dir():
            raise ConfigError("data.root", "must be a folder that exists", root, "Check the path.")
        return root
