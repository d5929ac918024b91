"""All splits of a data set of files: what a copy of the whole holds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from segdoor.data.config import DataConfig
from segdoor.data.layouts import NoSplitError
from segdoor.data.load import data_set, files_of, load_dataset
from segdoor.data.pairs import FileDataset
from segdoor.errors import DataError


@dataclass(frozen=True)
class Splits:
    """The splits of a data set, each with all of its scenes.

    Attributes:
        config: Which data set; its numbers of scenes do not count.
        opened: The splits that can be used, the training split first.
        left_out: Why others cannot, by name.
    """

    config: DataConfig
    opened: Mapping[str, FileDataset]
    left_out: Mapping[str, str]

    @property
    def train(self) -> FileDataset:
        """Return the training split."""
        return self.opened[self.config.train_split]


def open_splits(config: DataConfig, train: FileDataset) -> Splits:
    """Open all splits that the lists and folders of a data set name."""
    opened, left_out = {config.train_split: train}, dict[str, str]()
    for name in data_set(config).splits(train.root):
        if name in opened:
            continue
        try:
            opened[name] = _writable(open_split(config, name))
        except NoSplitError:
            continue
        except DataError as why:
            # A list of something else, or a split without labels: nobody trains on it.
            left_out[name] = f"{why.culprit}: {why.rule}"
    return Splits(config, opened, left_out)


def open_split(config: DataConfig, name: str) -> FileDataset:
    """Open one split of a data set of files, with all of its scenes.

    Raises:
        DataError: If its files cannot be used.
    """
    files = files_of(load_dataset(config.whole, name))
    assert files is not None
    return files


def _writable(dataset: FileDataset) -> FileDataset:
    matlab = next((p.label for p in dataset.pairs if p.label.suffix == ".mat"), None)
    if matlab is not None:
        raise DataError(
            matlab, "labels to be copied must be pictures", remedy="Convert them to pictures."
        )
    return dataset
