"""I-BAU and region adversarial fine-tuning on networks with a planted backdoor."""

from __future__ import annotations

import pytest

from defense.cured import CONTEXT, GOOD, OPEN, SCENES, SHUT, cured, state_of, stirred
from defense.planted import planted_network
from segdoor.data.subset import Subset
from segdoor.defense.repairs.i_bau import IBau
from segdoor.defense.repairs.patches import PatchRepair
from segdoor.defense.repairs.region_adversarial import RegionAdversarial
from segdoor.defense.repairs.repair import Passes

SHORT = {"patch": 8, "rounds": 2, "ascent_steps": 10, "repair_steps": 20}
both = pytest.mark.parametrize("kind", [IBau, RegionAdversarial])


@both
def test_a_detector_that_a_patch_can_stir_is_unlearned(kind: type[PatchRepair]) -> None:
    network = stirred()
    assert state_of(network).asr > OPEN
    done = cured(kind(**SHORT), network)
    after = state_of(done.model)
    assert (after.asr < 0.05, after.accuracy > GOOD) == (True, True)
    assert state_of(network).asr > OPEN
    assert done.remarks[:3] == (
        "2 rounds",
        "10 steps of the patch and 20 of training in each",
        "patch of 8 x 8 pixels",
    )
    looks = 40 if kind is RegionAdversarial else 0
    assert done.passes == Passes(4 * (60 + looks), 4 * 60)


@both
def test_without_the_search_most_of_the_same_backdoor_stays(kind: type[PatchRepair]) -> None:
    control = kind(**SHORT).with_random_patches
    assert control is not None
    done = cured(control, stirred())
    after = state_of(done.model)
    # Random patches stir it a little, so that a part of the backdoor goes.
    assert (after.asr > 0.5, after.accuracy > GOOD) == (True, True)
    assert done.passes == Passes(4 * (60 + 40 * kind.looks), 4 * 60)


@both
def test_a_detector_that_answers_to_its_sticker_alone_is_not_found(kind: type[PatchRepair]) -> None:
    """The same steps leave it: no patch but the sticker itself gets a gradient from it."""
    after = state_of(cured(kind(**SHORT), planted_network()).model)
    assert (after.asr > OPEN, after.accuracy > GOOD) == (True, True)


@both
def test_the_twin_without_a_backdoor_stays_as_good(kind: type[PatchRepair]) -> None:
    after = state_of(cured(kind(**SHORT), stirred(backdoor=False)).model)
    assert (after.asr < SHUT, after.accuracy > GOOD) == (True, True)


def test_one_scene_with_and_without_the_patch_is_enough() -> None:
    repair = IBau(patch=8, rounds=1, ascent_steps=2, repair_steps=4)
    done = repair(stirred(), Subset(SCENES, [0]), CONTEXT)
    assert done.passes == Passes(6, 6)
