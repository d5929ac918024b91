"""From settings to a data set, and to the files behind it."""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path

from segdoor.data.checked import CheckedDataset, checked
from segdoor.data.config import DataConfig
from segdoor.data.dataset import DataSet, FilesOnDisk
from segdoor.data.excluding import without
from segdoor.data.pairs import Complain, FileDataset, refuse
from segdoor.data.registry import DATASETS
from segdoor.data.scene import SceneDataset
from segdoor.data.subset import Subset
from segdoor.errors import ConfigError, DataError
from segdoor.files import name_problem
from segdoor.settings import validated


def load_dataset(config: DataConfig, split: str, *, complain: Complain = refuse) -> SceneDataset:
    """Open a split of the data set that the settings name.

    Args:
        config: Which data set, where, and how many scenes of it.
        split: ``config.train_split`` or ``config.test_split``, or another of the data set's.
        complain: Receives missing files; if it returns, their scenes are left out.

    Raises:
        ConfigError: If the data set is unknown, needs a root, or has no use for a setting; the
            message lists the known ones.
        DataError: If its files cannot be used, or the list of scenes to leave out is wrong.
    """
    scenes = data_set(config).open(split, complain)
    if config.exclude is not None and split == config.train_split:
        scenes = without(scenes, config.exclude, split=split)
    whole = scenes.dataset if isinstance(scenes, Subset) else scenes
    # Readers that check what they read name the file.
    return scenes if checked(whole) is whole else checked(scenes)


def data_set(config: DataConfig) -> DataSet:
    """Return the data set that the settings name, not opened.

    Args:
        config: A setting that differs from its default must be one of the data set's.

    Raises:
        ConfigError: If the data set is unknown, or has no use for a setting.
    """
    plugin, given = DATASETS.understood(config.name)
    settings = dict(given)
    for name, field in DataConfig.model_fields.items():
        value = getattr(config, name)
        if name in {"name", "exclude"} or value is None or value == field.default:
            continue
        if name not in plugin.model_fields or name in given:
            raise ConfigError(
                f"data.{name}",
                f"is no setting of '{plugin.kind}'" if name not in given else "is in data.name too",
                value,
                f"It has {', '.join(plugin.model_fields)}.",
            )
        settings[name] = value
    return validated(plugin, settings, source=f"data.name {config.name}")


def lacks_root(config: DataConfig) -> bool:
    """Tell whether the data set lies in a folder that nobody has named."""
    found = data_set(config)
    return isinstance(found, FilesOnDisk) and found.root is None


def files_of(dataset: SceneDataset) -> FileDataset | None:
    """Return the files behind a data set, of all its scenes; None if it is painted."""
    whole = dataset.dataset if isinstance(dataset, CheckedDataset) else dataset
    whole = whole.dataset if isinstance(whole, Subset) else whole
    return whole if isinstance(whole, FileDataset) else None


def copyable(dataset: SceneDataset) -> FileDataset:
    """Return the files behind a data set after checking that a copy of them can be written.

    Raises:
        ConfigError: If the data set has no files.
        DataError: If labels are only ever read, two scenes share a file, a copy would lack
            folders, or a file or folder has a name that is no text.
    """
    files = files_of(dataset)
    if files is None:
        raise ConfigError(
            "data.name",
            "must be a data set of files to be copied",
            "scenes without files",
            "See docs/data.md.",
        )
    # Annotations of many scenes lie in one file as a rule.
    own = ((pair.image, *(() if pair.drawing else (pair.label,))) for pair in files.pairs)
    paths = [path for each in own for path in each]
    matlab = next((path for path in paths if path.suffix == ".mat"), None)
    if matlab is not None:
        raise DataError(
            matlab,
            "labels to be copied must be pictures: MATLAB files are only read",
            remedy="Convert them to a folder SegmentationClassAug, or copy the split train.",
        )
    shared = next((path for path, count in Counter(paths).items() if count > 1), None)
    if shared is not None:
        raise DataError(
            shared,
            "files to be copied must belong to one scene each",
            "two scenes share it",
            "Give each scene a file of its own.",
        )
    _refuse_what_no_copy_holds(files.root)
    return files


def _refuse_what_no_copy_holds(root: Path) -> None:
    for parent, folders, names in os.walk(root):
        for path in (Path(parent, name) for name in sorted([*folders, *names])):
            strange = name_problem(path)
            if strange is not None:
                raise strange
        for path in (Path(parent, name) for name in sorted(folders)):
            if path.is_symlink():
                raise DataError(
                    path,
                    "folders to be copied must not be symbolic links",
                    path.readlink(),
                    "Put the folder itself in its place.",
                )
