"""The network that a filter looks through: the one given, or one trained on the suspect scenes."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from contextlib import ExitStack

import torch
from torch import Tensor, nn

from segdoor.data.scene import ClassSet, Scene, SceneDataset
from segdoor.defense.filters.filter import FilterContext
from segdoor.randomness import Stream
from segdoor.victim.answer import Features, Images, Logits, ask, logits_of
from segdoor.victim.config import NetworkConfig
from segdoor.victim.device import transferred
from segdoor.victim.members import evaluating, layers, parameters_of
from segdoor.victim.normalisation import normalised
from segdoor.victim.training.loop import train_model

_WRITERS = (nn.Conv2d, nn.ConvTranspose2d, nn.Linear)


def model_for(scenes: SceneDataset, context: FilterContext) -> nn.Module:
    """Return a copy of the given network, or a network trained on the suspect scenes.

    The training keeps its state in the context's folder and goes on from it; filters that need the
    same network share it there.
    """
    if context.model is not None:
        return evaluating(copy.deepcopy(context.model))
    return train_model(
        scenes,
        context.recipe,
        network=context.network,
        seed=Stream(context.seed).child("filters", "model").integer(),
        observer=context.observer,
        snapshot=context.folder / "suspect-model.pt" if context.folder else None,
    )


class Looking:
    """Shows scenes to a network, and takes what its classifier reads."""

    def __init__(self, model: nn.Module, classes: ClassSet, network: NetworkConfig) -> None:
        """Keep the network, which must be in evaluation mode."""
        self._model = model
        self._classes = classes
        self._network = network
        self._device = next((w.device for w in parameters_of(model)), torch.device("cpu"))
        self._classifier: nn.Module | None = None
        self._searched = False

    def images(self, scene: Scene) -> Images:
        """Return a scene as the network is shown it."""
        return normalised(transferred(scene.image[None], self._device), self._network)

    def logits(self, images: Images) -> Logits:
        """Return the network's logits at the size of the images."""
        size = images.shape[2], images.shape[3]
        with torch.inference_mode():
            return ask(self._model, images, num_classes=len(self._classes), size=size).logits

    def features(self, images: Images) -> Features:
        """Return the penultimate features; the logits where no classifier is found.

        That is what the last layer with one output a class reads, as far as it decides the logits.
        """
        if not self._searched:
            self._classifier, self._searched = self._found(images), True
        if self._classifier is None:
            return self.logits(images)
        read: list[Tensor] = []
        hook = self._classifier.register_forward_pre_hook(lambda _, given: read.append(given[0]))
        try:
            self.logits(images)
        finally:
            hook.remove()
        channels_last = isinstance(self._classifier, nn.Linear)
        found = read[-1].movedim(-1, 1) if channels_last else read[-1]
        return (found if found.ndim == 4 else self.logits(images)).float()

    def _found(self, images: Images) -> nn.Module | None:
        """Return the classifier, by trying which layer decides the logits."""
        logits = self._raw(images)
        ran: list[nn.Module] = []
        writers = [one for one in layers(self._model) if isinstance(one, _WRITERS)]
        with ExitStack() as stack:
            for one in writers:
                hook = one.register_forward_hook(lambda layer, _, __: ran.append(layer))
                stack.callback(hook.remove)
            self._raw(images)
        for one in reversed(ran):
            hook = one.register_forward_hook(lambda _, __, output: 2 * output + 1)
            try:
                decides = not torch.equal(self._raw(images), logits)
            finally:
                hook.remove()
            if decides:
                return one if _outputs(one) == logits.shape[1] else None
        return None

    def _raw(self, images: Images) -> Tensor:
        with torch.inference_mode():
            return logits_of(self._model(images))


def _outputs(layer: nn.Module) -> int:
    return layer.out_features if isinstance(layer, nn.Linear) else int(layer.out_channels)  # pyright: ignore[reportArgumentType]


def read_through(scenes: SceneDataset, stage: str, context: FilterContext) -> Iterator[Scene]:
    """Yield every scene in order, and tell the observer."""
    context.observer.begin(stage, len(scenes))
    for index in range(len(scenes)):
        yield scenes[index]
        context.observer.advance()
