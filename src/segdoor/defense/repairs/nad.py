"""NAD: a fine-tuned copy teaches the network where to look."""

from __future__ import annotations

import copy
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import ClassVar

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from segdoor.data.checked import filled
from segdoor.data.scene import SceneDataset
from segdoor.defense.repairs.classifier import Reader, Showing, hooked, num_read, readers_of
from segdoor.defense.repairs.repair import Passes, RepairContext, Repaired, epochs_of
from segdoor.defense.repairs.training import (
    Further,
    OwnLearner,
    TrainedRepair,
    passes_of,
    train_further,
)
from segdoor.errors import ConfigError
from segdoor.plugins import Introduction
from segdoor.victim.answer import SegmentationOutput, ask
from segdoor.victim.members import evaluating, layers
from segdoor.victim.training.batches import Batch
from segdoor.victim.training.trainer import Variation

# Deviation 44: the paper's 500, 1000 and 1000 weigh means over maps of 32 x 32, 16 x 16 and 8 x 8
# cells. The squares are summed here, so that the weights mean the same on maps of any size; these
# are the paper's divided by its cells.
WEIGHTS = (500 / 32**2, 1000 / 16**2, 1000 / 8**2)
_COARSEST = 32
_TINY = 1e-12
_COST = 7 / 3


class Nad(TrainedRepair):
    """Train the model further, so that it looks where a fine-tuned copy of it looks."""

    kind: ClassVar[str] = "nad"
    introduction: ClassVar[Introduction] = Introduction(
        source="Li, Lyu, Koren, Lyu, Li and Ma, Neural Attention Distillation (ICLR 2021)",
        does="Fine-tunes a copy, then trains the model so that its maps of attention are like the"
        " copy's.",
        needs="Clean training scenes, and two trainings on them.",
        fails="Where the fine-tuned copy keeps the backdoor, which it then teaches.",
    )

    teacher_steps: int = Field(default=190, ge=1)
    """Steps of fine-tuning the copy, as many as the paper's fine-tuning on a tenth of
    Cityscapes."""
    steps: int = Field(default=190, ge=1)
    """Steps of training the model."""
    beta: float = Field(default=1.0, ge=0)
    """Factor on the weights of the three maps, which are the paper's."""
    learning_rate: float | None = Field(default=None, gt=0)
    """Rate of both trainings at the start; a tenth of the recipe's if left out."""

    @property
    def epochs_of_training(self) -> float:
        """Return what its trainings are worth, in epochs on all training scenes."""
        return epochs_of(self.teacher_steps) + epochs_of(self.steps, cost=_COST - 1)

    def __call__(self, model: nn.Module, scenes: SceneDataset, context: RepairContext) -> Repaired:
        """Return the model taught by its fine-tuned copy."""
        self.check_given(scenes)
        scenes = filled(scenes)
        maps = attention_layers(model, scenes, context)
        rate = self.rate(context.recipe)
        stages = [context.stage("teacher"), context.stage("student")]
        alone = Variation(self.teacher_steps)
        teacher = train_further(
            model, scenes, stages[0], Further(f"{self.kind} teacher", rate, 1, alone)
        )
        learner = partial(Student, way=Lesson(evaluating(teacher), maps, self.beta))
        mark = f"{self.kind} {self.teacher_steps} {self.beta} {maps}"
        further = Further(self.kind, rate, 1, Variation(self.steps, learner, mark))
        taught = train_further(model, scenes, stages[1], further)
        for stage in stages:
            stage.forget()
        told = (
            f"{self.teacher_steps} steps of the teacher, {self.steps} of the model",
            f"attention at {', '.join(maps)}",
            f"learning rate {rate:g}",
        )
        taken = passes_of(self.teacher_steps + self.steps, len(scenes), context)
        asked = passes_of(self.steps, len(scenes), context).forward
        return Repaired(taught, None, told, taken + Passes(asked + 1))


@dataclass(frozen=True, eq=False)
class Lesson:
    """What a student learns beside its scenes.

    Attributes:
        teacher: The network whose maps it takes after, in evaluation mode.
        maps: The layers that read the maps.
        beta: Factor on the weights of the maps.
    """

    teacher: nn.Module
    maps: tuple[str, ...]
    beta: float


def attention_layers(
    model: nn.Module, scenes: SceneDataset, context: RepairContext
) -> tuple[str, ...]:
    """Return the layers that read the maps which are compared, from the first to the last.

    These are the last layers that read maps of the last three sizes.

    Raises:
        ConfigError: If no layer reads maps made by another.
    """
    # Deviation 45: networks for segmentation have no three groups as the paper's have. Maps are
    # told apart by their numbers of cells; what has less than a cell for 32 x 32 pixels is context
    # of the whole image. The image itself is no map.
    showing = Showing(evaluating(copy.deepcopy(model)), scenes, context.network, Nad.kind)
    readers, found = readers_of(showing.model), dict[str, Tensor]()
    with watched(readers, found):
        height, width = showing.answer(0).shape[2:]
    cells: dict[int, str] = {}
    for name, seen in found.items():
        number = seen.shape[1]
        reads_image = number == height * width and num_read(readers[name]) == 3
        if number * _COARSEST**2 >= height * width and not reads_image:
            cells.pop(number, None)
            cells[number] = name
    if not cells:
        raise ConfigError(
            Nad.kind,
            "needs a network with a convolution or linear layer behind the first",
            type(model).__name__,
            "Use another repair, such as finetune or ft_sam.",
        )
    return tuple(cells.values())[-len(WEIGHTS) :]


def attention(features: Tensor, reader: Reader) -> Tensor:
    """Return where maps are large: the squares summed over channels, with a length of 1 a scene.

    Args:
        features: What a layer reads: channels come second, or last for a linear layer.
        reader: The layer.

    Returns:
        One value a cell, float32, B x cells.
    """
    axis = -1 if isinstance(reader, nn.Linear) else 1
    return F.normalize(features.float().square().sum(dim=axis).flatten(1), dim=1, eps=_TINY)


class Student(OwnLearner[Lesson]):
    """Learns clean scenes by the recipe, and the teacher's maps of attention."""

    def prepare(self) -> None:
        """Let dropout rest."""
        # Dropout rests (deviation 45), as it would blank channels of one map and not of the other.
        for layer in layers(self.model):
            if isinstance(layer, nn.Dropout | nn.Dropout2d):
                layer.training = False

    def _learn(self, batch: Batch) -> Tensor:
        self.optimiser.zero_grad(set_to_none=True)
        with torch.no_grad():
            _, wanted = self._looked_at(self.way.teacher, batch)
        output, found = self._looked_at(self.model, batch)
        loss = self.loss(output, batch) + self.way.beta * distance(found, wanted)
        loss.backward()
        self.optimiser.step()
        return loss.detach()

    def _looked_at(
        self, network: nn.Module, batch: Batch
    ) -> tuple[SegmentationOutput, list[Tensor]]:
        """Return a network's answer, and its maps of attention."""
        found: dict[str, Tensor] = {}
        known = readers_of(network)
        with watched({name: known[name] for name in self.way.maps}, found):
            height, width = batch.labels.shape[1:]
            with self.arithmetic.forward_context():
                output = ask(
                    network, batch.images, num_classes=self._num_classes, size=(height, width)
                )
        return output, [found[name] for name in self.way.maps]


def distance(found: Sequence[Tensor], wanted: Sequence[Tensor]) -> Tensor:
    """Return the weighted squared distance of maps of attention, a mean over scenes."""
    # Of fewer maps the last weights count, as those are of the last layers.
    weights = WEIGHTS[-len(found) :]
    return torch.stack(
        [
            weight * (one - other).square().sum(dim=1).mean()
            for weight, one, other in zip(weights, found, wanted, strict=True)
        ]
    ).sum()


@contextmanager
def watched(readers: Mapping[str, Reader], found: dict[str, Tensor]) -> Generator[None]:
    """Note, for a while, the maps of attention that layers read; the last layer comes last."""

    def look(name: str) -> Callable[..., None]:
        def note(reader: Reader, inputs: tuple[Tensor, ...], output: Tensor) -> None:
            del output
            if inputs and inputs[0].ndim > 2:
                found.pop(name, None)
                found[name] = attention(inputs[0], reader)

        return note

    with hooked(dict(readers), look):
        yield
