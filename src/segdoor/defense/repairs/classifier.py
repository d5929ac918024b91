"""The layer that decides the classes, the channels that it reads, and how they are silenced."""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor, nn

from segdoor.data.scene import SceneDataset
from segdoor.errors import ConfigError
from segdoor.tensors import ChannelMeans
from segdoor.victim.answer import ask
from segdoor.victim.config import NetworkConfig
from segdoor.victim.device import transferred
from segdoor.victim.logits import classes_of
from segdoor.victim.members import named_layers, parameters_of
from segdoor.victim.normalisation import normalised

Reader = nn.Conv2d | nn.ConvTranspose2d | nn.Linear
_MOST_LISTED = 8


@dataclass(frozen=True)
class Showing:
    """A model in evaluation mode, and the scenes it is shown, one at a time.

    Attributes:
        model: The model.
        scenes: Clean scenes.
        network: What images the model expects.
        repair: Who asks, for messages.
    """

    model: nn.Module
    scenes: SceneDataset
    network: NetworkConfig
    repair: str = "prune"
    _shown: list[int] = field(default_factory=list[int])

    def answer(self, index: int) -> Tensor:
        """Return the logits for a scene."""
        self._shown.append(index)
        scene = self.scenes[index]
        device = next((weight.device for weight in parameters_of(self.model)), torch.device("cpu"))
        images = normalised(transferred(scene.image[None], device), self.network)
        size = (images.shape[2], images.shape[3])
        with torch.inference_mode():
            return ask(self.model, images, num_classes=self.num_classes, size=size).logits

    @property
    def num_shown(self) -> int:
        """Return how many images the model was shown."""
        return len(self._shown)

    @property
    def classes(self) -> tuple[str, ...]:
        """Return the names of the scenes' classes."""
        return self.scenes.classes.names

    @property
    def num_classes(self) -> int:
        """Return how many classes the scenes have."""
        return len(self.classes)


def find_classifier(showing: Showing) -> str:
    """Return the name of the last convolution or linear layer that decides the logits.

    It is found by trying: an auxiliary head may run later, but changes nothing.

    Raises:
        ConfigError: If that layer does not have one output a class, so that it is no classifier.
    """
    ran: list[str] = []
    readers = readers_of(showing.model)
    with hooked(readers, lambda name: lambda *_: ran.append(name)):
        logits = showing.answer(0)
    for name in dict.fromkeys(reversed(ran)):
        with hooked({name: readers[name]}, lambda _: _disturb):
            decides = not torch.equal(showing.answer(0), logits)
        if not decides:
            continue
        # A network may have a logit for void as well.
        if _num_written(readers[name]) == len(classes_of(showing.model, showing.classes)):
            return name
        break
    raise ConfigError(
        showing.repair,
        "must find the classifier: a last convolution or linear layer with an output for each"
        f" of {showing.num_classes} classes",
        type(showing.model).__name__,
        _listed(showing),
    )


def mean_activations(showing: Showing, layer: str) -> ChannelMeans:
    """Return the mean of each channel that a layer reads, over all pixels of all scenes.

    Raises:
        ConfigError: If the network never uses the layer.
    """
    reader = reader_called(showing, layer)
    total = np.zeros(num_read(reader))
    num_pixels = 0

    def look(reader: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        nonlocal num_pixels
        del output
        maps = inputs[0] if isinstance(reader, nn.Linear) else inputs[0].movedim(1, -1)
        pixels = maps.reshape(-1, maps.shape[-1])
        total[:] += pixels.double().sum(dim=0).cpu().numpy()
        num_pixels += len(pixels)

    with hooked({layer: reader}, lambda _: look):
        for index in range(len(showing.scenes)):
            showing.answer(index)
    if not num_pixels:
        raise ConfigError(
            showing.repair, "layer must be one that the network uses", layer, _listed(showing)
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


def check_some_left(showing: Showing, layer: str, channels: int) -> None:
    """Refuse to silence all channels that a layer reads.

    Raises:
        ConfigError: If so many are to be silenced.
    """
    num_channels = num_read(reader_called(showing, layer))
    if channels >= num_channels:
        raise ConfigError(
            showing.repair,
            f"must leave at least one of the {num_channels} channels that {layer} reads",
            channels,
            f"Silence at most {num_channels - 1}.",
        )


_Look = Callable[..., object]


@contextmanager
def hooked(readers: dict[str, Reader], look: Callable[[str], _Look]) -> Generator[None]:
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


def readers_of(model: nn.Module) -> dict[str, Reader]:
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


def reader_called(showing: Showing, name: str) -> Reader:
    """Return the layer of a name.

    Raises:
        ConfigError: If it is none whose weights say how much of each channel it reads.
    """
    readers = readers_of(showing.model)
    if name not in readers:
        raise ConfigError(
            showing.repair,
            "layer must be a convolution (not a grouped one) or linear layer of the network",
            name,
            _listed(showing),
        )
    return readers[name]


def num_read(reader: Reader) -> int:
    """Return how many channels a layer reads."""
    return reader.in_features if isinstance(reader, nn.Linear) else reader.in_channels


def _num_written(reader: Reader) -> int:
    return reader.out_features if isinstance(reader, nn.Linear) else reader.out_channels


def _listed(showing: Showing) -> str:
    names = list(readers_of(showing.model))
    if not names:
        return "The network has no such layer; use another repair."
    shown = ", ".join(reversed(names[-_MOST_LISTED:]))
    return f"Name it, as in {showing.repair}:1,layer={names[-1]}; the last ones are {shown}."
