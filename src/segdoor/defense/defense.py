"""What filters, detectors, purifiers and scans share: what they need, cost and show for it."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar, Generic, Literal, TypeVar

import numpy as np
from torch import nn

from segdoor.data.scene import SceneDataset
from segdoor.errors import ConfigError
from segdoor.plugins import Plugin
from segdoor.progress import Observer, Silent
from segdoor.tensors import Image
from segdoor.victim.config import NetworkConfig, TrainingConfig
from segdoor.workers import Alone, Workers

Access = Literal["data", "files", "clean scenes", "training", "black box", "white box"]
"""What a defender must have: the suspect scenes, their files, clean scenes, time to train networks,
a model's predictions, or its weights, features and gradients."""


@dataclass(frozen=True)
class DefenseContext:
    """What a defender may know and use, beside what it looks at.

    Attributes:
        clean: Clean scenes; None if the defender has none.
        network: Mean and standard deviation of the images that the model expects, and the network
            that methods which train one of their own take.
        recipe: The recipe of such trainings, and their device.
        seed: Decides everything random.
        seconds: How long it may take at most, roughly; None for as long as it needs.
        workers: Who shares the work.
        observer: Receives progress.
        folder: Where long work keeps its state, and goes on from.
    """

    clean: SceneDataset | None = None
    network: NetworkConfig = field(default_factory=NetworkConfig)
    recipe: TrainingConfig = field(default_factory=TrainingConfig)
    seed: int = 0
    seconds: float | None = None
    workers: Workers = field(default_factory=Alone)
    observer: Observer = field(default_factory=Silent)
    folder: Path | None = None


@dataclass(frozen=True, eq=False)
class Evidence:
    """Something that people can look at to judge for themselves.

    Attributes:
        says: What it shows, in a sentence.
        scene: Name of the scene where it was found; None if it belongs to none.
        box: Top, left, height and width of the place in pixels; None for no place.
        classes: Ids of the classes it is about, such as the label's and the voted one.
        score: How suspicious this alone is, higher for more; None if it has no score of its own.
        picture: What to look at.
    """

    says: str
    scene: str | None = None
    box: tuple[int, int, int, int] | None = None
    classes: tuple[int, ...] = ()
    score: float | None = None
    picture: Image | None = None


@dataclass(frozen=True)
class Cost:
    """What a method took.

    Attributes:
        seconds: Wall time.
        forward: Images that the given model was shown.
        backward: Images that gradients of the given model were asked for.
        clean_scenes: Clean scenes that the defender had.
    """

    seconds: float
    forward: int
    backward: int
    clean_scenes: int


FoundT_co = TypeVar("FoundT_co", covariant=True)


@dataclass(frozen=True, eq=False)
class Costed(Generic[FoundT_co]):
    """What a method found, and what that took."""

    found: FoundT_co
    cost: Cost


class Defense(Plugin):
    """A method of a defender, who knows neither trigger nor plan nor victim class.

    Attributes:
        access: What the defender must have.
        adaptive: The attacker who knows the method, by the name that the bench has for it; None if
            the bench has none.
    """

    access: ClassVar[frozenset[Access]]
    adaptive: ClassVar[str | None] = None

    def refused(self, rule: str, found: object, remedy: str) -> ConfigError:
        """Return the error that says what is wrong with this method, or with what it was given."""
        return ConfigError(self.kind, rule, found, remedy)

    def check_given(self, model: nn.Module | None, clean: SceneDataset | None) -> None:
        """Refuse to begin without what the method needs.

        Raises:
            ConfigError: If the model or the clean scenes are missing.
        """
        if model is None and self.access & {"black box", "white box"}:
            raise self.refused("needs a model", "none", "Give one in the context.")
        if "clean scenes" in self.access and (clean is None or not len(clean)):
            raise self.refused("needs clean scenes", "none", "Give some in the context.")

    def check_evidence(self, evidence: Iterable[Evidence], known: SceneDataset | None) -> None:
        """Refuse evidence that nobody could look up in the known scenes, if any are known.

        Raises:
            ConfigError: If it says nothing, or of a scene, class or place that is not there.
        """
        names = None if known is None else {*known.names}
        for one in evidence:
            if not one.says.strip():
                raise self.refused("must say what its evidence shows", "nothing", _CORRECT)
            if names is not None and one.scene is not None and one.scene not in names:
                raise self.refused("must speak of the scenes it was given", one.scene, _CORRECT)
            if one.box is not None and (min(one.box[:2]) < 0 or min(one.box[2:]) < 1):
                raise self.refused("must name places inside the image", one.box, _CORRECT)
            self.check_classes(one.classes, None if known is None else len(known.classes))
            if one.score is not None:
                self.check_number(one.score, "a piece of evidence")
            if one.picture is not None:
                self.check_image(one.picture)

    def check_classes(self, ids: Iterable[int], num_classes: int | None) -> None:
        """Refuse ids of classes that are not there; ``num_classes`` is None if nobody knows it.

        Raises:
            ConfigError: If there is no class of an id.
        """
        for index in ids:
            if index < 0 or (num_classes is not None and index >= num_classes):
                raise self.refused("must name classes by their ids", index, _CORRECT)

    def check_number(self, score: object, what: str) -> None:
        """Refuse a score that is no finite number.

        Raises:
            ConfigError: If it is anything else.
        """
        number = isinstance(score, int | float | np.floating | np.integer)
        if not number or isinstance(score, bool) or not math.isfinite(score):
            told = score if number else type(score).__name__
            raise self.refused(f"must give {what} a finite number as its score", told, _CORRECT)

    def check_image(self, image: object) -> None:
        """Refuse what is no picture.

        Raises:
            ConfigError: If it is no array of uint8, H x W x 3.
        """
        shape = getattr(image, "shape", ())
        fits = len(shape) == 3 and shape[2] == 3 and 0 not in shape
        if not (isinstance(image, np.ndarray) and image.dtype == np.uint8 and fits):
            found = f"{getattr(image, 'dtype', type(image).__name__)} {shape or ''}".strip()
            raise self.refused("must give pictures as uint8, H x W x 3", found, _CORRECT)


_CORRECT = "Correct the method."
