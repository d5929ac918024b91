"""Pruning against what NumPy and a hook that blanks channels make of the same network."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from defense.third_party import CLASSES, NETWORKS, Normed, Shuffled, made
from segdoor.data.scene import ClassSet, Scene
from segdoor.data.street import StreetDataset
from segdoor.defense.repairs.classifier import (
    Showing,
    find_classifier,
    mean_activations,
    rising_order,
)
from segdoor.defense.repairs.prune import Prune
from segdoor.defense.repairs.registry import REPAIRS
from segdoor.defense.repairs.repair import RepairContext
from segdoor.errors import ConfigError
from segdoor.victim.answer import logits_of
from segdoor.victim.config import NetworkConfig

SCENES = StreetDataset(split="train", num_scenes=3, height=64, width=96)
HALVES = NetworkConfig(mean=(0.5, 0.4, 0.3), std=(0.2, 0.3, 0.4))
every_network = pytest.mark.parametrize("name", NETWORKS)


class Mixed:
    """Scenes of several sizes."""

    classes: ClassSet = SCENES.classes
    names = ("wide", "tall", "small")
    digest = "mixed"

    def __len__(self) -> int:
        return 3

    def __getitem__(self, index: int) -> Scene:
        height, width = [(64, 96), (96, 64), (64, 64)][index]
        scene = StreetDataset(split="train", num_scenes=3, height=height, width=width)[index]
        return Scene(scene.image, scene.label, self.names[index])

    def label(self, index: int) -> np.ndarray:
        return self[index].label


def images_of(scene: Scene) -> Tensor:
    """Normalise a scene by hand."""
    pixels = (scene.image / 255 - np.array(HALVES.mean)) / np.array(HALVES.std)
    return torch.from_numpy(pixels.transpose(2, 0, 1)[None].astype(np.float32))


def classifier_of(network: nn.Module, name: str) -> nn.Module:
    return network.get_submodule(NETWORKS[name][1])


def read_maps(network: nn.Module, name: str, scenes: object) -> np.ndarray:
    """Return every value that the classifier reads, pixels x channels, in float64."""
    seen: list[np.ndarray] = []
    channels_last = isinstance(classifier_of(network, name), nn.Linear)

    def look(_: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        maps = inputs[0].numpy().astype(np.float64)
        maps = maps if channels_last else np.moveaxis(maps, 1, -1)
        seen.append(maps.reshape(-1, maps.shape[-1]))

    handle = classifier_of(network, name).register_forward_pre_hook(look)
    with torch.no_grad():
        for index in range(len(scenes)):  # pyright: ignore[reportArgumentType]
            network(images_of(scenes[index]))  # pyright: ignore[reportIndexIssue]
    handle.remove()
    return np.concatenate(seen)


def blanked(network: nn.Module, name: str, channels: list[int], images: Tensor) -> Tensor:
    """Return the logits with some channels set to zero on their way into the classifier."""

    def blank(layer: nn.Module, inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        maps = inputs[0].clone()
        if isinstance(layer, nn.Linear):
            maps[..., channels] = 0
        else:
            maps[:, channels] = 0
        return (maps, *inputs[1:])

    handle = classifier_of(network, name).register_forward_pre_hook(blank)
    with torch.no_grad():
        logits = logits_of(network(images))
    handle.remove()
    return logits


@every_network
def test_the_classifier_is_found(name: str) -> None:
    assert find_classifier(Showing(made(name), SCENES, HALVES)) == NETWORKS[name][1]


@every_network
def test_means_are_those_of_numpy(name: str) -> None:
    network = made(name)
    found = mean_activations(Showing(network, SCENES, HALVES), NETWORKS[name][1])
    expected = read_maps(network, name, SCENES).mean(axis=0)
    assert found.shape == (NETWORKS[name][2],)
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-6)


def test_every_pixel_counts_alike_in_scenes_of_several_sizes() -> None:
    network = made("homemade")
    found = mean_activations(Showing(network, Mixed(), HALVES), "head")
    expected = read_maps(network, "homemade", Mixed())
    assert len(expected) == 64 * 96 + 96 * 64 + 64 * 64
    np.testing.assert_allclose(found, expected.mean(axis=0), rtol=1e-4, atol=1e-6)


@every_network
@pytest.mark.parametrize("part", [0.0, 0.7])
def test_pruning_is_blanking_the_weakest_channels(name: str, part: float) -> None:
    network = made(name)
    count = 1 + int(part * (NETWORKS[name][2] - 1))
    means = read_maps(network, name, SCENES).mean(axis=0)
    weakest = sorted(range(len(means)), key=lambda channel: means[channel])[:count]
    repaired = Prune(channels=count)(network, SCENES, RepairContext(network=HALVES))
    assert repaired.layer == NETWORKS[name][1]
    images = images_of(SCENES[1])
    with torch.no_grad():
        found, before = logits_of(repaired.model(images)), logits_of(network(images))
    expected = blanked(network, name, weakest, images)
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-6)
    # A single weak channel may sleep on this scene; most of them together do not.
    assert not part or not torch.allclose(found, before, rtol=1e-5, atol=1e-6)


@every_network
def test_pruning_changes_nothing_but_the_classifier(name: str) -> None:
    network = made(name)
    pruned = Prune(channels=3)(network, SCENES, RepairContext()).model
    before, after = network.state_dict(), pruned.state_dict()
    assert before.keys() == after.keys()
    changed = [key for key in before if not torch.equal(before[key], after[key])]
    assert changed == [f"{NETWORKS[name][1]}.weight"]


def test_pruning_none_changes_nothing() -> None:
    network = made("small")
    pruned = Prune(channels=0)(network, SCENES, RepairContext()).model
    for one, other in zip(network.parameters(), pruned.parameters(), strict=True):
        assert torch.equal(one, other)


def test_of_equal_channels_the_first_goes_first() -> None:
    assert list(rising_order(np.array([2.0, 1.0, 1.0, 0.0, 1.0]))) == [3, 1, 2, 4, 0]


def test_a_named_layer_is_pruned_instead() -> None:
    network = made("homemade")
    repaired = REPAIRS.read("prune:2,layer=neck")(network, SCENES, RepairContext())
    silent = (repaired.model.get_submodule("neck").weight == 0).all(dim=0).flatten()  # pyright: ignore[reportAttributeAccessIssue]
    assert repaired.layer == "neck"
    assert int(silent.sum()) == 2


class TwoHeads(nn.Module):
    """The sum of two heads that read the same channels."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Conv2d(3, 12, 3, padding=1)
        self.first, self.second = nn.Conv2d(12, CLASSES, 1), nn.Conv2d(12, CLASSES, 1)

    def forward(self, images: Tensor) -> Tensor:
        maps = torch.relu(self.body(images))
        return self.first(maps) + self.second(maps)


def test_what_else_reads_a_channel_goes_on_reading_it() -> None:
    """As the documentation says: the silence is the layer's."""
    torch.manual_seed(0)
    network = TwoHeads().eval()
    repaired = Prune(channels=8)(network, SCENES, RepairContext(network=HALVES))
    assert repaired.layer == "second"
    silent = {
        name: int((repaired.model.get_submodule(name).weight == 0).all(dim=0).sum())  # pyright: ignore[reportAttributeAccessIssue]
        for name in ("first", "second")
    }
    assert silent == {"first": 0, "second": 8}
    assert "a second head" in " ".join((Prune.__doc__ or "").split())


def test_grouped_convolutions_are_never_taken() -> None:
    network = nn.Sequential(nn.Conv2d(3, 8, 1), nn.Conv2d(8, CLASSES, 1, groups=2))
    with pytest.raises(ConfigError, match="not a grouped one"):
        Prune(channels=1, layer="1")(network, SCENES, RepairContext())


@pytest.mark.parametrize("count", [6, 7, 500])
def test_a_channel_must_be_left(count: int) -> None:
    with pytest.raises(ConfigError, match=r"at least one of the 6 channels that head.*at most 5"):
        Prune(channels=count)(made("homemade"), SCENES, RepairContext())


def test_a_network_without_a_classifier_is_told_what_to_name() -> None:
    with pytest.raises(ConfigError, match=r"Name it.*spare, last, body") as told:
        Prune(channels=1)(Shuffled(), SCENES, RepairContext())
    assert "8 classes" in str(told.value)
    assert Prune(channels=1, layer="last")(Shuffled(), SCENES, RepairContext()).layer == "last"


def test_weights_that_cannot_be_set_are_refused() -> None:
    with pytest.raises(ConfigError, match="no such layer; use another repair"):
        Prune(channels=1)(Normed(), SCENES, RepairContext())


@pytest.mark.parametrize(("layer", "said"), [("heads", "of the network"), ("spare", "uses")])
def test_a_wrong_layer_is_refused(layer: str, said: str) -> None:
    with pytest.raises(ConfigError, match=f"{said}.*{layer}.*last"):
        Prune(channels=1, layer=layer)(Shuffled(), SCENES, RepairContext())
