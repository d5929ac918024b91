"""Show scenes to a network and count its answers."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from segdoor.data.scene import ClassSet, Scene, SceneDataset
from segdoor.data.transforms import Size, resize_label
from segdoor.errors import ConfigError
from segdoor.evaluation.config import ExaminationConfig
from segdoor.progress import Observer, Silent
from segdoor.scores.tables import TableSet, confusion
from segdoor.tensors import Label
from segdoor.victim.answer import ask
from segdoor.victim.augment import normalised
from segdoor.victim.config import NetworkConfig
from segdoor.victim.device import choose_arithmetic


def examine(
    model: nn.Module,
    dataset: SceneDataset,
    config: ExaminationConfig | None = None,
    *,
    network: NetworkConfig | None = None,
    observer: Observer | None = None,
) -> TableSet:
    """Return one table a scene: pixels by true and predicted class.

    Args:
        model: Any network from normalised images, B x 3 x H x W, to logits: a tensor
            B x K x h x w, a dict with ``out``, or an object with ``.logits``.
        dataset: The scenes of the test.
        config: How the exam is held.
        network: Mean and standard deviation of the network's input; ImageNet's if None.
        observer: Hears of every scene.

    Raises:
        ConfigError: If the network's logits do not fit the classes or are not finite.
    """
    observer = observer or Silent()
    observer.begin("examining", len(dataset))
    examiner = Examiner(model, dataset.classes, config, network)
    names: list[str] = []
    tables: list[np.ndarray] = []
    for scenes in _batches(dataset, examiner.config.batch_size):
        for scene, predicted in zip(scenes, examiner.predict(scenes), strict=True):
            names.append(scene.name)
            tables.append(examiner.table(scene, predicted))
            observer.advance()
    num_classes = len(dataset.classes)
    counts = np.stack(tables) if tables else np.zeros((0, num_classes, num_classes), np.int64)
    return TableSet(tuple(names), counts)


class Examiner:
    """A network, ready to answer."""

    def __init__(
        self,
        model: nn.Module,
        classes: ClassSet,
        config: ExaminationConfig | None = None,
        network: NetworkConfig | None = None,
    ) -> None:
        """Put the network into evaluation mode, on the device its weights are on."""
        self.model = model.eval()
        self.classes = classes
        self.config = config or ExaminationConfig()
        self.network = network or NetworkConfig()
        device = next((str(weight.device) for weight in model.parameters()), "cpu")
        self.arithmetic = choose_arithmetic(device, self.config.precision)

    def predict(self, scenes: list[Scene]) -> list[Label]:
        """Return the predicted class of every counted pixel; the scenes must be of one size."""
        height, width = scenes[0].label.shape
        shown = self._input_size((height, width))
        scored = shown if self.config.score_at == "input" else (height, width)
        pixels = torch.from_numpy(np.stack([scene.image for scene in scenes]))
        pixels = pixels.to(self.arithmetic.device).permute(0, 3, 1, 2)
        images = normalised(pixels, self.network.mean, self.network.std)
        if shown != (height, width):
            images = F.interpolate(images, size=shown, mode="bilinear", align_corners=False)
        with torch.inference_mode():
            best = self._answer(images, scored).max(dim=1)
        # NaN is larger than any number here, so that it shows in the maximum.
        if not bool(torch.isfinite(best.values).all()):
            raise ConfigError(
                "network", "must return finite logits", "NaN or infinity", "Check its weights."
            )
        return list(best.indices.to(torch.uint8).cpu().numpy())

    def table(self, scene: Scene, predicted: Label) -> np.ndarray:
        """Return the table of one scene."""
        height, width = predicted.shape
        truth = resize_label(scene.label, (height, width))
        return confusion(truth, predicted, len(self.classes), self.classes.ignore_index)

    def _answer(self, images: Tensor, size: Size) -> Tensor:
        logits = self._logits(images, size)
        if not self.config.flip:
            return logits
        mirrored = self._logits(images.flip(3), size).flip(3)
        return logits.softmax(dim=1) + mirrored.softmax(dim=1)

    def _logits(self, images: Tensor, size: Size) -> Tensor:
        images = images.contiguous(memory_format=torch.channels_last)
        with self.arithmetic.forward_context():
            return ask(self.model, images, num_classes=len(self.classes), size=size).logits

    def _input_size(self, size: Size) -> Size:
        if self.config.input_size == "scene":
            return size
        return 8 * (size[0] // 8 + 1) + 1, 8 * (size[1] // 8 + 1) + 1


def _batches(dataset: SceneDataset, size: int) -> Iterator[list[Scene]]:
    """Yield runs of neighbouring scenes of one size."""
    batch: list[Scene] = []
    for index in range(len(dataset)):
        scene = dataset[index]
        if batch and (len(batch) == size or scene.label.shape != batch[0].label.shape):
            yield batch
            batch = []
        batch.append(scene)
    if batch:
        yield batch
