"""Patches: where they may lie, what lies below them, and how they move."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from defense.cured import CONTEXT, RECIPE, SCENES
from segdoor.defense.repairs.i_bau import IBau, Unlearner
from segdoor.defense.repairs.patches import (
    Patched,
    Patching,
    PatchLearner,
    Scale,
    draw_places,
    patch_side,
    put,
)
from segdoor.defense.repairs.region_adversarial import RegionLearner
from segdoor.errors import ConfigError
from segdoor.victim.config import NetworkConfig
from segdoor.victim.device import Arithmetic
from segdoor.victim.normalisation import normalised
from segdoor.victim.training.batches import Batch

NETWORK = NetworkConfig()


def batch(number: int = 3, side: int = 10) -> Batch:
    torch.manual_seed(4)
    labels = torch.randint(0, 2, (number, side, side))
    labels[:, 0] = 255
    return Batch(torch.randn(number, 3, side, side), labels)


def learner_of(
    kind: type[PatchLearner], network: nn.Module, *, ascents: int = 1, side: int = 3
) -> PatchLearner:
    patching = Patching(NETWORK, ascents, 1, 0.25)
    config = RECIPE.model_copy(update={"learning_rate": 0.1})
    make = partial(kind, way=patching)
    arithmetic = Arithmetic(torch.device("cpu"), bfloat16=False)
    wrapped = Patched(network, side)
    return make(wrapped, config, arithmetic, num_classes=2, ignore_index=255)


def pixelwise() -> nn.Conv2d:
    torch.manual_seed(1)
    return nn.Conv2d(3, 2, 1)


class Reaching(nn.Module):
    """Each pixel's classes follow from the mean of the image too, so a patch acts at a distance."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = pixelwise()

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.conv(images + images.mean(dim=(2, 3), keepdim=True))


def test_a_patch_lies_inside_with_its_middle_on_a_labelled_pixel() -> None:
    torch.manual_seed(0)
    labels = torch.full((1, 9, 12), 255)
    labels[0, 4:6, 7] = 1
    drawn = {draw_places(labels, 3, 255)[0] for _ in range(40)}
    assert drawn == {(3, 6), (4, 6)}
    labels[:] = 255
    drawn = {draw_places(labels, 8, 255)[0] for _ in range(200)}
    assert drawn == {(top, left) for top in range(2) for left in range(5)}


def test_below_a_patch_nothing_is_labelled_and_beside_it_nothing_changes() -> None:
    given = batch()
    patches = torch.arange(2 * 3 * 4 * 4.0).view(2, 3, 4, 4)
    shown = put(given, patches, {0: (2, 5), 2: (6, 0)}, 255)
    assert torch.equal(shown.images[0, :, 2:6, 5:9], patches[0])
    assert torch.equal(shown.images[2, :, 6:10, 0:4], patches[1])
    covered = torch.zeros(3, 10, 10, dtype=torch.bool)
    covered[0, 2:6, 5:9] = covered[2, 6:10, 0:4] = True
    assert torch.equal(shown.labels, given.labels.masked_fill(covered, 255))
    beside = ~covered[:, None].expand(-1, 3, -1, -1)
    assert torch.equal(shown.images[beside], given.images[beside])
    assert torch.equal(given.labels, batch().labels)


def test_colours_are_normalised_as_images_are() -> None:
    network = NetworkConfig(channels="bgr", mean=(0.1, 0.2, 0.3), std=(1.0, 0.5, 2.0))
    pixels = torch.tensor([[[[255, 51, 0]]]], dtype=torch.uint8)
    found = Scale(network, torch.device("cpu"))(torch.tensor([0.0, 0.2, 1.0]).view(1, 3, 1, 1))
    # The patch has the order that the network has.
    torch.testing.assert_close(found, normalised(pixels, network).contiguous())


def test_the_patch_climbs_the_loss_outside_it() -> None:
    network, given = Reaching(), batch()
    learner = learner_of(Unlearner, network)
    before = {key: value.clone() for key, value in network.state_dict().items()}
    torch.manual_seed(8)
    expected = torch.empty(3, 3, 3).uniform_()
    places = dict(enumerate(draw_places(given.labels, 3, 255)))
    torch.manual_seed(8)
    loss = learner(given)
    colours = expected.clone().requires_grad_()
    mean, std = (torch.tensor(x).view(3, 1, 1) for x in (NETWORK.mean, NETWORK.std))
    images, labels = given.images.clone(), given.labels.clone()
    for scene, (top, left) in places.items():
        images[scene, :, top : top + 3, left : left + 3] = (colours - mean) / std
        labels[scene, top : top + 3, left : left + 3] = 255
    wanted = F.cross_entropy(network(images), labels, ignore_index=255)
    (slope,) = torch.autograd.grad(wanted, colours)
    torch.testing.assert_close(loss, wanted.detach())
    moved = (expected + 0.25 * slope.sign()).clamp(0, 1)
    torch.testing.assert_close(learner.model.patch, moved)
    assert float((moved - expected).abs().max()) > 0.2
    for key, value in network.state_dict().items():
        assert torch.equal(value, before[key]), key


def test_where_a_pixel_answers_for_itself_no_patch_gets_a_gradient() -> None:
    learner, given = learner_of(Unlearner, pixelwise()), batch()
    torch.manual_seed(8)
    expected = torch.empty(3, 3, 3).uniform_()
    torch.manual_seed(8)
    learner(given)
    assert torch.equal(learner.model.patch, expected)


@pytest.mark.parametrize("number", [1, 2, 5])
def test_half_of_the_scenes_get_the_patch_and_of_one_scene_each_second_time(number: int) -> None:
    learner, given = learner_of(Unlearner, pixelwise()), batch(number)
    torch.manual_seed(0)
    drawn = [learner.half(given) for _ in range(200)]
    assert {len(scenes) for scenes in drawn} == {number // 2, (number + 1) // 2}
    counts = np.bincount(np.concatenate(drawn).astype(int), minlength=number)
    assert np.all(np.abs(counts / 200 - 0.5) < 0.15)


def test_region_loss_counts_calm_scenes_and_pixels_that_the_patch_made_wrong() -> None:
    network, given = Reaching(), batch(4)
    with torch.no_grad():
        network.conv.weight.mul_(4)
    learner = learner_of(RegionLearner, network)
    learner.model.patch.fill_(1.0)
    right = network(given.images).argmax(dim=1) == given.labels
    torch.manual_seed(3)
    half = learner.half(given)
    shown = learner.with_patch(given, half)
    logits = network(shown.images)
    counted = shown.labels != 255
    for scene in half:
        counted[scene] &= right[scene] & (logits[scene].argmax(dim=0) != shown.labels[scene])
    harmed = int(counted[half].sum())
    assert 0 < harmed < int((shown.labels[half] != 255).sum())
    every = F.cross_entropy(logits, shown.labels.clamp(max=1), reduction="none")
    torch.manual_seed(3)
    torch.testing.assert_close(learner.repair_loss(given), every[counted].mean())


def test_rounds_begin_with_a_new_patch_and_train_behind_the_ascent() -> None:
    network = Reaching()
    learner = learner_of(Unlearner, network, ascents=2)
    seen: list[tuple[bool, bool]] = []
    for _ in range(6):
        patch, weights = learner.model.patch.clone(), network.conv.weight.detach().clone()
        learner(batch())
        seen.append(
            (not torch.equal(patch, learner.model.patch), not torch.equal(weights, network.conv.weight))
        )  # fmt: skip
    assert seen == [(True, False), (True, False), (False, True)] * 2
    assert int(learner.model.steps) == 6


def test_the_side_is_an_eighth_unless_given_and_something_is_left_beside_it() -> None:
    assert patch_side(None, SCENES, CONTEXT, "i_bau") == 6
    assert patch_side(47, SCENES, CONTEXT, "i_bau") == 47
    with pytest.raises(ConfigError, match=r"i_bau: patch must be smaller .* 48 \(found: 48\)"):
        IBau(patch=48)(pixelwise(), SCENES, CONTEXT)
