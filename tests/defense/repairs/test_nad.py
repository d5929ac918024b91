"""NAD against maps of attention written in NumPy, and a step against autograd."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from defense.cured import CONTEXT, GOOD, OPEN, RECIPE, cured, state_of
from defense.planted import planted_network
from defense.third_party import made
from segdoor.data.street import StreetDataset
from segdoor.defense.repairs.nad import (
    WEIGHTS,
    Lesson,
    Nad,
    Student,
    attention,
    attention_layers,
    distance,
)
from segdoor.defense.repairs.repair import Passes
from segdoor.errors import ConfigError
from segdoor.victim.device import Arithmetic
from segdoor.victim.training.batches import Batch

STREET = StreetDataset(split="train", num_scenes=2, height=64, width=64)


class Deep(nn.Module):
    """Three sizes of maps, and dropout that would be noise."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(3, 4, 3, stride=2, padding=1)
        self.second = nn.Conv2d(4, 5, 3, stride=2, padding=1)
        self.third = nn.Conv2d(5, 6, 3, padding=1)
        self.dropout = nn.Dropout2d(0.9)
        self.head = nn.Conv2d(6, 2, 1)

    def maps(self, images: torch.Tensor) -> list[torch.Tensor]:
        one = torch.relu(self.first(images))
        two = torch.relu(self.second(one))
        return [one, two, torch.relu(self.third(two))]

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.head(self.dropout(self.maps(images)[2]))


def test_maps_are_squares_summed_over_channels_with_a_length_of_one() -> None:
    rng = np.random.default_rng(0)
    features = rng.normal(size=(2, 5, 3, 4)).astype(np.float32)
    squares = np.square(features.astype(np.float64)).sum(axis=1).reshape(2, 12)
    expected = squares / np.linalg.norm(squares, axis=1, keepdims=True)
    found = attention(torch.from_numpy(features), nn.Conv2d(5, 1, 1))
    np.testing.assert_allclose(found.numpy(), expected, atol=1e-6)
    last = torch.from_numpy(features).movedim(1, -1)
    np.testing.assert_allclose(attention(last, nn.Linear(5, 1)).numpy(), expected, atol=1e-6)
    assert torch.equal(attention(torch.zeros(1, 5, 2, 2), nn.Conv2d(5, 1, 1)), torch.zeros(1, 4))


def test_the_distance_of_the_papers_maps_is_the_papers() -> None:
    """On maps of 32, 16 and 8 cells a side: 500, 1000 and 1000 times means over cells and scenes."""
    torch.manual_seed(0)
    one = [torch.rand(2, side**2) for side in (32, 16, 8)]
    other = [torch.rand(2, side**2) for side in (32, 16, 8)]
    expected = sum(
        beta * F.mse_loss(a, b) for beta, a, b in zip((500, 1000, 1000), one, other, strict=True)
    )
    torch.testing.assert_close(distance(one, other), expected)
    torch.testing.assert_close(
        distance(one[2:], other[2:]), WEIGHTS[2] * 64 * F.mse_loss(one[2], other[2])
    )


@pytest.mark.parametrize(
    ("network", "expected"),
    [
        ("small", ("context.0", "decode_quarter.0", "classifier")),
        # The auxiliary head reads, last of all, the maps that the neck reads.
        ("homemade", ("head", "aux")),
        ("tokens", ("classify",)),
    ],
)
def test_maps_are_those_of_the_last_three_sizes(network: str, expected: tuple[str, ...]) -> None:
    assert attention_layers(made(network), STREET, CONTEXT) == expected


def test_a_network_that_reads_the_image_alone_is_refused() -> None:
    network = nn.Sequential(nn.Conv2d(3, len(STREET.classes), 1)).eval()
    with pytest.raises(ConfigError, match=r"^nad: needs a network .*Use another repair"):
        Nad()(network, STREET, CONTEXT)


def test_a_step_is_that_of_autograd() -> None:
    torch.manual_seed(0)
    network, teacher = Deep(), Deep()
    labels = torch.randint(0, 2, (2, 16, 16))
    labels[0, 0] = 255
    batch = Batch(torch.randn(2, 3, 16, 16), labels)
    config = RECIPE.model_copy(
        update={"optimiser": "sgd", "learning_rate": 0.1, "momentum": 0.0, "weight_decay": 0.0}
    )
    reference = copy.deepcopy(network)
    learner = Student(
        network, config, Arithmetic(torch.device("cpu"), bfloat16=False), num_classes=2,
        ignore_index=255, way=Lesson(teacher.eval(), ("second", "third", "head"), 2.0),
    )  # fmt: skip
    before = copy.deepcopy(teacher.state_dict())
    loss = learner(batch)
    logits = F.interpolate(
        reference.head(reference.maps(batch.images)[2]), (16, 16), mode="bilinear"
    )
    wanted = F.cross_entropy(logits, labels, ignore_index=255)
    # The second layer reads 64 cells, the third 16, and so does the head.
    pairs = zip(WEIGHTS, reference.maps(batch.images), teacher.maps(batch.images), strict=True)
    for weight, mine, theirs in pairs:
        maps = [x.square().sum(dim=1).flatten(1) for x in (mine, theirs.detach())]
        ours, goal = (m / m.norm(dim=1, keepdim=True) for m in maps)
        wanted = wanted + 2.0 * weight * (ours - goal).square().sum(dim=1).mean()
    torch.testing.assert_close(loss, wanted.detach())
    slopes = torch.autograd.grad(wanted, list(reference.parameters()))
    for mine, start, slope in zip(
        learner.model.parameters(), reference.parameters(), slopes, strict=True
    ):
        torch.testing.assert_close(mine, start - 0.1 * slope, atol=1e-6, rtol=1e-4)
    for key, value in teacher.state_dict().items():
        assert torch.equal(value, before[key]), key


def test_a_backdoor_that_sleeps_in_the_teacher_stays_in_the_model() -> None:
    repair = Nad(teacher_steps=3, steps=5, learning_rate=1e-6)
    done = cured(repair, planted_network(leak=0.0))
    after = state_of(done.model)
    assert (after.asr > OPEN, after.accuracy > GOOD) == (True, True)
    assert state_of(cured(repair, planted_network(backdoor=False)).model).accuracy > GOOD
    assert done.remarks[0] == "3 steps of the teacher, 5 of the model"
    assert done.passes == Passes(4 * (3 + 2 * 5) + 1, 4 * (3 + 5))


def test_the_rate_is_a_tenth_of_the_recipes_unless_given() -> None:
    assert Nad().resolved(RECIPE).learning_rate == pytest.approx(2e-4)
    assert Nad(learning_rate=0.2).resolved(RECIPE).learning_rate == 0.2
