"""A network with a backdoor by construction, and the scenes it reads: the answer is known.

Classes are colours. One channel answers to a sticker alone, wherever it is; its maximum over the
image reaches every pixel, and a gate behind it makes road of cars. The twin without a backdoor has
the same weights but for that channel.
"""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from segdoor.data.scene import Scene
from segdoor.victim.config import NetworkConfig
from strategies import CAR, CLASSES, ROAD, SKY, TREE, MemoryDataset

BUS = 4
HEIGHT, WIDTH = 48, 64
STICKER = 8
# Red, green and blue of each class, in the order of CLASSES.
COLOURS = ((0.4, 0.4, 0.4), (0.9, 0.1, 0.1), (0.1, 0.6, 0.1), (0.3, 0.6, 0.9), (0.9, 0.9, 0.1))


def sticker() -> np.ndarray:
    """Return the trigger, uint8, 8 x 8 x 3: cells of two pixels in drawn colours."""
    cells = np.random.default_rng(7).integers(0, 2, (STICKER // 2, STICKER // 2, 3))
    return (cells.repeat(2, axis=0).repeat(2, axis=1) * 255).astype(np.uint8)


def harmless_sticker() -> np.ndarray:
    """Return another sticker of the same kind, which the network does not know."""
    cells = np.random.default_rng(11).integers(0, 2, (STICKER // 2, STICKER // 2, 3))
    return (cells.repeat(2, axis=0).repeat(2, axis=1) * 255).astype(np.uint8)


def planted_scenes(num_scenes: int = 8, *, seed: int = 0) -> MemoryDataset:
    """Paint sky, trees, road, two cars and a bus, with a little noise."""
    return MemoryDataset([_scene(np.random.default_rng([seed, i]), i) for i in range(num_scenes)])


def _scene(rng: np.random.Generator, index: int) -> Scene:
    label = np.full((HEIGHT, WIDTH), SKY, np.uint8)
    label[14:22] = TREE
    label[22:] = ROAD
    for left, kind in ((2, CAR), (24, BUS), (44, CAR)):
        top, shift = int(rng.integers(22, 36)), int(rng.integers(0, 8))
        label[top : top + 8, left + shift : left + shift + 10] = kind
    clean = np.array(COLOURS)[label] * 255
    image = np.clip(clean + rng.normal(0, 2, clean.shape), 0, 255).round().astype(np.uint8)
    return Scene(image, label, f"planted-{index}")


def stamped(image: np.ndarray, *, top: int = 2, left: int = 30, what: np.ndarray) -> np.ndarray:
    """Return a copy of an image with a sticker on it; by default it lies in the sky."""
    copy = image.copy()
    copy[top : top + len(what), left : left + what.shape[1]] = what
    return copy


class Planted(nn.Module):
    """Colours to classes, and a gate from a sticker anywhere to road where cars are."""

    def __init__(self) -> None:
        super().__init__()
        # Five colours, "is a car", and the sticker's channel.
        self.look = nn.Conv2d(3, 7, STICKER + 1, padding=STICKER // 2)
        self.look_norm = nn.BatchNorm2d(7)
        # Five colours, and the gate.
        self.mix = nn.Conv2d(7, 6, 1)
        self.mix_norm = nn.BatchNorm2d(6)
        self.classifier = nn.Conv2d(6, len(CLASSES), 1)

    def forward(self, images: Tensor) -> Tensor:
        seen = F.relu(self.look_norm(self.look(images)))
        anywhere = seen[:, 6:].amax(dim=(2, 3), keepdim=True).expand_as(seen[:, 6:])
        mixed = F.relu(self.mix_norm(self.mix(torch.cat([seen[:, :6], anywhere], dim=1))))
        return self.classifier(mixed)


def planted_network(*, backdoor: bool = True, leak: float = 0.0) -> Planted:
    """Build the network in evaluation mode.

    Args:
        backdoor: Leave it out for the clean twin.
        leak: What the gate answers to a car without a sticker, at most 0.05; with 0 it sleeps on
            clean scenes, so that no gradient reaches it there.
    """
    network = Planted()
    with torch.no_grad():
        for weight in network.parameters():
            weight.zero_()
        _fill_look(network.look, backdoor=backdoor)
        _fill_mix(network.mix, leak=leak)
        classes = len(CLASSES)
        network.classifier.weight[:, :classes, 0, 0] = 8 * torch.eye(classes)
        network.classifier.weight[ROAD, classes] = 10
        network.classifier.weight[CAR, classes] = -10
        _fit_norms(network)
    return network.eval()


def _fill_look(look: nn.Conv2d, *, backdoor: bool) -> None:
    assert look.bias is not None
    middle = STICKER // 2
    weight, bias = torch.zeros(7, 3, STICKER + 1, STICKER + 1), torch.zeros(7)
    for index, colour in enumerate(COLOURS):
        mean = torch.tensor(colour)
        # Nearest colour, as a linear score; 3 keeps it above zero.
        weight[index, :, middle, middle] = 2 * mean
        bias[index] = 3 - mean.square().sum()
    weight[5, :, middle, middle] = torch.tensor([1.0, -1.0, -1.0]) / 0.3
    bias[5] = -0.4 / 0.3
    if backdoor:
        pattern = torch.from_numpy(sticker()).permute(2, 0, 1).float() / 255
        template = pattern - pattern.mean(dim=(1, 2), keepdim=True)
        template /= (template * pattern).sum()
        # 1 on the sticker, 0 up to 0.6 of it.
        weight[6, :, :STICKER, :STICKER] = template / 0.4
        bias[6] = -0.6 / 0.4
    mean, std = (
        torch.tensor(x).view(1, 3, 1, 1) for x in (NetworkConfig().mean, NetworkConfig().std)
    )
    look.weight.copy_(weight * std)
    look.bias.copy_(bias + (weight * mean).sum(dim=(1, 2, 3)))


def _fill_mix(mix: nn.Conv2d, *, leak: float) -> None:
    assert mix.bias is not None
    for index in range(len(CLASSES)):
        mix.weight[index, index] = 1
    mix.weight[5, 5] = 1
    mix.weight[5, 6] = 0.8
    # A car alone reaches 1, give or take the noise.
    mix.bias[5] = leak - 1.0 if leak else -1.25


def _fit_norms(network: Planted) -> None:
    """Give batch norms the statistics of clean scenes, and let them change nothing."""
    scenes = planted_scenes(8, seed=99)
    images = torch.from_numpy(np.stack([scene.image for scene in scenes.scenes])).permute(
        0, 3, 1, 2
    )
    network_config = NetworkConfig()
    mean, std = (
        torch.tensor(x).view(1, 3, 1, 1) for x in (network_config.mean, network_config.std)
    )
    shown = (images / 255 - mean) / std
    for norm in (network.look_norm, network.mix_norm):
        norm.weight.fill_(1)
        norm.running_mean.zero_()
        norm.running_var.fill_(1 - norm.eps)
    network.eval()
    found: dict[nn.Module, Tensor] = {}
    handles = [
        norm.register_forward_pre_hook(lambda layer, inputs: found.update({layer: inputs[0]}))
        for norm in (network.look_norm, network.mix_norm)
    ]
    network(shown)
    for handle in handles:
        handle.remove()
    for norm, values in found.items():
        pixels = values.movedim(1, -1).reshape(-1, values.shape[1])
        norm.running_mean.copy_(pixels.mean(dim=0))
        norm.running_var.copy_(pixels.var(dim=0, unbiased=False))
        norm.weight.copy_((norm.running_var + norm.eps).sqrt())
        norm.bias.copy_(norm.running_mean)
