from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import nn

from segdoor.data.street import StreetDataset
from segdoor.defense.repairs.registry import REPAIRS
from segdoor.defense.repairs.repair import RepairContext
from segdoor.evaluation.examine import examine
from segdoor.record import LoadedWeights
from segdoor.victim.checkpoint import loaded_into, note_loaded, save_weights
from segdoor.victim.config import TrainingConfig
from segdoor.victim.members import layers, methods_in_reach, named_layers, parameters_of, state_of
from segdoor.victim.networks.small import SmallNetwork
from segdoor.victim.semseg import load_weights
from segdoor.victim.training.loop import train_model
from segdoor.victim.training.synchronised import Synchronised, is_ours

STREET = StreetDataset(split="train", num_scenes=4, height=32, width=48)
NUM_CLASSES = len(STREET.classes)
QUICK = TrainingConfig(epochs=1, batch_size=2, threads=1, device="cpu", precision="float32")
HIDDEN = [
    "modules", "parameters", "named_parameters", "named_modules", "children", "named_children",
    "buffers", "state_dict", "load_state_dict", "train", "eval", "to", "apply", "zero_grad",
    "backbone_parameters", "head_parameters", "loaded_weights", "float", "type",
]  # fmt: skip


class Foreign(nn.Module):
    """A network like any other, but for attributes that bear the names of methods."""

    def __init__(self, *hidden: str) -> None:
        super().__init__()
        self.inside = nn.Sequential(
            nn.Conv2d(3, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU(), nn.Dropout2d(0.1)
        )
        self.last = nn.Conv2d(8, NUM_CLASSES, 1)
        for name in hidden:
            vars(self)[name] = {"mine": name}
            vars(self.inside)[name] = [name]

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.last(self.inside(images))


class Property(Foreign):
    """The same, with attributes of the class."""

    modules = ("a", "b")

    @property
    def parameters(self) -> int:
        return 3


def foreign(*hidden: str, kind: type[Foreign] = Foreign) -> Foreign:
    torch.manual_seed(0)
    return kind(*hidden)


@pytest.fixture(scope="module")
def plainly(tmp_path_factory: pytest.TempPathFactory) -> dict[str, torch.Tensor]:
    trained = train_model(STREET, QUICK, model=foreign(), seed=1)
    return dict(trained.state_dict())


@pytest.mark.parametrize("name", HIDDEN)
def test_a_hidden_method_changes_nothing_in_training_exam_and_files(
    name: str, plainly: dict[str, torch.Tensor], tmp_path: Path
) -> None:
    network = foreign(name)
    trained = train_model(STREET, QUICK, model=network, seed=1, snapshot=tmp_path / "snapshot")
    assert vars(trained)[name] == {"mine": name}
    assert vars(trained.inside)[name] == [name]
    assert not trained.training
    assert not trained.inside[1].training
    state = state_of(trained)
    assert state.keys() == plainly.keys()
    assert all(torch.equal(state[key], plainly[key]) for key in plainly)
    assert examine(trained, STREET).counts.sum() > 0
    save_weights(trained, tmp_path / "w.safetensors")
    again = foreign(name)
    load_weights(again, tmp_path / "w.safetensors")
    assert torch.equal(again.last.weight, plainly["last.weight"])
    # A second call goes on from the snapshot.
    resumed = train_model(STREET, QUICK, model=network, seed=1, snapshot=tmp_path / "snapshot")
    assert torch.equal(resumed.last.weight, plainly["last.weight"])


@pytest.mark.parametrize("repair", ["finetune:0.5,epochs=1", "prune:2"])
@pytest.mark.parametrize("kind", [Foreign, Property])
def test_repairs_take_networks_that_hide_methods(repair: str, kind: type[Foreign]) -> None:
    workshop = RepairContext(recipe=QUICK, seed=0)
    hidden = foreign(*HIDDEN, kind=kind)
    repaired = REPAIRS.read(repair)(hidden, STREET, workshop).model
    expected = REPAIRS.read(repair)(foreign(), STREET, workshop).model
    found, wanted = state_of(repaired), expected.state_dict()
    assert all(torch.equal(found[key], wanted[key]) for key in wanted)
    assert not torch.equal(found["last.weight"], state_of(hidden)["last.weight"])


def test_attributes_of_the_class_hide_nothing() -> None:
    network = foreign(kind=Property)
    trained = train_model(STREET, QUICK, model=network, seed=1)
    assert examine(trained, STREET).counts.sum() > 0
    assert not is_ours(network)
    Synchronised(network, torch.device("cpu")).release()


def test_layers_and_weights_are_those_of_torch_in_its_order() -> None:
    network = SmallNetwork(NUM_CLASSES)
    shared = nn.Sequential(network, nn.Linear(2, 2), network)
    assert list(named_layers(shared)) == list(shared.named_modules())
    assert list(layers(shared)) == list(shared.modules())
    found, expected = parameters_of(shared), list(shared.parameters())
    assert len(found) == len(expected)
    assert all(one is other for one, other in zip(found, expected, strict=True))


def test_a_method_that_somebody_replaced_stays_replaced() -> None:
    network, asked = foreign("modules"), []
    vars(network)["eval"] = lambda: asked.append("eval") or network
    with methods_in_reach(network):
        assert next(iter(network.modules())) is network
        network.eval()
    assert asked == ["eval"]
    assert vars(network)["modules"] == {"mine": "modules"}


def test_a_network_of_segdoor_is_told_from_others_whatever_it_hides() -> None:
    ours = SmallNetwork(NUM_CLASSES)
    vars(ours)["modules"] = []
    assert is_ours(ours)
    assert not is_ours(foreign(*HIDDEN))


def test_what_was_loaded_is_noted_beside_attributes_of_that_name() -> None:
    network = foreign("loaded_weights")
    assert loaded_into(network) is None
    loaded = LoadedWeights(
        part="network", file="w", sha256="0" * 64, style="", num_taken=1, num_counters_missing=0,
        left_out=(),
    )  # fmt: skip
    before = set(vars(network))
    note_loaded(network, loaded)
    assert loaded_into(network) == loaded
    assert loaded_into(foreign("loaded_weights")) is None
    assert vars(network)["loaded_weights"] == {"mine": "loaded_weights"}
    assert set(vars(network)) == before


def test_training_further_says_still_what_a_network_was_filled_with(tmp_path: Path) -> None:
    save_weights(SmallNetwork(NUM_CLASSES), tmp_path / "w.safetensors")
    start = SmallNetwork(NUM_CLASSES)
    note_loaded(start, load_weights(start, tmp_path / "w.safetensors"))
    trained = train_model(STREET, QUICK, model=start)
    assert loaded_into(trained) == loaded_into(start) is not None
