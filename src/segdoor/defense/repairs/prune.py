"""Pruning: silence the channels in front of the classifier that clean scenes use least."""

from __future__ import annotations

import copy
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from pydantic import Field
from torch import Tensor, nn

from segdoor.data.checked import checked
from segdoor.data.scene import SceneDataset
from segdoor.defense.repairs.repair import Repair, RepairContext, Repaired
from segdoor.errors import ConfigError
from segdoor.plugins import Introduction
from segdoor.tensors import ChannelMeans
from segdoor.victim.answer import ask
from segdoor.victim.config import NetworkConfig
from segdoor.victim.device import transferred
from segdoor.victim.logits import classes_of
from segdoor.victim.members import evaluating, named_layers, parameters_of
from segdoor.victim.normalisation import normalised

Reader = nn.Conv2d | nn.ConvTranspose2d | nn.Linear
_MOST_LISTED = 8


class Prune(Repair):
    """Silence the channels in front of the classifier that clean scenes use least.

    The channels are those that the classifier reads: with batch norm, ReLU and whatever else lies
    before it, whether as modules or as plain functions. To silence one, its weights in the
    classifier are set to zero, so the result is an ordinary state dict for the same network. That
    is the same as setting the channel to zero where nothing else reads it; a second head or a skip
    goes on reading it.
    """

    kind: ClassVar[str] = "prune"
    main: ClassVar[str | None] = "channels"
    introduction: ClassVar[Introduction] = Introduction(
        source="Liu, Dolan-Gavitt and Garg, Fine-Pruning (RAID 2018); IBA paper, section 5.3",
        does="Silences channels that are inactive on clean scenes and may respond to a trigger.",
        needs="One pass over a tenth of the clean training scenes; no training.",
        fails="If the trigger uses the channels that clean scenes use, accuracy falls with the "
        "attack, or alone.",
    )

    channels: int = Field(ge=0)
    """Channels to silence; the paper has 0, 1, 5, 15, 20 and 30 of 256."""
    share: float = Field(default=0.1, gt=0, le=1)
    """Share of the clean training scenes over which activations are averaged; the paper's 0.1."""
    layer: str | None = Field(default=None, examples=["classifier"])
    """The convolution or linear layer that reads the channels; default: the classifier."""

    def __call__(self, model: nn.Module, scenes: SceneDataset, context: RepairContext) -> Repaired:
        """Return the model with the weakest channels silenced."""
        pruned = evaluating(copy.deepcopy(model))
        showing = _Showing(pruned, checked(scenes), context.network)
        layer = find_classifier(showing) if self.layer is None else self.layer
        reader = _reader_called(pruned, layer)
        num_channels = _num_read(reader)
        if self.channels >= num_channels:
            raise ConfigError(
                "prune",
                f"must leave at least one of the {num_channels} channels that {layer} reads",
                self.channels,
                f"Silence at most {num_channels - 1}.",
            )
        weakest = rising_order(mean_activations(showing, layer))[: self.channels]
        # Deviation 13: the "last convolutional layer" with 256 channels cannot be the classifier,
        # which has one for each class; it is the one before it, of 512 channels in PSPNet.
        silence(reader, weakest)
        return Repaired(pruned, layer)


@dataclass(frozen=True)
class _Showing:
    """A model in evaluation mode, and the scenes it is shown, one at a time."""

    model: nn.Module
    scenes: SceneDataset
    network: NetworkConfig

    def answer(self, index: int) -> Tensor:
        """Return the logits for a scene."""
        scene = self.scenes[index]
        device = next((weight.device for weight in parameters_of(self.model)), torch.device("cpu"))
        images = normalised(transferred(scene.image[None], device), self.network)
        size = (images.shape[2], images.shape[3])
        with torch.inference_mode():
            return ask(self.model, images, num_classes=self.num_classes, size=size).logits

    @property
    def classes(self) -> tuple[str, ...]:
        return self.scenes.classes.names

    @property
    def num_classes(self) -> int:
        return len(self.classes)


def find_classifier(showing: _Showing) -> str:
    """Return the name of the last convolution or linear layer that decides the logits.

    It is found by trying: an auxiliary head may run later, but changes nothing.

    Raises:
        ConfigError: If that layer does not have one output a class, so that it is no classifier.
    """
    ran: list[str] = []
    readers = _readers(showing.model)
    with _hooked(readers, lambda name: lambda *_: ran.append(name)):
        logits = showing.answer(0)
    for name in dict.fromkeys(reversed(ran)):
        with _hooked({name: readers[name]}, lambda _: _disturb):
            decides = not torch.equal(showing.answer(0), logits)
        if not decides:
            continue
        # A network may have a logit for void as well.
        if _num_written(readers[name]) == len(classes_of(showing.model, showing.classes)):
            return name
        break
    raise ConfigError(
        "prune",
        "must find the classifier: a last convolution or linear layer with an output for each"
        f" of {showing.num_classes} classes",
        type(showing.model).__name__,
        _listed(showing.model),
    )


def mean_activations(showing: _Showing, layer: str) -> ChannelMeans:
    """Return the mean of each channel that a layer reads, over all pixels of all scenes.

    Raises:
        ConfigError: If the network never uses the layer.
    """
    reader = _reader_called(showing.model, layer)
    total = np.zeros(_num_read(reader))
    num_pixels = 0

    def look(reader: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        nonlocal num_pixels
        del output
        maps = inputs[0] if isinstance(reader, nn.Linear) else inputs[0].movedim(1, -1)
        pixels = maps.reshape(-1, maps.shape[-1])
        total[:] += pixels.double().sum(dim=0).cpu().numpy()
        num_pixels += len(pixels)

    with _hooked({layer: reader}, lambda _: look):
        for index in range(len(showing.scenes)):
            showing.answer(index)
    if not num_pixels:
        raise ConfigError(
            "prune", "layer must be one that the network uses", layer, _listed(showing.model)
        )
    return total / num_pixels


def rising_order(means: ChannelMeans) -> np.ndarray:
    """Return the channels from the weakest to the strongest; equal ones in their order."""
    return np.argsort(means, kind="stable")


def silence(reader: Reader, channels: np.ndarray) -> None:
    """Let a layer read zero in some channels, by setting its weights for them to zero."""
    axis = 0 if isinstance(reader, nn.ConvTranspose2d) else 1
    with torch.no_grad():
        reader.weight.index_fill_(axis, torch.from_numpy(channels).to(reader.weight.device), 0.0)


_Look = Callable[..., object]


@contextmanager
def _hooked(readers: dict[str, Reader], look: Callable[[str], _Look]) -> Generator[None]:
    """Let a function see what layers read and write, or change it, for a while."""
    handles = [reader.register_forward_hook(look(name)) for name, reader in readers.items()]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def _disturb(_: nn.Module, __: tuple[Tensor, ...], output: Tensor) -> Tensor:
    # Doubled, as softmax does not feel what is added to all classes.
    return 2 * output + 1


def _readers(model: nn.Module) -> dict[str, Reader]:
    """Return the layers whose weights say how much of each channel they read."""
    return {
        name: module
        for name, module in named_layers(model)
        # A network that is one convolution has nothing before it but the image.
        if name
        and isinstance(module, Reader)
        and getattr(module, "groups", 1) == 1
        # Weights computed from others (weight norm and its like) cannot be set.
        and "weight" in dict(module.named_parameters(recurse=False))
    }


def _reader_called(model: nn.Module, name: str) -> Reader:
    readers = _readers(model)
    if name not in readers:
        raise ConfigError(
            "prune",
            "layer must be a convolution (not a grouped one) or linear layer of the network",
            name,
            _listed(model),
        )
    return readers[name]


def _num_read(reader: Reader) -> int:
    return reader.in_features if isinstance(reader, nn.Linear) else reader.in_channels


def _num_written(reader: Reader) -> int:
    return reader.out_features if isinstance(reader, nn.Linear) else reader.out_channels


def _listed(model: nn.Module) -> str:
    names = list(_readers(model))
    if not names:
        return "The network has no such layer; use another repair."
    shown = ", ".join(reversed(names[-_MOST_LISTED:]))
    return f"Name it, as in prune:1,layer={names[-1]}; the last ones are {shown}."
