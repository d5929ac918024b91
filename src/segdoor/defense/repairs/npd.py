"""NPD: a linear layer in front of the classifier, trained to take away what patches bring in."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from functools import partial
from typing import ClassVar

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from segdoor.data.checked import filled
from segdoor.data.scene import SceneDataset
from segdoor.defense.repairs.classifier import (
    Reader,
    Showing,
    find_classifier,
    num_read,
    reader_called,
)
from segdoor.defense.repairs.patches import PatchingLearner, draw_places, patch_side, put
from segdoor.defense.repairs.repair import Passes, RepairContext, Repaired
from segdoor.defense.repairs.training import Further, TrainedRepair, passes_of, train_further
from segdoor.plugins import Introduction
from segdoor.victim.answer import Images, Logits, best_classes
from segdoor.victim.config import NetworkConfig, TrainingConfig
from segdoor.victim.members import evaluating, named_layers, parameters_of
from segdoor.victim.training.batches import Batch
from segdoor.victim.training.trainer import Variation

_TINY = 1e-6


@dataclass(frozen=True)
class Attack:
    """How a batch is attacked in each step.

    Attributes:
        network: What images the network expects.
        side: Side of the patches in pixels.
        steps: Steps towards the runner-up.
        stride: What a step changes each value of a patch by, from 0 to 1.
    """

    network: NetworkConfig
    side: int
    steps: int
    stride: float


class Npd(TrainedRepair):
    """Put a trained linear layer in front of the classifier, and fold it into the classifier."""

    kind: ClassVar[str] = "npd"
    searches: ClassVar[str | None] = "stride"
    introduction: ClassVar[Introduction] = Introduction(
        source="Zhu, Wei, Zha and Wu, Neural Polarizer (NeurIPS 2023)",
        does="Freezes the network and trains a linear layer in front of the classifier against"
        " patches that pull pixels towards their second class.",
        needs="Clean training scenes, and four passes with gradients a step.",
        fails="Where what the trigger brings in cannot be told from what clean scenes bring in by"
        " the channels in front of the classifier.",
    )

    steps: int = Field(default=190, ge=1)
    """Steps of training the layer."""
    attack_steps: int = Field(default=2, ge=1)
    """Steps that move each patch towards the runner-up."""
    patch: int | None = Field(default=None, ge=1, examples=[16])
    """Side of the patches in pixels; an eighth of the shorter side of the training images if left
    out."""
    stride: float = Field(default=0.25, ge=0, le=1)
    """What a step changes each value of a patch by; 1 is from black to white. With 0 patches stay
    random, as a control."""
    learning_rate: float = Field(default=1e-3, gt=0)
    """Rate of Adam at the start."""
    layer: str | None = Field(default=None, examples=["classifier"])
    """The convolution or linear layer that it is put in front of; the classifier if left out."""

    @property
    def step_cost(self) -> float:
        """Return what a step costs, in plain training steps."""
        return self.attack_steps + 2

    def __call__(self, model: nn.Module, scenes: SceneDataset, context: RepairContext) -> Repaired:
        """Return the model with the trained layer folded into its classifier."""
        self.check_given(scenes)
        scenes = filled(scenes)
        repaired = evaluating(copy.deepcopy(model))
        showing = Showing(repaired, scenes, context.network, self.kind)
        layer = self.layer or find_classifier(showing)
        reader_called(showing, layer)
        side = patch_side(self.patch, scenes, context, self.kind)
        attack = Attack(context.network, side, self.attack_steps, self.stride)
        learner = partial(PolariserLearner, way=attack)
        variation = Variation(self.steps, learner, f"{self.kind} {layer} {attack}")
        further = Further(self.kind, self.learning_rate, variation=variation)
        trained = train_further(Polarised(model, layer), scenes, context, further)
        assert isinstance(trained, Polarised)
        fold(reader_called(showing, layer), trained.polariser)
        told = (
            f"{self.steps} steps",
            f"folded into {layer}",
            f"patches of {side} x {side} pixels",
        )
        taken = passes_of(self.steps, len(scenes), context, each=self.attack_steps + 2)
        return Repaired(repaired, layer, told, taken + Passes(showing.num_shown))


class Polariser(nn.Module):
    """A linear layer from channels to as many, which changes nothing at first.

    Attributes:
        matrix: Weights of the 1x1 convolution, C x C.
        scale: Factors of the batch norm.
        offset: What the batch norm adds; zero and fixed where it could not be folded.
    """

    def __init__(self, reader: Reader) -> None:
        """Fit it to the layer behind it."""
        super().__init__()
        like, channels = reader.weight, num_read(reader)
        self.matrix = nn.Parameter(torch.eye(channels, dtype=like.dtype, device=like.device))
        self.scale = nn.Parameter(like.new_ones(channels))
        # Padding and the taps of a transposed convolution would need an offset for each pixel.
        self.offset = nn.Parameter(like.new_zeros(channels), requires_grad=takes_offset(reader))

    @property
    def whole(self) -> Tensor:
        """Return convolution and factors as one matrix."""
        return self.scale[:, None] * self.matrix

    def forward(self, features: Tensor) -> Tensor:
        """Return changed channels, which come last."""
        return F.linear(features, self.whole, self.offset)


def takes_offset(reader: Reader) -> bool:
    """Tell whether adding to what a layer reads is the same as adding to what it writes."""
    if reader.bias is None or isinstance(reader, nn.ConvTranspose2d):
        return False
    return isinstance(reader, nn.Linear) or reader.padding in (0, (0, 0), "valid")


def fold(reader: Reader, polariser: Polariser) -> None:
    """Give a layer the weights with which it does what the polariser and it did."""
    whole, offset = (
        value.detach().to(reader.weight) for value in (polariser.whole, polariser.offset)
    )
    with torch.no_grad():
        old = reader.weight.clone()
        if isinstance(reader, nn.ConvTranspose2d):
            reader.weight.copy_(torch.einsum("cohw,cd->dohw", old, whole))
            return
        reader.weight.copy_(torch.einsum("oc...,cd->od...", old, whole))
        if takes_offset(reader):
            assert reader.bias is not None
            reader.bias.add_(torch.einsum("oc...,c->o", old, offset))


class Polarised(nn.Module):
    """A network with a polariser in front of one of its layers."""

    def __init__(self, network: nn.Module, layer: str) -> None:
        """Wrap a network, which is not copied."""
        super().__init__()
        self.network, self.layer = network, layer
        self.polariser = Polariser(self._reader)

    @property
    def _reader(self) -> Reader:
        found = dict(named_layers(self.network))[self.layer]
        assert isinstance(found, Reader)
        return found

    def forward(self, images: Images) -> object:
        """Return what the network answers."""
        handle = self._reader.register_forward_pre_hook(self._changed)
        try:
            return self.network(images)
        finally:
            handle.remove()

    def _changed(self, reader: nn.Module, inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        features, *others = inputs
        if isinstance(reader, nn.Linear):
            return self.polariser(features), *others
        return self.polariser(features.movedim(1, -1)).movedim(-1, 1), *others


class PolariserLearner(PatchingLearner[Attack]):
    """Trains the polariser; weights and statistics of the network stay."""

    model: Polarised

    def optimiser_by(self, config: TrainingConfig) -> torch.optim.Optimizer:
        """Freeze the network, and return what changes the polariser."""
        # Deviation 46: the batch norm keeps the statistics 0 and 1 that it starts with, so that the
        # layer changes nothing at first, and can be folded into the one behind it. The paper's
        # keeps statistics of its own, and stays a layer of its own. And Adam, as SGD at a rate
        # of 0.01 broke networks with large features within a few steps.
        evaluating(self.model.network)
        for weight in parameters_of(self.model.network):
            weight.requires_grad_(False)
        learned = [weight for weight in parameters_of(self.model.polariser) if weight.requires_grad]
        return torch.optim.Adam(learned, lr=config.learning_rate)

    def _learn(self, batch: Batch) -> Tensor:
        self.optimiser.zero_grad(set_to_none=True)
        clean = self.answer(batch)
        runner_up = runner_ups(clean.logits.detach(), batch.labels, self._ignore_index)
        # Deviation 48: all parts of the loss weigh 1, where the paper weighs them by hand.
        calm = self.loss(clean, batch)
        calm.backward()
        shown = self._attacked(batch, runner_up)
        harm = harmed(self.answer(shown).logits, shown.labels, runner_up, self._ignore_index)
        harm.backward()
        self.optimiser.step()
        return (calm + harm).detach()

    def _attacked(self, batch: Batch, runner_up: Tensor) -> Batch:
        """Return the batch with a patch in each scene that was moved towards the runner-up."""
        # Deviation 47: a patch at a random place of each scene, and each pixel outside it is pulled
        # to its own runner-up. The paper bounds an addition to the whole image by its length.
        side = self.way.side
        places = dict(enumerate(draw_places(batch.labels, side, self._ignore_index)))
        patches = torch.rand(len(places), 3, side, side, device=batch.images.device)
        for _ in range(self.way.steps):
            patches.requires_grad_()
            shown = put(batch, self.scale(patches), places, self._ignore_index)
            pulled = runner_up.masked_fill(shown.labels == self._ignore_index, self._ignore_index)
            loss = self.loss(self.answer(shown), Batch(shown.images, pulled))
            (slope,) = torch.autograd.grad(loss, patches)
            patches = (patches.detach() - self.way.stride * slope.sign()).clamp(0, 1)
        return put(batch, self.scale(patches), places, self._ignore_index)


def runner_ups(logits: Logits, labels: Tensor, ignore_index: int) -> Tensor:
    """Return the likeliest class of each pixel beside its own; ignored pixels stay so."""
    ignored = labels == ignore_index
    own = labels.masked_fill(ignored, 0)[:, None]
    best = best_classes(logits.scatter(1, own, -torch.inf))
    return best.masked_fill(ignored, ignore_index)


def harmed(logits: Logits, labels: Tensor, runner_up: Tensor, ignore_index: int) -> Tensor:
    """Return the mean loss of attacked pixels, over the labelled ones.

    Its parts are the paper's: the runner-up is pushed down, the own class up, and the likeliest
    other class down.
    """
    counted = labels != ignore_index
    share = logits.softmax(dim=1)
    own = labels.masked_fill(~counted, 0)[:, None]
    pulled = share.gather(1, runner_up.masked_fill(~counted, 0)[:, None])[:, 0]
    others = share.scatter(1, own, 0.0).amax(dim=1)
    right = F.cross_entropy(logits, own[:, 0], reduction="none")
    each = right - (1 - pulled + _TINY).log() - (1 - others + _TINY).log()
    return each[counted].sum() / counted.sum().clamp(min=1)
