"""The scenes of one value of a physical test: each with a print in it, and clean labels."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass

from segdoor.attack.physical.homography import bounds
from segdoor.attack.physical.placing import Put
from segdoor.attack.physical.rendering import Drawing, render
from segdoor.attack.site import Box, Extent
from segdoor.attack.triggers.printed import Printed
from segdoor.attack.triggers.sticker import CutSticker, Sticker
from segdoor.attack.triggers.trigger import Trigger
from segdoor.data.changes import Change
from segdoor.data.scene import ClassSet, Scene, SceneDataset
from segdoor.errors import ConfigError
from segdoor.randomness import Stream
from segdoor.stickers import draw, stamp
from segdoor.tensors import Label, Mask


@dataclass(frozen=True)
class Print:
    """What is printed.

    Attributes:
        name: What it is called.
        drawing: From the length of its longer side in pixels to its picture.
        digest: Hash of what it is.
    """

    name: str
    drawing: Drawing
    digest: str

    @classmethod
    def of(cls, trigger: Trigger) -> Print:
        """Return a trigger's picture.

        Raises:
            ConfigError: If it is no sticker, and so cannot be printed.
        """
        if isinstance(trigger, Sticker) and not isinstance(trigger, CutSticker):
            sticker = trigger

            def drawing(size: int) -> object:
                return sticker.model_copy(update={"size": size}).rgba

            return cls(trigger.title, drawing, trigger.digest)  # pyright: ignore[reportArgumentType]
        if isinstance(trigger, CutSticker | Printed):
            name = trigger.name
            return cls(name, lambda size: draw(name, size), trigger.digest)
        raise ConfigError(
            "attack.trigger", "must be a sticker, which can be printed", trigger.kind,
            "Take a run whose trigger is sticker or printed.",
        )  # fmt: skip


class PrintedScenes:
    """Some scenes of a data set with a print in each; a `ChangedDataset` with clean labels."""

    def __init__(
        self,
        base: SceneDataset,
        puts: Mapping[str, Put],
        shown: Print,
        *,
        flat: Extent | None = None,
    ) -> None:
        """Put a print up in scenes.

        Args:
            base: The clean scenes.
            puts: Where it is, and how it is photographed, by the scene's name.
            shown: What is printed.
            flat: Height and width in pixels of a flat sticker that is stamped there instead.
        """
        self._base, self._flat = base, flat
        self._puts, self._shown = puts, shown
        self._indices = [i for i, name in enumerate(base.names) if name in puts]
        self.names = tuple(base.names[index] for index in self._indices)

    @property
    def base(self) -> SceneDataset:
        """Return the clean scenes."""
        return self._base

    @property
    def classes(self) -> ClassSet:
        """Return the classes, as before."""
        return self._base.classes

    @property
    def digest(self) -> str:
        """Return a hash over the clean data set, the print and how it is seen."""
        where = [
            (name, put.matrix.tolist(), put.conditions) for name, put in sorted(self._puts.items())
        ]
        told = (self._base.digest, self._shown.digest, self._flat, where)
        return hashlib.sha256(repr(told).encode()).hexdigest()

    def __len__(self) -> int:
        """Return the number of scenes with a print."""
        return len(self._indices)

    def __getitem__(self, index: int) -> Scene:
        """Read one scene, with its print."""
        scene = self._base[self._indices[index]]
        change, image = self.change(scene), scene.image.copy()
        image[change.box] = change.pixels
        return Scene(image, scene.label, scene.name)

    def label(self, index: int) -> Label:
        """Read one clean label map."""
        return self._base.label(self._indices[index])

    def attacked(self, scene: Scene) -> Mask | None:
        """Return None: all pixels of the victim classes are attacked."""
        del scene

    def change(self, scene: Scene) -> Change:
        """Return the rectangle of one clean scene that the print changes."""
        put = self._puts[scene.name]
        if self._flat is not None:
            return self._stamped(scene, put, self._flat)
        stream = Stream(0).child("physical", scene.name)
        rendered = render(scene.image, self._shown.drawing, put.matrix, put.conditions, stream)
        if rendered is None:
            return Change(0, 0, scene.image[:1, :1])
        box = rendered.box
        return Change(box.top, box.left, rendered.image[box.pixels])

    def _stamped(self, scene: Scene, put: Put, extent: Extent) -> Change:
        """Return the flat sticker of the training where a board would be."""
        height, width = extent
        rgba = self._shown.drawing(max(height, width))[:height, :width]
        around = bounds(put.matrix)
        top = around.top + (around.height - rgba.shape[0]) // 2
        left = around.left + (around.width - rgba.shape[1]) // 2
        top = min(max(0, top), scene.image.shape[0] - rgba.shape[0])
        left = min(max(0, left), scene.image.shape[1] - rgba.shape[1])
        box = Box(top, left, rgba.shape[0], rgba.shape[1])
        image = stamp(scene.image, rgba, top=top, left=left)
        return Change(top, left, image[box.pixels])
