"""The strongest setting that loses at most 2 % of mean IoU on scenes that were held out."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn

from defense.cured import CONTEXT, SCENES
from defense.planted import planted_network
from segdoor.data.subset import Subset
from segdoor.defense.repairs.held_out import Choice, Strengths, choose, mean_iou, split
from segdoor.defense.repairs.repair import Passes, RepairContext
from segdoor.evaluation.examine import examine

VALUES = (5.0, 4.0, 3.0, 2.0, 1.0, 0.0)


@pytest.mark.parametrize(("number", "held"), [(10, 2), (7, 1), (8, 2), (2, 1), (1, 0), (0, 0)])
def test_a_fifth_is_held_out_one_at_least_and_none_of_one(number: int, held: int) -> None:
    scenes = Subset(SCENES, list(range(number)))
    parts = split(scenes, CONTEXT)
    assert (len(parts.held_out), len(parts.used)) == (held, number - held)
    assert {*parts.held_out.names} | {*parts.used.names} == {*scenes.names}
    assert split(scenes, CONTEXT).held_out.names == parts.held_out.names
    others = {split(scenes, RepairContext(seed=seed)).held_out.names for seed in range(20)}
    assert len(others) > 1 or held == 0


def worsened(by: float) -> nn.Module:
    """Return the network with a share of scores mixed up by noise, more for more."""
    network = copy.deepcopy(planted_network())
    with torch.no_grad():
        network.classifier.bias += by * torch.tensor([-0.5, 1.0, 0.0, 0.0, 0.0])  # pyright: ignore[reportOperatorIssue]
    return network


def test_the_strongest_setting_that_the_accuracy_bears_is_taken() -> None:
    model = planted_network()
    table = examine(model, SCENES).total().astype(float)
    union = table.sum(axis=0) + table.sum(axis=1) - table.diagonal()
    before = float((table.diagonal() / union).mean())
    assert mean_iou(model, SCENES, CONTEXT) == pytest.approx(before)
    kept = [mean_iou(worsened(value), SCENES, CONTEXT) / before for value in VALUES]
    allowed = [value for value, share in zip(VALUES, kept, strict=True) if share >= 0.98]
    assert 0 < len(allowed) < len(VALUES)
    strengths = Strengths("threshold", VALUES, 9.0, worsened, same=float)
    looks = 2 + VALUES.index(allowed[0])
    remark = f"threshold {allowed[0]:g} chosen on 10 held-out scenes"
    assert choose(model, SCENES, strengths, CONTEXT) == Choice(
        allowed[0], remark, Passes(10 * looks)
    )


def test_settings_that_come_to_the_same_are_looked_at_once() -> None:
    made: list[float] = []

    def spoiled(value: float) -> nn.Module:
        made.append(value)
        return worsened(99)

    strengths = Strengths("threshold", VALUES, 9.0, spoiled, same=lambda value: value > 2)
    found = choose(planted_network(), SCENES, strengths, CONTEXT)
    assert made == [5.0, 2.0]
    assert found.value == 0.0
    assert found.remark.startswith("no threshold loses at most 2 % on 10 held-out scenes")


def test_without_scenes_the_default_is_taken_and_that_is_said() -> None:
    strengths = Strengths("threshold", VALUES, 3.0, worsened, same=float)
    found = choose(planted_network(), Subset(SCENES, []), strengths, CONTEXT)
    assert found == Choice(3.0, "threshold 3 by default: too few clean scenes to hold out")


def test_a_model_keeps_its_modes() -> None:
    model = planted_network().train()
    model.mix_norm.eval()
    before = [layer.training for layer in model.modules()]
    mean_iou(model, SCENES, CONTEXT)
    assert [layer.training for layer in model.modules()] == before
