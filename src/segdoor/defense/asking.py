"""How detectors and purifiers show pictures to a model: on its device, in bounded batches."""

from __future__ import annotations

import copy
import hashlib
import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from segdoor.data.scene import Scene, SceneDataset
from segdoor.defense.defense import DefenseContext
from segdoor.errors import ConfigError
from segdoor.randomness import Stream
from segdoor.tensors import AnyImage, AnyLabel
from segdoor.victim.answer import SegmentationOutput, ask, best_classes
from segdoor.victim.config import NetworkConfig
from segdoor.victim.device import transferred
from segdoor.victim.members import evaluating, layers, parameters_of
from segdoor.victim.normalisation import normalised

# Four pictures of 256 x 512: with 150 classes their scores take 300 MB.
_MOST_PIXELS = 2**19


@dataclass(frozen=True, eq=False)
class Asker:
    """A model in evaluation mode, ready to be shown pictures.

    Attributes:
        model: The model; a copy if the one that was given is in training mode.
        network: Mean and standard deviation of the images that it expects.
        num_classes: Number of classes; None if nobody told.
    """

    model: nn.Module
    network: NetworkConfig
    num_classes: int | None

    @classmethod
    def of(cls, model: nn.Module, context: DefenseContext) -> Asker:
        """Return an asker for a model, which stays as it is."""
        if any(layer.training for layer in layers(model)):
            model = evaluating(copy.deepcopy(model))
        clean = context.clean
        return cls(model, context.network, None if clean is None else len(clean.classes))

    @property
    def device(self) -> torch.device:
        """Return the device of the model's weights."""
        return next((weight.device for weight in parameters_of(self.model)), torch.device("cpu"))

    def outputs(self, pictures: Iterable[AnyImage]) -> Iterator[SegmentationOutput]:
        """Yield the answers to pictures of one size, batch by batch; pictures are read as needed.

        Raises:
            ConfigError: If the logits do not fit the classes, or are not finite.
        """
        for batch in _batches(pictures):
            images = normalised(transferred(np.stack(batch), self.device), self.network)
            with torch.inference_mode():
                size = images.shape[2], images.shape[3]
                output = ask(self.model, images, num_classes=self.num_classes, size=size)
                # A sum of float32 in float64 is finite if and only if every summand is.
                if not math.isfinite(float(output.logits.sum(dtype=torch.float64))):
                    raise ConfigError(
                        "network",
                        "must return finite logits",
                        "NaN or infinity",
                        "Check its weights.",
                    )
            yield output

    def probabilities(self, pictures: Iterable[AnyImage]) -> Iterator[Tensor]:
        """Yield each picture's probabilities, K x H x W, on the model's device."""
        for output in self.outputs(pictures):
            yield from output.logits.softmax(dim=1)

    def labels(self, pictures: Iterable[AnyImage]) -> Iterator[AnyLabel]:
        """Yield the predicted class of each pixel of each picture."""
        for output in self.outputs(pictures):
            yield from best_classes(output.logits).to(torch.uint8).cpu().numpy()

    def label(self, picture: AnyImage) -> AnyLabel:
        """Return the predicted class of each pixel of one picture."""
        return next(self.labels([picture]))


def stream_of(image: AnyImage, kind: str, seed: int) -> Stream:
    """Return the random stream of a method for one image, whatever images came before it."""
    told = hashlib.sha256(repr(image.shape).encode() + image.tobytes()).hexdigest()
    return Stream(seed).child(kind, told)


def some_of(clean: SceneDataset | None, number: int, kind: str, seed: int) -> Iterator[Scene]:
    """Yield clean scenes that a method looks at once: all, or some drawn by seed if there are more.

    Args:
        clean: The clean scenes.
        number: How many to look at, at most.
        kind: The method's name.
        seed: Decides which.
    """
    if clean is None:
        return
    order = Stream(seed).child(kind, "clean scenes").generator().permutation(len(clean))
    for index in sorted(int(drawn) for drawn in order[:number]):
        yield clean[index]


def _batches(pictures: Iterable[AnyImage]) -> Iterator[list[AnyImage]]:
    batch: list[AnyImage] = []
    for picture in pictures:
        batch.append(picture)
        if (len(batch) + 1) * picture.shape[0] * picture.shape[1] > _MOST_PIXELS:
            yield batch
            batch = []
    if batch:
        yield batch
