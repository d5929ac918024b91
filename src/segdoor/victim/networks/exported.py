"""Models that another program has exported: what they answer, brought into one form."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from segdoor.errors import ConfigError, DataError, SegdoorError
from segdoor.files import digest_of
from segdoor.record import LoadedWeights
from segdoor.victim.answer import logits_of

Run = Callable[[Tensor], object]
"""From normalised images to whatever a model answers."""
Form = Literal["logits", "softmax", "classes"]
Size = tuple[int, int]

# Most networks halve five times at most, and pool over no more than this.
PROBED: Size = (128, 128)
_SAID = {
    "softmax": "it answers with probabilities: their logarithms are taken for logits",
    "classes": "it answers with classes, not with logits: an argmax within it",
}


@dataclass(frozen=True)
class Answer:
    """What kind of answer a model gives.

    Attributes:
        form: Logits, probabilities, or the class of each pixel; None if only scenes can show it.
        size: Height and width of the only images that it takes; None if it takes any.
    """

    form: Form | None
    size: Size | None

    @property
    def remarks(self) -> tuple[str, ...]:
        """Say what is done to images and answers."""
        told = [_SAID[self.form]] if self.form is not None and self.form in _SAID else []
        if self.size is not None:
            height, width = self.size
            told.append(f"scenes are shown at its fixed size of {height} x {width} pixels")
        return tuple(told)


class ExportedNetwork(nn.Module):
    """A model behind a function, from normalised images to logits."""

    def __init__(self, run: Run, num_classes: int, answer: Answer) -> None:
        """Keep the function.

        Args:
            run: From normalised images to whatever the model answers; a module is part of this one.
            num_classes: How many classes its answers tell apart.
            answer: Their kind.
        """
        super().__init__()
        self._run, self._num_classes, self._answer = run, num_classes, answer

    @property
    def answers_with_classes(self) -> bool:
        """Return whether it is known to answer with the class of each pixel, without logits."""
        return self._answer.form == "classes"

    def forward(self, images: Tensor) -> Tensor:
        """Return logits, at the size of the model's answer."""
        size = self._answer.size
        if size is not None and tuple(images.shape[2:]) != size:
            images = F.interpolate(images, size=size, mode="bilinear", align_corners=False)
        found = tensor_in(self._run(images.contiguous()))
        form = self._answer.form or form_of(found, self._num_classes)
        self._answer = Answer(form, size)
        match form:
            case "logits":
                return found.float()
            case "softmax":
                return found.float().clamp(min=torch.finfo(torch.float32).tiny).log()
            case "classes":
                return _one_hot(found, self._num_classes)


def tensor_in(found: object) -> Tensor:
    """Return the tensor of class ids or scores in what a model answered.

    Raises:
        ConfigError: If there is none.
    """
    if isinstance(found, tuple | list) and found:
        found = found[0]
    # Class ids are no logits, which is all that `logits_of` takes.
    return found if isinstance(found, Tensor) else logits_of(found)


def form_of(found: Tensor, num_classes: int) -> Form:
    """Tell what kind of answer a model gave.

    Raises:
        ConfigError: If it is none.
    """
    whole = not found.is_floating_point() and not found.is_complex()
    if whole and (found.ndim == 3 or (found.ndim == 4 and found.shape[1] == 1)):
        return "classes"
    if whole or found.ndim != 4:
        kind = str(found.dtype).removeprefix("torch.")
        raise ConfigError(
            "network",
            "must answer with scores, images x classes x height x width, or with class ids",
            f"shape {tuple(found.shape)} of {kind}",
            "Export the network so that it returns its logits.",
        )
    sums = found.float().sum(dim=1)
    likely = num_classes > 1 and bool((found >= 0).all()) and bool((sums - 1).abs().max() < 1e-3)
    return "softmax" if likely else "logits"


def probed(run: Run, num_classes: int, size: Size | None) -> Answer:
    """Show a model one image of noise, and return what kind of answer it gives.

    Raises:
        ConfigError: If it answers with nothing that can be read.
    """
    noise = torch.randn(1, 3, *(size or PROBED), generator=torch.Generator().manual_seed(0))
    try:
        with torch.inference_mode():
            found = tensor_in(run(noise))
    except SegdoorError:
        raise
    # It may fail at this size alone: whoever shows it scenes hears of it then.
    except Exception:  # noqa: BLE001 - whatever a foreign model raises
        return Answer(None, size)
    return Answer(form_of(found, num_classes), size)


def loaded_from(path: Path, style: str, remarks: tuple[str, ...]) -> LoadedWeights:
    """Return what to say of a model that is a file."""
    return LoadedWeights(
        part="network",
        file=path.name,
        sha256=digest_of(path),
        style=style,
        num_taken=0,
        num_counters_missing=0,
        left_out=(),
        remarks=remarks,
    )


def named(path: Path | None, kind: str) -> Path:
    """Return the file of a model.

    Raises:
        ConfigError: If none is named.
        DataError: If it is not there.
    """
    if path is None:
        raise ConfigError(
            "network.weights", "must name the file of the model",
            remedy=f"Write --model {kind}:FILE, or --weights FILE.",
        )  # fmt: skip
    if not path.is_file():
        raise DataError(path, "the model does not exist", remedy="Check the path.")
    return path


def _one_hot(found: Tensor, num_classes: int) -> Tensor:
    classes = (found[:, 0] if found.ndim == 4 else found).long()
    if int(classes.min()) < 0 or int(classes.max()) >= num_classes:
        raise ConfigError(
            "network",
            f"must answer with class ids below {num_classes}, as the data set has them",
            f"{int(classes.min())} to {int(classes.max())}",
            "Void cannot be left out of such answers: export the network with its logits.",
        )
    return F.one_hot(classes, num_classes).permute(0, 3, 1, 2).float()
