"""Scenes looked at one by one, so that all problems of a data set are found and not the first."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from segdoor.data.orientation import UPRIGHT
from segdoor.data.pairs import FileDataset, Pair, check_sizes, file_orientation
from segdoor.data.pictures import read_image
from segdoor.data.scene import Scene, SceneDataset
from segdoor.data.subset import Subset
from segdoor.data.transforms import Size
from segdoor.errors import DataError

_FoundT = TypeVar("_FoundT")


@dataclass(frozen=True)
class Look:
    """What one scene's files are like.

    Attributes:
        name: The scene.
        scene: The scene as a run reads it; None if there are problems.
        size: Height and width of its files in pixels; None if the image cannot be read.
        problems: Everything that is wrong.
        turned_image: Whether an orientation tag turns the image.
        turned_label: Whether one turns the label map.
    """

    name: str
    scene: Scene | None
    size: Size | None
    problems: tuple[DataError, ...]
    turned_image: bool = False
    turned_label: bool = False


def look_at(dataset: SceneDataset, index: int) -> Look:
    """Read one scene, and gather what is wrong instead of raising it."""
    if isinstance(dataset, Subset):
        return look_at(dataset.dataset, dataset.indices[index])
    if isinstance(dataset, FileDataset):
        return _look_at_files(dataset, dataset.pairs[index])
    scene = dataset[index]
    return Look(scene.name, scene, _size(scene.label.shape), ())


def _look_at_files(dataset: FileDataset, pair: Pair) -> Look:
    problems: list[DataError] = []

    def attempt(read: Callable[[], _FoundT]) -> _FoundT | None:
        try:
            return read()
        except DataError as problem:
            problems.append(problem)
            return None

    image = attempt(lambda: read_image(pair.image))
    stored = attempt(lambda: dataset.stored(pair))
    label = None if stored is None else attempt(lambda: dataset.decoded(pair, stored))
    size = None if image is None else _size(image.shape)
    if size is not None and stored is not None:
        attempt(lambda: check_sizes(pair, size, stored.shape))
    fitted = None
    if not problems and image is not None and label is not None:
        fitted = dataset.fitted(pair.name, image, label)
    turned = [
        read is not None and file_orientation(path).tag != UPRIGHT
        for read, path in ((image, pair.image), (stored, pair.label))
    ]
    return Look(pair.name, fitted, size, tuple(problems), *turned)


def _size(shape: tuple[int, ...]) -> Size:
    return shape[0], shape[1]
