"""A square patch that may lie anywhere: put into scenes, moved against a network, trained against.

An influencer's trigger acts at a distance, so the loss is taken outside the patch alone.
"""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from functools import partial
from typing import ClassVar, Protocol, TypeVar

import torch
from pydantic import Field
from torch import Tensor, nn

from segdoor.data.checked import filled
from segdoor.data.scene import SceneDataset
from segdoor.defense.repairs.repair import Passes, RepairContext, Repaired
from segdoor.defense.repairs.training import (
    Further,
    OwnLearner,
    TrainedRepair,
    passes_of,
    train_further,
)
from segdoor.errors import ConfigError
from segdoor.victim.answer import Images
from segdoor.victim.config import NetworkConfig, TrainingConfig
from segdoor.victim.members import evaluating, parameters_of
from segdoor.victim.normalisation import normalised
from segdoor.victim.training.batches import Batch
from segdoor.victim.training.trainer import Variation

_SHARE_OF_SIDE = 8
Place = tuple[int, int]
"""Row and column of a patch's upper left corner."""


@dataclass(frozen=True)
class Patching:
    """How patches are made.

    Attributes:
        network: What images the network expects.
        ascents: Steps against the network, in each round first.
        repairs: Steps of training, in each round behind them.
        stride: What a step against the network adds to each value of the patch, from 0 to 1, or
            takes away from it.
    """

    network: NetworkConfig
    ascents: int
    repairs: int
    stride: float


def draw_places(labels: Tensor, side: int, ignore_index: int) -> list[Place]:
    """Draw a place for a patch in each scene, by torch's generator.

    Its middle is a labelled pixel, so that it does not lie in a scene's padding; in a scene
    without such a place it may lie anywhere.
    """
    rows, columns = labels.shape[1] - side + 1, labels.shape[2] - side + 1
    first = side // 2
    middles = labels[:, first : first + rows, first : first + columns] != ignore_index
    places: list[Place] = []
    for scene in middles.cpu():
        free = (scene if bool(scene.any()) else torch.ones_like(scene)).flatten().nonzero()[:, 0]
        drawn = int(free[int(torch.randint(len(free), ()))])
        places.append(divmod(drawn, columns))
    return places


def put(batch: Batch, patches: Tensor, places: dict[int, Place], ignore_index: int) -> Batch:
    """Return a batch with patches in some of its scenes, and no labels below them.

    Args:
        batch: The scenes, which stay as they are.
        patches: Normalised, N x 3 x side x side: one a place, in their order.
        places: Where the patch lies, by the scene's position in the batch.
        ignore_index: Label of what does not count.
    """
    images, labels = batch.images.clone(), batch.labels.clone()
    side = patches.shape[2]
    for patch, (scene, (top, left)) in zip(patches, places.items(), strict=True):
        window = (scene, ..., slice(top, top + side), slice(left, left + side))
        images[window] = patch
        labels[window] = ignore_index
    return Batch(images, labels)


class Scale:
    """Colours from 0 to 1, and what they are once they are normalised."""

    def __init__(self, network: NetworkConfig, device: torch.device) -> None:
        """Look up what black and white are."""
        ends = torch.tensor([0, 255], dtype=torch.uint8, device=device)
        ends = ends.view(2, 1, 1, 1).expand(2, 1, 1, 3)
        self._black, self._white = normalised(ends, network)

    def __call__(self, colours: Tensor) -> Tensor:
        """Return normalised colours, of ... x 3 x H x W."""
        return self._black + colours * (self._white - self._black)


class Patched(nn.Module):
    """A network, the patch that is moved against it, and the steps done.

    Attributes:
        network: The network.
        patch: Colours from 0 to 1, 3 x side x side.
        steps: Steps done.
    """

    patch: Tensor
    steps: Tensor

    def __init__(self, network: nn.Module, side: int) -> None:
        """Wrap a network, which is not copied."""
        super().__init__()
        self.network = network
        # Buffers, so that a snapshot keeps them.
        self.register_buffer("patch", torch.full((3, side, side), 0.5))
        self.register_buffer("steps", torch.zeros((), dtype=torch.int64))

    def forward(self, images: Images) -> object:
        """Return what the network answers."""
        return self.network(images)


class HasNetwork(Protocol):
    """What says which images the network expects."""

    @property
    def network(self) -> NetworkConfig:
        """Return what images the network expects."""
        ...


PatchingT = TypeVar("PatchingT", bound=HasNetwork)


class PatchingLearner(OwnLearner[PatchingT]):
    """Does steps on scenes with patches.

    Attributes:
        scale: Makes colours into what the network is shown.
    """

    def prepare(self) -> None:
        """Look up what colours are."""
        self.scale = Scale(self.way.network, self.arithmetic.device)


class PatchLearner(PatchingLearner[Patching]):
    """Moves one patch against the network for some steps, then trains the network against it.

    Each round begins with a random patch.
    """

    model: Patched

    def optimiser_by(self, config: TrainingConfig) -> torch.optim.Optimizer:
        """Return Adam without decay, as I-BAU has it."""
        # Deviation 41: with running statistics and without dropout, as the network is used later,
        # and so without an auxiliary head. Statistics of batches with patches would not be those of
        # clean scenes, and one scene alone will do.
        evaluating(self.model.network)
        return torch.optim.Adam(parameters_of(self.model.network), lr=config.learning_rate)

    def set_rate(self, factor: float) -> float:
        """Keep the rate as it is."""
        del factor
        return super().set_rate(1.0)

    def _learn(self, batch: Batch) -> Tensor:
        turn = int(self.model.steps) % (self.way.ascents + self.way.repairs)
        if turn == 0:
            self.model.patch.uniform_()
        loss = self._ascend(batch) if turn < self.way.ascents else self._descend(batch)
        self.model.steps.add_(1)
        return loss

    def _ascend(self, batch: Batch) -> Tensor:
        """Move the patch against the network, and return the loss before."""
        # Deviation 40: a patch at random places takes the place of an addition to the whole image,
        # the loss is taken outside it, and it moves by the sign of its gradient between black and
        # white. I-BAU adds to all pixels, bounds the addition by a penalty on its length, and
        # follows the gradient itself.
        colours = self.model.patch.clone().requires_grad_()
        shown = self.with_patch(batch, range(len(batch.labels)), colours)
        loss = self.loss(self.answer(shown), shown)
        (slope,) = torch.autograd.grad(loss, colours)
        self.model.patch.add_(self.way.stride * slope.sign()).clamp_(0, 1)
        return loss.detach()

    def _descend(self, batch: Batch) -> Tensor:
        self.optimiser.zero_grad(set_to_none=True)
        loss = self.repair_loss(batch)
        loss.backward()
        self.optimiser.step()
        return loss.detach()

    @abstractmethod
    def repair_loss(self, batch: Batch) -> Tensor:
        """Return what the network learns from a batch while the patch stays as it is."""

    def half(self, batch: Batch) -> list[int]:
        """Draw the half of a batch's scenes that get the patch; of an odd number either half."""
        number = len(batch.labels)
        wanted = int(number / 2 + float(torch.rand(())))
        return sorted(torch.randperm(number)[:wanted].tolist())

    def with_patch(
        self, batch: Batch, scenes: list[int] | range, colours: Tensor | None = None
    ) -> Batch:
        """Return a batch with the patch at random places of some scenes."""
        patch = self.scale(self.model.patch if colours is None else colours)
        drawn = draw_places(batch.labels, patch.shape[1], self._ignore_index)
        places = {scene: drawn[scene] for scene in scenes}
        return put(batch, patch.expand(len(places), -1, -1, -1), places, self._ignore_index)


class PatchRepair(TrainedRepair):
    """Training against patches; what is learned from them is each repair's own.

    Attributes:
        learner: What does the steps.
        looks: How often a step of training asks the network without gradients.
    """

    searches: ClassVar[str | None] = "stride"
    learner: ClassVar[type[PatchLearner]]
    looks: ClassVar[int] = 0

    rounds: int = Field(default=5, ge=1)
    """Rounds, each with a patch of its own; I-BAU's 5."""
    ascent_steps: int = Field(default=20, ge=1)
    """Steps of a round that move the patch against the network."""
    repair_steps: int = Field(default=20, ge=1)
    """Steps of a round that train the network against the patch."""
    patch: int | None = Field(default=None, ge=1, examples=[16])
    """Side of the patch in pixels; an eighth of the shorter side of the training images if left
    out."""
    stride: float = Field(default=0.1, ge=0, le=1)
    """What a step changes each value of the patch by; 1 is from black to white. With 0 patches stay
    random, as a control."""
    learning_rate: float = Field(default=1e-4, gt=0)
    """Rate of Adam; I-BAU's 0.0001."""

    @property
    def num_steps(self) -> int:
        """Return the steps of all rounds."""
        return self.rounds * (self.ascent_steps + self.repair_steps)

    def __call__(self, model: nn.Module, scenes: SceneDataset, context: RepairContext) -> Repaired:
        """Return the model trained against patches."""
        self.check_given(scenes)
        scenes = filled(scenes)
        side = patch_side(self.patch, scenes, context, self.kind)
        patching = Patching(context.network, self.ascent_steps, self.repair_steps, self.stride)
        learner = partial(self.learner, way=patching)
        variation = Variation(self.num_steps, learner, f"{self.kind} {side} {patching}")
        further = Further(self.kind, self.learning_rate, variation=variation)
        trained = train_further(Patched(model, side), scenes, context, further)
        assert isinstance(trained, Patched)
        told = (
            f"{self.rounds} rounds",
            f"{self.ascent_steps} steps of the patch and {self.repair_steps} of training in each",
            f"patch of {side} x {side} pixels",
            f"learning rate {self.learning_rate:g}",
        )
        taken = passes_of(self.num_steps, len(scenes), context)
        looks = passes_of(self.looks * self.rounds * self.repair_steps, len(scenes), context)
        return Repaired(trained.network, None, told, taken + Passes(looks.forward))


def patch_side(
    wanted: int | None, scenes: SceneDataset, context: RepairContext, repair: str
) -> int:
    """Return the side of a patch, by default an eighth of the images' shorter side.

    Raises:
        ConfigError: If nothing of the images would be left beside it.
    """
    shorter = min(context.recipe.augmentation.crop or scenes.label(0).shape)
    side = wanted or max(1, shorter // _SHARE_OF_SIDE)
    if side >= shorter:
        raise ConfigError(
            repair, f"patch must be smaller than the images' shorter side of {shorter}", side,
            f"Set {repair}:patch={max(1, shorter // _SHARE_OF_SIDE)}.",
        )  # fmt: skip
    return side
