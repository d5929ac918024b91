"""NPD: what is folded answers as what was trained, losses by hand, and a planted backdoor."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn

from defense.cured import GOOD, OPEN, RECIPE, SHUT, cured, state_of
from defense.planted import planted_network
from segdoor.defense.repairs.npd import (
    Attack,
    Npd,
    Polarised,
    PolariserLearner,
    fold,
    harmed,
    runner_ups,
    takes_offset,
)
from segdoor.victim.config import NetworkConfig
from segdoor.victim.device import Arithmetic
from segdoor.victim.training.batches import Batch


class Tokens(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.body, self.last = nn.Conv2d(3, 5, 1), nn.Linear(5, 3)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.last(torch.relu(self.body(images)).movedim(1, -1)).movedim(-1, 1)


class Ending(nn.Module):
    def __init__(self, last: nn.Module) -> None:
        super().__init__()
        self.body, self.last = nn.Conv2d(3, 5, 1), last

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.last(torch.relu(self.body(images)))


CASES = {
    "1x1": (lambda: Ending(nn.Conv2d(5, 3, 1)), True),
    "without padding": (lambda: Ending(nn.Conv2d(5, 3, 3)), True),
    "padded": (lambda: Ending(nn.Conv2d(5, 3, 3, padding=1)), False),
    "same": (lambda: Ending(nn.Conv2d(5, 3, 3, padding="same")), False),
    "without bias": (lambda: Ending(nn.Conv2d(5, 3, 1, bias=False)), False),
    "transposed": (lambda: Ending(nn.ConvTranspose2d(5, 3, 3, stride=2)), False),
    "linear": (Tokens, True),
}


@pytest.mark.parametrize("case", CASES)
def test_what_is_folded_answers_as_what_was_trained(case: str) -> None:
    torch.manual_seed(0)
    make, offset = CASES[case]
    network, images = make(), torch.randn(2, 3, 7, 6)
    polarised = Polarised(copy.deepcopy(network), "last")
    torch.testing.assert_close(polarised(images), network(images), atol=1e-6, rtol=1e-6)
    polariser = polarised.polariser
    assert polariser.offset.requires_grad is offset is takes_offset(polarised._reader)
    with torch.no_grad():
        polariser.matrix.add_(torch.randn(5, 5))
        polariser.scale.uniform_(0.5, 2)
        if offset:
            polariser.offset.normal_()
    expected = polarised(images).detach()
    assert float((expected - network(images).detach()).abs().max()) > 0.1
    last = network.last
    assert isinstance(last, nn.Conv2d | nn.ConvTranspose2d | nn.Linear)
    fold(last, polariser)
    torch.testing.assert_close(network(images), expected, atol=1e-5, rtol=1e-4)


def test_the_runner_up_is_the_likeliest_class_beside_the_own_one() -> None:
    logits = torch.tensor([[3.0, 1.0, 2.0], [3.0, 1.0, 2.0], [3.0, 1.0, 2.0]]).T.view(1, 3, 1, 3)
    found = runner_ups(logits, torch.tensor([[[0, 1, 255]]]), 255)
    assert found.tolist() == [[[2, 0, 255]]]


def test_the_loss_of_attacked_pixels_is_that_of_the_example() -> None:
    """Shares of 0.5, 0.3 and 0.2: of the own class, of another, and of the runner-up once."""
    share = torch.tensor([0.5, 0.3, 0.2])
    logits = share.log().view(1, 3, 1, 1).expand(1, 3, 1, 2)
    found = harmed(logits, torch.tensor([[[0, 255]]]), torch.tensor([[[2, 2]]]), 255)
    # - log 0.5 for the own class, - log (1 - 0.2) for the runner-up, - log (1 - 0.3) for the rest.
    torch.testing.assert_close(float(found), 0.693147 + 0.223144 + 0.356675, atol=1e-4, rtol=0)
    assert float(harmed(logits, torch.full((1, 1, 2), 255), torch.full((1, 1, 2), 255), 255)) == 0


class Reaching(nn.Module):
    """Pixels answer to the mean of the image, so that a patch acts at a distance."""

    def __init__(self) -> None:
        super().__init__()
        self.body, self.last = nn.Conv2d(3, 6, 1), nn.Conv2d(6, 3, 1)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        features = torch.relu(self.body(images))
        return self.last(features + features.mean(dim=(2, 3), keepdim=True))


def test_a_step_attacks_and_changes_the_polariser_alone() -> None:
    torch.manual_seed(0)
    network = Reaching()
    labels = torch.randint(0, 3, (2, 12, 12))
    labels[:, 0] = 255
    batch = Batch(torch.randn(2, 3, 12, 12), labels)
    attack = Attack(NetworkConfig(), 4, 2, 0.25)
    learner = PolariserLearner(
        Polarised(network, "last"), RECIPE.model_copy(update={"learning_rate": 0.1}),
        Arithmetic(torch.device("cpu"), bfloat16=False), num_classes=3, ignore_index=255,
        way=attack,
    )  # fmt: skip
    runner_up = runner_ups(network(batch.images).detach(), labels, 255)

    def pulled(steps: int, stride: float = 0.25) -> float:
        """Return the loss of the runner-up once patches were moved so often."""
        learner.way = Attack(NetworkConfig(), 4, steps, stride)
        torch.manual_seed(5)
        shown = learner._attacked(batch, runner_up)
        assert int((shown.labels == 255).sum()) >= 2 * 16
        goal = runner_up.masked_fill(shown.labels == 255, 255)
        return float(learner.loss(learner.answer(shown), Batch(shown.images, goal)).detach())

    assert pulled(4) < pulled(2) < pulled(0)
    assert pulled(4, stride=0.0) == pulled(0)
    before = {key: value.clone() for key, value in network.state_dict().items()}
    learner(batch)
    for key, value in network.state_dict().items():
        assert torch.equal(value, before[key]), key
    assert all(weight.grad is None for weight in network.parameters())
    polariser = learner.model.polariser
    assert not torch.equal(polariser.matrix, torch.eye(6))
    assert float(polariser.offset.detach().abs().max()) > 0


def test_a_gate_that_is_a_little_open_is_shut_and_the_twin_stays_as_good() -> None:
    repair = Npd(steps=40, patch=8, learning_rate=0.03)
    done = cured(repair, planted_network(leak=0.04))
    after = state_of(done.model)
    assert (after.asr < SHUT, after.accuracy > GOOD) == (True, True)
    assert done.layer == "classifier"
    assert done.remarks == ("40 steps", "folded into classifier", "patches of 8 x 8 pixels")
    assert state_of(cured(repair, planted_network(backdoor=False)).model).accuracy > GOOD


def test_a_gate_that_no_patch_opens_stays() -> None:
    after = state_of(cured(Npd(steps=10, patch=8), planted_network()).model)
    assert (after.asr > OPEN, after.accuracy > GOOD) == (True, True)
