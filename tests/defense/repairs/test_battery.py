"""What every repair must do, whatever the network."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from defense.third_party import CLASSES, NETWORKS, made
from forms import forms
from segdoor.data.street import StreetDataset
from segdoor.defense.repairs.registry import REPAIRS
from segdoor.defense.repairs.repair import Repair, RepairContext
from segdoor.victim.answer import logits_of
from segdoor.victim.config import TrainingConfig

SCENES = StreetDataset(split="train", num_scenes=4, height=64, width=64)
RECIPE = TrainingConfig(batch_size=2, device="cpu", precision="float32", threads=1)
every_repair = pytest.mark.parametrize("name", REPAIRS.known)
every_network = pytest.mark.parametrize("network", NETWORKS)


def weights(model: nn.Module) -> dict[str, torch.Tensor]:
    return {key: value.clone() for key, value in model.state_dict().items()}


def same(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[key], other[key]) for key in one)


def quick(name: str) -> Repair:
    """Return a repair in that of its forms that trains least."""
    kind = REPAIRS.known[name]
    return min((kind(**given) for given in forms(kind)), key=lambda one: one.epochs_of_training)


@every_repair
@every_network
def test_a_repair_makes_another_network_of_the_same_kind(name: str, network: str) -> None:
    model = made(network)
    before, trains = weights(model), [module.training for module in model.modules()]
    torch.manual_seed(5)
    state = torch.get_rng_state()
    repaired = quick(name)(model, SCENES, RepairContext(recipe=RECIPE)).model
    assert same(weights(model), before)
    assert [module.training for module in model.modules()] == trains
    assert torch.equal(torch.get_rng_state(), state)
    hooks = [hook for module in repaired.modules() for hook in module._forward_hooks.values()]
    # transformers has hooks of its own.
    assert not [hook for hook in hooks if hook.__module__.startswith("segdoor")]
    assert not repaired.training
    assert not same(weights(repaired), before)
    shared = {tensor.data_ptr() for tensor in model.state_dict().values() if tensor.numel()}
    assert not shared & {t.data_ptr() for t in repaired.state_dict().values() if t.numel()}
    made(network).load_state_dict(repaired.state_dict())
    with torch.no_grad():
        images = torch.zeros(2, 3, 64, 96)
        found, expected = logits_of(repaired(images)), logits_of(model(images))
    assert found.shape == expected.shape
    assert found.shape[1] == CLASSES
    assert bool(torch.isfinite(found).all())


@every_repair
def test_the_seed_decides(name: str) -> None:
    model, repair = made("small"), quick(name)

    def once(seed: int) -> dict[str, torch.Tensor]:
        return weights(repair(model, SCENES, RepairContext(recipe=RECIPE, seed=seed)).model)

    assert same(once(0), once(0))
    if name == "finetune":
        assert not same(once(0), once(1))


@every_repair
def test_a_repair_introduces_itself(name: str) -> None:
    kind = REPAIRS.known[name]
    assert kind.kind == name
    assert all(len(text) > 20 and text.isprintable() for text in vars(kind.introduction).values())
    assert all(field.description for field in kind.model_fields.values())


@every_repair
def test_a_repair_comes_back_from_every_written_form(name: str) -> None:
    for given in forms(REPAIRS.known[name]):
        repair = REPAIRS.known[name](**given)
        for written in (str(repair), {"kind": name, **given}):
            assert REPAIRS.read(written) == repair
        assert 0 < repair.share <= 1
