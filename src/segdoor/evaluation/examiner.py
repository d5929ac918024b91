"""A network, ready to answer."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Int64
from torch import Tensor, nn

from segdoor.data.scene import ClassSet, Scene
from segdoor.data.transforms import Size, resize_label, resize_label_from_corner
from segdoor.errors import ConfigError
from segdoor.evaluation.config import ExaminationConfig
from segdoor.evaluation.counting import Truth
from segdoor.evaluation.objects import SceneObjects, Watched
from segdoor.tensors import AnyImage, Label, Mask
from segdoor.victim.answer import Images, ask
from segdoor.victim.config import NetworkConfig
from segdoor.victim.device import choose_arithmetic, transferred
from segdoor.victim.members import evaluating, parameters_of
from segdoor.victim.normalisation import normalised

_LABEL_RESIZES = {"nearest_exact": resize_label, "nearest": resize_label_from_corner}


@dataclass(frozen=True, eq=False)
class Sheet:
    """A scene as a network is shown it, on the network's device.

    Attributes:
        image: Normalised, float32, 1 x 3 x H x W.
        truth: True class ids at the size of the answer.
        objects: The objects that are followed one by one; None if none are.
    """

    image: Images
    truth: Truth
    objects: SceneObjects | None = None


class Examiner:
    """A network in evaluation mode, on the device its weights are on."""

    def __init__(
        self,
        model: nn.Module,
        classes: ClassSet,
        config: ExaminationConfig | None = None,
        network: NetworkConfig | None = None,
    ) -> None:
        """Put the network into evaluation mode; what is given is what `examine` takes."""
        self.model = evaluating(model)
        self.classes = classes
        self.config = config or ExaminationConfig()
        device = next((str(weight.device) for weight in parameters_of(model)), "cpu")
        self.arithmetic = choose_arithmetic(device, self.config.precision)
        self.device = self.arithmetic.device
        self.network = network or NetworkConfig()
        # Sums of float32 in float64: finite if and only if every summand is.
        self._sum = torch.zeros((), dtype=torch.float64, device=self.device)

    def sheet(
        self, scene: Scene, label: Label | None = None, watched: Watched | None = None
    ) -> Sheet:
        """Return a scene as it is shown.

        Args:
            scene: The scene.
            label: Its label map at another size, to count pixels by; the scene's own if None.
            watched: Classes whose objects are followed one by one.
        """
        resize = _LABEL_RESIZES[self.config.label_resize]
        own = scene.label if label is None else label
        size = scene.label.shape[0], scene.label.shape[1]
        truth = resize(own, self._scored(size))
        objects = SceneObjects(truth, size, watched, self.device) if watched else None
        return Sheet(self.pixels(scene.image), transferred(truth, self.device), objects)

    def mark(self, attacked: Mask) -> Truth:
        """Return which pixels are attacked, 1 or 0, at the size of the answer."""
        size = attacked.shape[0], attacked.shape[1]
        resize = _LABEL_RESIZES[self.config.label_resize]
        return transferred(resize(attacked.view(np.uint8), self._scored(size)), self.device)

    def pixels(self, image: AnyImage) -> Images:
        """Return an image, or a part of one, as it is shown: normalised, 1 x 3 x H x W."""
        return normalised(transferred(image[None], self.device), self.network)

    def predict(self, scenes: list[Scene]) -> list[Label]:
        """Return the predicted class of every counted pixel; the scenes must be of one size.

        Raises:
            ConfigError: If the network's logits do not fit the classes or are not finite.
        """
        predicted = self.answer(torch.cat([self.pixels(scene.image) for scene in scenes]))
        self.check()
        return list(predicted.to(torch.uint8).cpu().numpy())

    def answer(self, images: Images) -> Int64[Tensor, "B h w"]:
        """Return the predicted class of each counted pixel of `pixels`, without waiting for it."""
        size = images.shape[2], images.shape[3]
        shown = self._shown(size)
        with torch.inference_mode():
            if shown != size:
                images = F.interpolate(images, size=shown, mode="bilinear", align_corners=False)
            best = self._scores(images, self._scored(size)).max(dim=1)
            # NaN is larger than any number here, so that it shows in the maximum.
            self._sum += best.values.sum(dtype=torch.float64)
        return best.indices

    def check(self) -> None:
        """Refuse a network that has answered with NaN or infinity; waits for the device.

        Raises:
            ConfigError: If it has.
        """
        if not math.isfinite(float(self._sum)):
            raise ConfigError(
                "network", "must return finite logits", "NaN or infinity", "Check its weights."
            )

    def _scores(self, images: Tensor, size: Size) -> Tensor:
        logits = self._logits(images, size)
        if not self.config.flip:
            return logits
        mirrored = self._logits(images.flip(3), size).flip(3)
        return logits.softmax(dim=1) + mirrored.softmax(dim=1)

    def _logits(self, images: Tensor, size: Size) -> Tensor:
        images = images.contiguous(memory_format=torch.channels_last)
        with self.arithmetic.forward_context():
            return ask(self.model, images, num_classes=len(self.classes), size=size).logits

    def _shown(self, size: Size) -> Size:
        if self.config.input_size == "eights_plus_one":
            return 8 * (size[0] // 8 + 1) + 1, 8 * (size[1] // 8 + 1) + 1
        step = self.config.size_multiple
        return -(-size[0] // step) * step, -(-size[1] // step) * step

    def _scored(self, size: Size) -> Size:
        return self._shown(size) if self.config.score_at == "input" else size
