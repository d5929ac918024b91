"""How large scenes are, decoding no more than it takes to know."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

from segdoor.data.scene import SceneDataset
from segdoor.data.transforms import Size


@runtime_checkable
class TellsSizes(Protocol):
    """A data set that knows how large a scene is without decoding it."""

    def scene_size(self, index: int) -> Size:
        """Return a scene's height and width."""
        ...


def size_of(dataset: SceneDataset, index: int) -> Size:
    """Return a scene's height and width; a label map is read where the data set does not tell.

    Raises:
        DataError: If its file is damaged or missing.
    """
    if isinstance(dataset, TellsSizes):
        return dataset.scene_size(index)
    height, width = dataset.label(index).shape
    return height, width
