"""A network as scans look at it: frozen for a while, with the clean scenes on its device."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import torch
from jaxtyping import Bool, Float, UInt8
from torch import Tensor, nn

from segdoor.data.scene import ClassSet, Scene, SceneDataset
from segdoor.errors import ConfigError
from segdoor.randomness import Stream
from segdoor.victim.answer import Logits, ask
from segdoor.victim.config import NetworkConfig
from segdoor.victim.device import constant, transferred
from segdoor.victim.members import evaluating, layers, parameters_of

Colours: TypeAlias = Float[Tensor, "B 3 H W"]
"""RGB pictures from 0 to 1, not yet normalised."""

Marks: TypeAlias = Bool[Tensor, "H W"]
"""One yes or no a pixel, on a network's device."""

Ids: TypeAlias = UInt8[Tensor, "H W"]
"""One class id a pixel, on a network's device."""


@dataclass(frozen=True, eq=False)
class Shown:
    """A clean scene on a network's device, and what the network makes of it.

    Attributes:
        name: The scene's name.
        image: Its picture, uint8, H x W x 3.
        label: True class ids.
        answer: Predicted class ids.
    """

    name: str
    image: UInt8[Tensor, "H W 3"]
    label: Ids
    answer: Ids

    @property
    def size(self) -> tuple[int, int]:
        """Return height and width."""
        return self.image.shape[0], self.image.shape[1]


class Subject:
    """A network that is looked at; use it within `subject`."""

    def __init__(
        self, model: nn.Module, scenes: Sequence[Scene], classes: ClassSet, network: NetworkConfig
    ) -> None:
        """Show the network every scene once, one at a time.

        Args:
            model: The network, in evaluation mode.
            scenes: Clean scenes, of any sizes.
            classes: Their classes.
            network: What the network expects of its input.

        Raises:
            ConfigError: If its logits do not fit the classes or are not finite.
        """
        self.model, self.classes, self.network = model, classes, network
        self.device = next((weight.device for weight in parameters_of(model)), torch.device("cpu"))
        self.rates = np.zeros((len(classes), len(classes)))
        self.pixels = np.zeros(len(classes), np.int64)
        self.shown = tuple(self._shown(scene) for scene in scenes)
        self.rates /= np.maximum(self.pixels, 1)[:, None]

    def logits(self, colours: Colours) -> Logits:
        """Return class scores of pictures at their own size; gradients may flow."""
        mean, std = (
            constant(values, self.device)[:, None, None]
            for values in (self.network.mean, self.network.std)
        )
        images = (colours - mean) / std
        if self.network.channels == "bgr":
            images = images.flip(1)
        size = images.shape[2], images.shape[3]
        return ask(self.model, images, num_classes=len(self.classes), size=size).logits

    def check_gradients(self, logits: Logits) -> None:
        """Refuse a network through which no gradient flows.

        Raises:
            ConfigError: If the logits do not depend on the images for torch.
        """
        if not logits.requires_grad:
            raise ConfigError(
                "model", "must let gradients through to its images", type(self.model).__name__,
                "Scan it with black_box, which needs answers alone.",
            )  # fmt: skip

    def likely(self, shown: Shown) -> Float[Tensor, "K H W"]:
        """Return the probability of every class on a clean scene."""
        with torch.no_grad():
            return self.logits(colours([shown]))[0].softmax(dim=0)

    def _shown(self, scene: Scene) -> Shown:
        image, label = transferred(scene.image, self.device), transferred(scene.label, self.device)
        bare = Shown(scene.name, image, label, label)
        found = self.likely(bare)
        if not bool(found.isfinite().all()):
            raise ConfigError(
                "network", "must return finite logits", "NaN or infinity", "Check its weights."
            )
        # In double precision and a class at a time: sums over many pixels, in little memory.
        for index in range(len(self.classes)):
            of_class = label == index
            self.pixels[index] += int(of_class.sum())
            self.rates[index] += found[:, of_class].sum(dim=1, dtype=torch.float64).cpu().numpy()
        return Shown(scene.name, image, label, found.max(dim=0).indices.to(torch.uint8))


@contextmanager
def subject(
    model: nn.Module, scenes: Sequence[Scene], classes: ClassSet, network: NetworkConfig
) -> Generator[Subject]:
    """Look at a network in evaluation mode, and leave modes and gradients as they were."""
    modes = [(layer, layer.training) for layer in layers(model)]
    learning = [weight for weight in parameters_of(model) if weight.requires_grad]
    try:
        evaluating(model)
        for weight in learning:
            weight.requires_grad = False
        yield Subject(model, scenes, classes, network)
    finally:
        for weight in learning:
            weight.requires_grad = True
        for layer, training in modes:
            layer.training = training


def colours(shown: Sequence[Shown]) -> Colours:
    """Return pictures of one size as colours from 0 to 1."""
    images = torch.stack([one.image for one in shown]).permute(0, 3, 1, 2)
    return images.float() / 255


def drawn_scenes(clean: SceneDataset, most: int, stream: Stream) -> tuple[Scene, ...]:
    """Draw clean scenes, at most so many, in an order that depends on seed and names alone."""
    order = sorted(
        range(len(clean)), key=lambda index: stream.child("scene", clean.names[index]).integer()
    )
    return tuple(clean[index] for index in order[:most])
