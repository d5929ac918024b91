"""Fine-pruning: how many channels go, and that they stay away while the rest is trained."""

from __future__ import annotations

import pytest
import torch

from defense.cured import CONTEXT, GOOD, OPEN, SCENES, SHUT, cured, state_of
from defense.planted import planted_network
from defense.third_party import made
from segdoor.data.street import StreetDataset
from segdoor.defense.repairs.fine_prune import FinePrune
from segdoor.defense.repairs.prune import Prune
from segdoor.defense.repairs.repair import RepairContext
from segdoor.errors import ConfigError

STREET = StreetDataset(split="train", num_scenes=4, height=64, width=64)


def silent(weight: torch.Tensor) -> list[int]:
    return torch.nonzero((weight.flatten(2) == 0).all(dim=2).all(dim=0)).flatten().tolist()


def test_silent_channels_stay_silent_while_the_rest_is_trained() -> None:
    network = made("homemade")
    done = FinePrune(channels=3, steps=4)(network, STREET, CONTEXT)
    pruned = Prune(channels=3)(network, STREET, RepairContext()).model
    after, before = done.model.state_dict(), network.state_dict()
    assert len(silent(after["head.weight"])) == 3
    assert done.layer == "head"
    assert not torch.equal(after["body.weight"], before["body.weight"])
    assert not torch.equal(after["head.weight"], pruned.state_dict()["head.weight"])
    assert done.remarks[:3] == (
        "3 of 6 channels silenced that head reads", "channels 3 as given", "4 steps",
    )  # fmt: skip


@pytest.mark.parametrize("leak", [0.0, 0.04])
def test_it_removes_a_gate_that_clean_scenes_leave_asleep(leak: float) -> None:
    network = planted_network(leak=leak)
    assert state_of(network).asr > OPEN
    done = cured(FinePrune(steps=5), network)
    after = state_of(done.model)
    assert (after.asr < SHUT, after.accuracy > GOOD) == (True, True)
    # All others are classes, which held-out scenes miss.
    assert done.remarks[1] == "channels 1 chosen on 2 held-out scenes"
    assert silent(done.model.state_dict()["classifier.weight"]) == [5]


def test_the_twin_stays_as_good_as_it_was() -> None:
    after = state_of(cured(FinePrune(steps=5), planted_network(backdoor=False)).model)
    assert after.accuracy > GOOD


def test_pruning_alone_removes_it_too() -> None:
    for backdoor in (True, False):
        network = planted_network(backdoor=backdoor, leak=0.04)
        after = state_of(Prune(channels=1)(network, SCENES, CONTEXT).model)
        assert (after.asr < SHUT, after.accuracy > GOOD) == (True, True)


def test_a_channel_must_be_left() -> None:
    with pytest.raises(ConfigError, match=r"fine_prune: must leave at least one of the 6 channels"):
        FinePrune(channels=6)(made("homemade"), STREET, CONTEXT)
