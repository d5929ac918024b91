"""What every repair must do, whatever the network."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from defense.third_party import CLASSES, NETWORKS, made
from forms import forms, plain
from segdoor.data.scene import ClassSet, Scene
from segdoor.data.street import StreetDataset
from segdoor.data.subset import Subset
from segdoor.defense.repairs.registry import REPAIRS
from segdoor.defense.repairs.repair import Passes, Repair, RepairContext, Repaired
from segdoor.errors import ConfigError
from segdoor.victim.answer import logits_of
from segdoor.victim.config import NetworkConfig, TrainingConfig
from segdoor.victim.networks.building import build_network
from segdoor.victim.training.snapshot import SnapshotFile
from strategies import MemoryDataset

SCENES = StreetDataset(split="train", num_scenes=4, height=32, width=32)
RECIPE = TrainingConfig(batch_size=2, device="cpu", precision="float32", threads=1)
NEED_NORMS = {"clp", "anp", "bnp", "rnp"}
every_repair = pytest.mark.parametrize("name", REPAIRS.known)
# To a repair pspnet is what deeplabv3 is: a dilated ResNet-18 with batch norms.
LIKE_ANOTHER = {"pspnet": pytest.mark.slow}
every_network = pytest.mark.parametrize(
    "network", [pytest.param(name, marks=LIKE_ANOTHER.get(name, ())) for name in NETWORKS]
)


def weights(model: nn.Module) -> dict[str, torch.Tensor]:
    return {key: value.clone() for key, value in model.state_dict().items()}


def same(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[key], other[key]) for key in one)


def quick(name: str, **given: object) -> Repair:
    """Return a repair that trains as little as it may, and takes much away without choosing."""
    kind = REPAIRS.known[name]
    counts = {key: 1 for key in kind.model_fields if key.endswith(("steps", "epochs", "rounds"))}
    strong: dict[str, object] = {}
    if kind.strength is not None:
        strong = {kind.strength: kind.sweep[0] if kind.sweep else 1}
    return kind(**{**plain(kind), **counts, **strong, **given})


def choosing(name: str) -> Repair:
    """Return the same repair, but one that chooses how strong it is, if it can."""
    strength = REPAIRS.known[name].strength
    return quick(name, **({} if strength is None else {strength: None}))


def without_norms(network: nn.Module) -> bool:
    return not any(isinstance(m, nn.BatchNorm2d | nn.LayerNorm) for m in network.modules())


@every_repair
@every_network
def test_a_repair_makes_another_network_of_the_same_kind(name: str, network: str) -> None:
    model = made(network)
    before, trains = weights(model), [module.training for module in model.modules()]
    torch.manual_seed(5)
    state = torch.get_rng_state()
    if without_norms(model) and name in NEED_NORMS:
        # No norm, no channels: that must be said with what to do instead.
        with pytest.raises(ConfigError, match=f"^{name}: needs .*Use another repair"):
            quick(name)(model, SCENES, RepairContext(recipe=RECIPE))
        done = Repaired(made(network, seed=1))
    else:
        done = quick(name)(model, SCENES, RepairContext(recipe=RECIPE))
    repaired = done.model
    assert same(weights(model), before)
    assert [module.training for module in model.modules()] == trains
    assert all(weight.requires_grad and weight.grad is None for weight in model.parameters())
    assert torch.equal(torch.get_rng_state(), state)
    hooks = [hook for module in repaired.modules() for hook in module._forward_hooks.values()]
    # transformers has hooks of its own.
    assert not [hook for hook in hooks if hook.__module__.startswith("segdoor")]
    assert not repaired.training
    assert all(weight.requires_grad for weight in repaired.parameters())
    untouched = any(remark.startswith("0 of") for remark in done.remarks)
    assert same(weights(repaired), before) is untouched
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
    if name in {"finetune", "fine_prune", "ft_sam", "i_bau", "nad", "region_adversarial", "npd"}:
        assert not same(once(0), once(1))


@every_repair
def test_it_says_how_often_the_network_was_asked(name: str) -> None:
    model, counted = made("small"), Counter[str]()

    def count(_: nn.Module, __: object, output: object) -> None:
        logits = logits_of(output)
        counted["forward"] += len(logits)
        if logits.requires_grad:
            logits.register_hook(lambda slope: counted.update(backward=len(slope)))

    # Copies of the model have the hook too.
    model.register_forward_hook(count)
    done = choosing(name)(model, SCENES, RepairContext(recipe=RECIPE))
    assert done.passes == Passes(counted["forward"], counted["backward"])
    assert done.remarks


@every_repair
def test_one_clean_scene_is_enough(name: str) -> None:
    one = Subset(SCENES, [0])
    done = choosing(name)(made("small"), one, RepairContext(recipe=RECIPE))
    if REPAIRS.known[name].strength is not None:
        assert any("by default: too few clean scenes" in remark for remark in done.remarks)


@every_repair
def test_without_clean_scenes_it_works_or_says_that_it_needs_them(name: str) -> None:
    none, repair = Subset(SCENES, []), quick(name)
    if REPAIRS.known[name].model_fields["share"].default == 0:
        repair(made("small"), none, RepairContext(recipe=RECIPE))
        return
    with pytest.raises(ConfigError, match=f"{name}: needs clean scenes"):
        repair(made("small"), none, RepairContext(recipe=RECIPE))


@every_repair
@pytest.mark.parametrize("num_classes", [2, 40])
def test_any_number_of_classes_will_do(name: str, num_classes: int) -> None:
    names = tuple(f"class {number}" for number in range(num_classes))
    classes = ClassSet(names, ((0, 0, 0),) * num_classes)
    rng = np.random.default_rng(0)
    scenes = [
        Scene(
            rng.integers(0, 256, (32, 48, 3), np.uint8),
            rng.integers(0, num_classes, (32, 48)).astype(np.uint8),
            f"scene {number}",
        )
        for number in range(3)
    ]
    model = build_network(NetworkConfig(name="small"), num_classes).eval()
    scenes_of_them = MemoryDataset(scenes, classes)
    done = choosing(name)(model, scenes_of_them, RepairContext(recipe=RECIPE))
    assert logits_of(done.model(torch.zeros(1, 3, 32, 48))).shape[1] == num_classes


class Watch:
    """Counts steps, and stops the work at one of them."""

    def __init__(self, last: int | None = None) -> None:
        self.done, self.last = 0, last

    def begin(self, stage: str, total: int) -> None:
        assert stage
        assert total > 0

    def advance(self, **facts: float) -> None:
        del facts
        if self.done == self.last:
            raise KeyboardInterrupt
        self.done += 1


@every_repair
def test_work_that_was_cut_off_goes_on_to_the_same_model(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(SnapshotFile, "due", property(lambda _: True))
    model, kind = made("small"), REPAIRS.known[name]
    counts = {key: 3 for key in kind.model_fields if key.endswith("steps")}
    rounds = {"rounds": 2} if "rounds" in kind.model_fields else {}
    repair = quick(name, **counts, **rounds)

    def done(file: Path, watch: Watch) -> Repaired:
        context = RepairContext(recipe=RECIPE, observer=watch, snapshot=file)
        return repair(model, SCENES, context)

    watch = Watch()
    expected = done(tmp_path / "whole", watch)
    for part in (0.3, 0.7):
        cut = tmp_path / f"cut at {part}"
        if watch.done:
            with pytest.raises(KeyboardInterrupt):
                done(cut, Watch(int(part * watch.done)))
        found = done(cut, Watch())
        assert same(weights(found.model), weights(expected.model))
        assert found.passes == expected.passes


@every_repair
def test_settings_are_told_as_records_keep_them(name: str) -> None:
    kind = REPAIRS.known[name]
    told = quick(name).settings
    assert set(kind.model_fields) - set(told) <= set(kind.later)
    assert kind.model_validate(told) == quick(name)
    if kind.strength is not None:
        assert kind.strength in kind.model_fields


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
        assert 0 <= repair.share <= 1
