"""Row 11: methods of defense, over the forward and backward passes that they ask for.

A method runs once while every batch that a network is shown is noted. Then the same batches are
shown to the same networks again and nothing else is done; that is the least that it could take.
"""

from __future__ import annotations

import copy
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import Tensor, nn

from benchmarks.measure import Row, compared
from segdoor.data.pack import pack
from segdoor.data.scene import SceneDataset
from segdoor.data.street import StreetDataset
from segdoor.defense.detectors.detector import Detector
from segdoor.defense.filters.filter import Filter, FilterContext
from segdoor.defense.purifiers.purifier import Purifier, PurifierContext
from segdoor.defense.repairs.repair import Repair, RepairContext
from segdoor.defense.scans.scan import ScanContext
from segdoor.experiment.bench.methods import read_method, sort_of
from segdoor.victim.answer import logits_of
from segdoor.victim.config import NetworkConfig, TrainingConfig
from segdoor.victim.members import evaluating
from segdoor.victim.networks.building import build_network

_SIZE = (64, 128)
_NUM_SCENES, _NUM_IMAGES = 16, 2
_NETWORK = NetworkConfig()
_RECIPE = TrainingConfig(device="cpu", threads=2)
METHODS = (
    "finetune:1,steps=20",
    "ft_sam:1,steps=10",
    "nad:1,teacher_steps=20,steps=20",
    "anp:1,steps=10",
    "i_bau:1,rounds=4,ascent_steps=5,repair_steps=5",
    "region_adversarial:1,rounds=4,ascent_steps=5,repair_steps=5",
    "npd:1,steps=20",
    "spectral",
    "activation_clustering",
    "beatrix",
    "occlusion",
    "canary",
    "strip",
    "scale_up",
    "teco",
    "ibd_psc",
    "inpaint",
    "pair_inversion:1,passes=300",
    "black_box:1,passes=300",
    "neural_cleanse:passes=300",
)
"""Methods of every sort that ask a network, with fewer steps than usual."""


@dataclass(frozen=True, eq=False)
class _Pass:
    """A batch that a network was shown.

    Attributes:
        network: The network, or a copy that the method made.
        images: The batch.
        graded: Whether gradients could be asked of the answer.
        moved: Whether they could be asked for the images themselves.
        bfloat16: Whether convolutions were rounded.
    """

    network: nn.Module
    images: Tensor
    graded: bool
    moved: bool
    bfloat16: bool

    def again(self) -> None:
        """Show it again, and go back as far as gradients were needed."""
        images = self.images.requires_grad_(self.moved)
        context = torch.enable_grad() if self.graded else torch.inference_mode()
        with context, torch.autocast("cpu", torch.bfloat16, enabled=self.bfloat16):
            total = logits_of(self.network(images)).sum()
        if self.moved:
            torch.autograd.grad(total, images)
        elif total.requires_grad:
            total.backward()


@dataclass(eq=False)
class _Notes:
    """The batches that a network and its copies are shown.

    Attributes:
        passes: The batches.
        open: Whether more are noted.
    """

    passes: list[_Pass] = field(default_factory=list)
    open: bool = True

    def watched(self, network: nn.Module) -> nn.Module:
        """Return a copy of a network that is watched; so are copies of it."""
        watched = copy.deepcopy(network)

        # A function and no method: copies of the network would copy its object.
        def note(shown: nn.Module, given: tuple[Tensor], output: object) -> None:
            if self.open:
                images, graded = given[0], logits_of(output).requires_grad
                rounded = torch.is_autocast_enabled("cpu")
                noted = images.detach().clone()
                self.passes.append(_Pass(shown, noted, graded, images.requires_grad, rounded))

        nn.Module.register_forward_hook(watched, note)
        return watched

    def again(self) -> None:
        """Show every batch again."""
        for one in self.passes:
            one.network.zero_grad(set_to_none=True)
            one.again()


def rows() -> Iterator[Row]:
    """Yield what part of each method's time its passes alone take."""
    torch.set_num_threads(2)
    street = StreetDataset(split="train", num_scenes=_NUM_SCENES, height=_SIZE[0], width=_SIZE[1])
    # As in a run: scenes are painted once, before any method begins.
    with tempfile.TemporaryDirectory() as cache:
        scenes = pack(street, Path(cache))
        network = evaluating(build_network(_NETWORK, len(scenes.classes)))
        for text in METHODS:
            yield measured(text, network, scenes)


def measured(text: str, network: nn.Module, scenes: SceneDataset, *, repetitions: int = 5) -> Row:
    """Return the row of one method.

    Args:
        text: The method.
        network: What it is asked about.
        scenes: Clean scenes, which also are the suspect ones.
        repetitions: How often it runs and how often its passes do.
    """
    notes, kind = _Notes(), text.partition(":")[0]
    _work(text, notes.watched(network), scenes)()
    notes.open = False
    shown = sum(len(one.images) for one in notes.passes)
    graded = sum(len(one.images) for one in notes.passes if one.graded)
    sort = sort_of(read_method(text))
    return compared(
        f"11-{kind}",
        f"passes alone ({shown} images, {graded} with gradients) over the {sort} {text}",
        (notes.again, _work(text, network, scenes)),
        bar=0.8,
        bound="at least",
        repetitions=repetitions,
    )


def _work(text: str, network: nn.Module, scenes: SceneDataset) -> Callable[[], object]:
    """Return a method with all that it works on."""
    method = read_method(text)
    images = [scenes[index].image for index in range(_NUM_IMAGES)]
    if isinstance(method, Repair):
        repair, context = method.resolved(_RECIPE), RepairContext(_NETWORK, _RECIPE)
        return lambda: repair(network, scenes, context)
    if isinstance(method, Filter):
        suspects = FilterContext(scenes, _NETWORK, _RECIPE, model=network)
        return lambda: method(scenes, suspects)
    if isinstance(method, Purifier):
        purifying = PurifierContext(scenes, _NETWORK, _RECIPE, model=network)
        return lambda: [method(image, purifying) for image in images]
    asked = ScanContext(scenes, _NETWORK, _RECIPE)
    if isinstance(method, Detector):
        return lambda: method(network, images, asked)
    return lambda: method(network, asked)
