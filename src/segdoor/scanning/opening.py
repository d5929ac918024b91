"""What is scanned: scenes, models, image files, each opened and checked before any work."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import overload

from torch import nn

from segdoor.data.checked import filled
from segdoor.data.config import DataConfig
from segdoor.data.load import files_of, load_dataset
from segdoor.data.pictures import picture_size, read_image
from segdoor.data.scene import ClassSet, SceneDataset
from segdoor.data.subset import Split, hold_out
from segdoor.errors import ConfigError, DataError
from segdoor.evaluation.examiner import Examiner
from segdoor.files import digest_of, files_below, is_file, name_problem
from segdoor.progress import Observer
from segdoor.randomness import Stream
from segdoor.rounding import share_of
from segdoor.tensors import AnyImage
from segdoor.victim.config import NetworkConfig
from segdoor.victim.device import choose_arithmetic
from segdoor.victim.members import evaluating, placed
from segdoor.victim.networks.building import build_network
from segdoor.victim.training.fingerprint import weights_digest

ENDINGS = (".bmp", ".gif", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp")
"""What names of image files in a folder end in."""


def open_scenes(config: DataConfig, split: str) -> SceneDataset:
    """Open a split of a data set.

    Raises:
        SegdoorError: If it cannot be used, or holds no scene.
    """
    return filled(load_dataset(config, split))


def image_paths(scenes: SceneDataset) -> dict[str, tuple[Path, ...]]:
    """Return the files of each scene by its name, its image first; none for painted scenes."""
    files = files_of(scenes)
    return {} if files is None else {pair.name: pair.files for pair in files.pairs}


def open_model(network: NetworkConfig, scenes: SceneDataset, device: str = "auto") -> nn.Module:
    """Build a network with trained weights, and check that it answers for a scene.

    Args:
        network: The network, with its weights.
        scenes: Scenes of the classes that it tells apart.
        device: Where it is to run.

    Raises:
        SegdoorError: If the network or its weights cannot be used, or do not fit the classes.
    """
    where = choose_arithmetic(device, "float32").device
    classes = scenes.classes
    model = placed(build_network(network, len(classes), classes=classes.names), where)
    check_model(model, scenes, network)
    return model


def check_model(model: nn.Module, scenes: SceneDataset, network: NetworkConfig) -> None:
    """Refuse a model that does not answer for the first scene with finite logits of its classes.

    Raises:
        ConfigError: If it does not.
    """
    Examiner(evaluating(model), scenes.classes, network=network).predict([scenes[0]])


class CleanModels(Sequence[nn.Module]):
    """Models known to be clean, each loaded when it is asked for."""

    def __init__(self, weights: Sequence[Path], load: Callable[[Path], nn.Module]) -> None:
        """Keep the files.

        Args:
            weights: The files.
            load: Loads one.
        """
        self._weights, self._load = tuple(weights), load

    def __len__(self) -> int:
        """Return how many there are."""
        return len(self._weights)

    @overload
    def __getitem__(self, index: int) -> nn.Module: ...

    @overload
    def __getitem__(self, index: slice) -> Sequence[nn.Module]: ...

    def __getitem__(self, index: int | slice) -> nn.Module | Sequence[nn.Module]:
        """Load one, or return some of them, not yet loaded."""
        if isinstance(index, slice):
            return CleanModels(self._weights[index], self._load)
        return self._load(self._weights[index])

    @property
    def digest(self) -> str:
        """Return a hash over the files."""
        return hashlib.sha256(
            repr([digest_of(file) for file in self._weights]).encode()
        ).hexdigest()


def model_digest(model: nn.Module | None, weights: Path | None = None) -> str:
    """Return a hash over a model's weights, and over its file: a program in it has no weights."""
    if model is None:
        return ""
    file = digest_of(weights) if weights is not None and is_file(weights) else ""
    return hashlib.sha256(f"{weights_digest(model)} {file}".encode()).hexdigest()


@dataclass(frozen=True)
class ImageFiles:
    """Images without labels.

    Attributes:
        paths: Their files, by the names that reports give them.
    """

    paths: dict[str, Path]

    @classmethod
    def of(cls, given: Sequence[Path]) -> ImageFiles:
        """Return the images that files and folders name; every one is looked at.

        Raises:
            ConfigError: If none is named.
            DataError: If a file or folder does not exist, is no usable picture, or has a name that
                is no text, or a folder holds no image.
        """
        if not given:
            raise ConfigError("FILES", "must name images or folders of them", "none", "Name some.")
        paths = {str(path): path for each in given for path in _images_in(each)}
        for path in paths.values():
            strange = name_problem(path)
            if strange is not None:
                raise strange
            picture_size(path)
        return cls(paths)

    @property
    def digest(self) -> str:
        """Return a hash over names and files."""
        told = [(name, digest_of(path)) for name, path in self.paths.items()]
        return hashlib.sha256(repr(told).encode()).hexdigest()

    def read(self, observer: Observer) -> Iterator[AnyImage]:
        """Yield the images one after another."""
        for path in self.paths.values():
            yield read_image(path)
            observer.advance()


def _images_in(given: Path) -> list[Path]:
    if not given.exists():
        raise DataError(given, "the image or folder does not exist", remedy="Check the path.")
    if not given.is_dir():
        return [given]
    found = [name for name in files_below(given) if name.lower().endswith(ENDINGS)]
    visible = [name for name in found if not name.rpartition("/")[2].startswith(".")]
    if not visible:
        endings = ", ".join(ENDINGS)
        raise DataError(given, f"must hold images ({endings})", "none", "Name another folder.")
    return [given / name for name in visible]


def held_out(clean: SceneDataset, share: float, *, seed: int) -> Split:
    """Divide clean scenes into those that a method may use and those that set its threshold.

    Args:
        clean: The clean scenes.
        share: Share of them that sets the threshold, rounded half up; one scene at least is left.
        seed: Decides which.
    """
    number = min(share_of(share, len(clean)), len(clean) - 1)
    return hold_out(clean, number, Stream(seed).child("held out"))


def check_same_classes(scenes: SceneDataset, clean: SceneDataset) -> None:
    """Refuse clean scenes of other classes.

    Raises:
        ConfigError: If they differ.
    """
    mine, theirs = _told(scenes.classes), _told(clean.classes)
    if mine != theirs:
        raise ConfigError(
            "--clean", "must have the classes of the scanned scenes", theirs,
            f"They are {mine}. Map the labels to the same classes.",
        )  # fmt: skip


def _told(classes: ClassSet) -> str:
    return f"{', '.join(classes.names)}; ignored {classes.ignore_index}"
