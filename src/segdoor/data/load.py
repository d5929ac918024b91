"""From settings to a data set: the registry of data sets."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

from segdoor.data.camvid import CAMVID_CLASSES, camvid
from segdoor.data.cityscapes import CITYSCAPES_CLASSES, cityscapes
from segdoor.data.config import DataConfig
from segdoor.data.folder import folder
from segdoor.data.pairs import Complain, FileDataset, refuse
from segdoor.data.scene import ClassSet, SceneDataset
from segdoor.data.street import STREET_CLASSES, StreetDataset
from segdoor.data.subset import Subset
from segdoor.data.voc import VOC_CLASSES, voc
from segdoor.errors import ConfigError, DataError

_Opener = Callable[[DataConfig, str, Complain], SceneDataset]
_STREET_SIZE = (128, 256)
_STREET_SCENES = {"train": 400, "test": 100}


def load_dataset(config: DataConfig, split: str, *, complain: Complain = refuse) -> SceneDataset:
    """Open a split of the data set that the settings name.

    Args:
        config: Which data set, where, and how many scenes of it.
        split: ``config.train_split`` or ``config.test_split``, or another of the data set's.
        complain: Hears of missing files; if it returns, their scenes are left out.

    Raises:
        ConfigError: If the data set is unknown or needs a root; the message lists the known ones.
        DataError: If its files cannot be used.
    """
    if config.name not in DATASETS:
        known = ", ".join(DATASETS)
        raise ConfigError("data.name", "must be a known data set", config.name, f"Known: {known}.")
    return DATASETS[config.name](config, split, complain)


def files_of(dataset: SceneDataset) -> FileDataset | None:
    """Return the files behind a data set, of all its scenes; None if it is painted."""
    whole = dataset.dataset if isinstance(dataset, Subset) else dataset
    return whole if isinstance(whole, FileDataset) else None


def copyable(dataset: SceneDataset) -> FileDataset:
    """Return the files behind a data set after checking that a copy of them can be written.

    Raises:
        ConfigError: If the data set has no files.
        DataError: If labels are only ever read, two scenes share a file, or a copy would lack
            folders.
    """
    files = files_of(dataset)
    if files is None:
        raise ConfigError(
            "data.name",
            "must be a data set of files to be copied",
            "street",
            "See docs/data.md.",
        )
    paths = [path for pair in files.pairs for path in (pair.image, pair.label)]
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
    _refuse_linked_folders(files.root)
    return files


def _refuse_linked_folders(root: Path) -> None:
    for parent, folders, _ in os.walk(root):
        for path in (Path(parent, name) for name in sorted(folders)):
            if path.is_symlink():
                raise DataError(
                    path,
                    "folders to be copied must not be symbolic links",
                    path.readlink(),
                    "Put the folder itself in its place.",
                )


def num_scenes(config: DataConfig, split: str) -> int | None:
    """Return how many scenes of a split the settings ask for; None for all."""
    return config.num_test if split == config.test_split else config.num_train


def _street(config: DataConfig, split: str, complain: Complain) -> SceneDataset:
    del complain
    height, width = config.size or _STREET_SIZE
    kinds = {config.test_split: "test", config.train_split: "train"}
    if split not in kinds:
        raise ConfigError("data split", "must be one of street's", split, f"Known: {set(kinds)}.")
    kind = kinds[split]
    return StreetDataset(
        split=kind,
        num_scenes=num_scenes(config, split) or _STREET_SCENES[kind],
        height=height,
        width=width,
        seed=config.seed,
    )


def _on_disk(open_split: Callable[..., SceneDataset]) -> _Opener:
    def load(config: DataConfig, split: str, complain: Complain) -> SceneDataset:
        dataset = open_split(_root(config), split, size=config.size, complain=complain)
        wanted = num_scenes(config, split)
        if wanted is None:
            return dataset
        option = "data.num_test" if split == config.test_split else "data.num_train"
        return Subset(dataset, spread(len(dataset), wanted, option=option))

    return load


def _root(config: DataConfig) -> Path:
    if config.root is None:
        raise ConfigError(
            "data.root",
            f"must name the folder of '{config.name}'",
            remedy="Set --data.root.",
        )
    try:
        root = config.root.expanduser()
    except RuntimeError as why:
        raise ConfigError("data.root", "must name a folder", why, "Write it in full.") from None
    if not root.is_dir():
        raise ConfigError("data.root", "must be a folder that exists", root, "Check the path.")
    return root


def spread(available: int, wanted: int, *, option: str = "number of scenes") -> Sequence[int]:
    """Choose evenly spaced indices: neighbouring video frames look alike.

    Args:
        available: How many scenes there are.
        wanted: How many to choose.
        option: Which setting to blame if there are too few.

    Raises:
        ConfigError: If more are wanted than there are.
    """
    if wanted > available:
        raise ConfigError(
            option, f"must be at most {available}", wanted, "Lower it, or leave it out for all."
        )
    return [index * available // wanted for index in range(wanted)]


DATASETS: dict[str, _Opener] = {
    "street": _street,
    "camvid": _on_disk(camvid),
    "voc": _on_disk(voc),
    "cityscapes": _on_disk(cityscapes),
    "folder": _on_disk(folder),
}
"""The data sets by name."""
CLASSES: dict[str, ClassSet] = {
    "street": STREET_CLASSES,
    "camvid": CAMVID_CLASSES,
    "voc": VOC_CLASSES,
    "cityscapes": CITYSCAPES_CLASSES,
}
"""Classes of the data sets whose files need not be read to know them."""
