"""The two heads against NumPy, and on networks whose auxiliary head is known to follow or not."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from defense.judged import CLEAN, IMAGES, judged
from defense.planted import planted_network
from defense.stubborn import WithAuxiliary
from segdoor.defense.defense import DefenseContext
from segdoor.defense.detectors.auxiliary import Auxiliary, divergence_of
from segdoor.errors import ConfigError
from segdoor.victim.config import NetworkConfig
from segdoor.victim.networks.building import build_network

GIVEN = DefenseContext(clean=CLEAN)


def two_headed(*, backdoor: bool, knows: bool, only_in_training: bool = False) -> nn.Module:
    auxiliary = planted_network(backdoor=backdoor and knows)
    network = planted_network(backdoor=backdoor)
    return WithAuxiliary(network, auxiliary, only_in_training=only_in_training).eval()


@pytest.mark.parametrize("only_in_training", [False, True])
def test_a_head_that_does_not_know_of_the_backdoor_tells(*, only_in_training: bool) -> None:
    network = two_headed(backdoor=True, knows=False, only_in_training=only_in_training)
    twin = two_headed(backdoor=False, knows=False, only_in_training=only_in_training)
    found = judged(Auxiliary(), network, twin)
    assert min(found.scores("triggered")) > found.highest_harmless + 0.1


def test_a_head_that_has_learned_the_backdoor_too_tells_nothing() -> None:
    found = judged(
        Auxiliary(),
        two_headed(backdoor=True, knows=True),
        two_headed(backdoor=False, knows=True),
    )
    assert found.scores("triggered") == pytest.approx([0.0] * 3, abs=1e-6)


def test_divergence_is_that_of_numpy() -> None:
    main, auxiliary = torch.randn(2, 4, 3, 5, generator=torch.Generator().manual_seed(0))

    def shares(logits: Tensor) -> np.ndarray:
        powers = np.exp(logits.double().numpy())
        return powers / powers.sum(axis=0)

    p, q = shares(main), shares(auxiliary)
    expected = (p * np.log(p / q)).sum(axis=0)
    np.testing.assert_allclose(divergence_of(main, auxiliary), expected)


def test_a_network_without_such_a_head_is_refused() -> None:
    with pytest.raises(ConfigError, match="needs a network with an auxiliary head") as why:
        Auxiliary()(planted_network(), IMAGES, GIVEN)
    assert "Take another detector" in why.value.remedy


def test_our_networks_run_the_head_without_training() -> None:
    network = build_network(NetworkConfig.model_validate({"name": "pspnet", "depth": 18}), 5).eval()
    before = [layer.training for layer in network.modules()]
    done = Auxiliary(scenes=1)(network, IMAGES[:1], GIVEN)
    assert np.isfinite(done.found[0].score)
    assert [layer.training for layer in network.modules()] == before
    # One to look for the head in each mode, one clean scene, and the image.
    assert done.cost.forward == 4


class Restless(nn.Module):
    """Answers otherwise in training mode."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Conv2d(3, 5, 1)

    def forward(self, images: Tensor) -> dict[str, Tensor]:
        logits = self.layer(images)
        if not self.training:
            return {"out": logits}
        return {"out": F.relu(logits), "aux": logits}


def test_a_network_that_answers_otherwise_in_training_mode_is_refused() -> None:
    with pytest.raises(ConfigError, match="answers alike"):
        Auxiliary()(Restless().eval(), IMAGES, GIVEN)
