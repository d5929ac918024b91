"""The files of one scene, and what draws its label map where that is no picture of its own."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, runtime_checkable

from segdoor.tensors import Label


@runtime_checkable
class Drawing(Protocol):
    """Draws the label map of a scene from annotations, and writes changed ones."""

    @property
    def files(self) -> tuple[Path, ...]:
        """Return the files that it is drawn from; other scenes may be drawn from them too."""
        ...

    def read(self) -> Label:
        """Draw the label map."""
        ...

    def rewritten(self, file: Path, changed: Iterable[tuple[Drawing, Label]]) -> bytes:
        """Return one of the files so that some scenes are drawn as label maps say.

        Args:
            file: One of its files.
            changed: Scenes that are drawn from this file, each with what is to be drawn.

        Raises:
            DataError: If annotations cannot express a label map.
        """
        ...


@dataclass(frozen=True)
class Pair:
    """The files of a scene.

    Attributes:
        name: The scene.
        image: Its image.
        label: Its label map, or what is named when something is wrong with it.
        drawing: What draws its label map, where that is no picture of its own.
        instances: The file that tells objects of one class apart, beside the label map, if there
            is one. It is read only for attacks on instances, and is no part of the digest.
    """

    name: str
    image: Path
    label: Path
    drawing: Drawing | None = None
    instances: Path | None = None

    @property
    def files(self) -> tuple[Path, ...]:
        """Return all files that the scene is read from, its image first."""
        return self.image, *(self.drawing.files if self.drawing else (self.label,))
