"""What a physical test is run on: models, scenes, a camera, and places for prints."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from torch import nn

from segdoor.attack.labels.change import attacks_some
from segdoor.attack.physical.axes import Situation
from segdoor.attack.physical.camera import FOCAL, HEIGHT, PITCH, Camera
from segdoor.attack.physical.placing import Places, Put, Surfaces
from segdoor.attack.physical.plane import FLAT, STANDING, VEHICLES, ids_of
from segdoor.attack.physical.shown import Print, PrintedScenes
from segdoor.data.scene import ClassSet, Scene, SceneDataset, pixels_of
from segdoor.data.subset import Subset
from segdoor.errors import ConfigError, DataError
from segdoor.experiment.config import ExperimentConfig
from segdoor.experiment.reopened import ReopenedRun
from segdoor.randomness import Stream
from segdoor.record.physical import CameraRecord


@dataclass(frozen=True)
class PhysicalOptions:
    """How far a physical test goes.

    Attributes:
        axes: Names of what is varied; all if empty.
        ideal: Whether printer, light, sensor and JPEG change nothing, except where they are varied.
        num_scenes: How many scenes with victims.
        seed: Decides where prints are.
        focal: Focal length in image heights; assumed if None.
        height: Height of the camera in metres; assumed if None.
        pitch: How far it looks down in degrees; assumed if None.
        film: Name of the first frame of a film among the scenes of its split; None for none.
        split: The split that the film is in; the test scenes' if None.
        still: Whether the film is a camera move, rendered over that one scene.
        num_frames: Frames of the film.
    """

    axes: tuple[str, ...] = ()
    ideal: bool = False
    num_scenes: int = 20
    seed: int = 0
    focal: float | None = None
    height: float | None = None
    pitch: float | None = None
    film: str | None = None
    split: str | None = None
    still: bool = False
    num_frames: int = 24

    def __post_init__(self) -> None:
        """Refuse numbers that mean nothing.

        Raises:
            ConfigError: If one does.
        """
        limits = {
            "--scenes": (self.num_scenes, 1, 100_000), "--frames": (self.num_frames, 2, 10_000),
            "--focal": (self.focal, 0.1, 20), "--height": (self.height, 0.1, 100),
            "--pitch": (self.pitch, -60, 60), "--seed": (self.seed, 0, 2**63),
        }  # fmt: skip
        for option, (value, low, high) in limits.items():
            if value is not None and not low <= value <= high:
                raise ConfigError(
                    option, f"must be from {low} to {high}", value, "Give another number."
                )

        beside = {"--film-split": self.split is not None, "--still": self.still}
        for option, given in beside.items():
            if given and self.film is None:
                raise ConfigError(
                    option, "needs a film", "no --film", "Name its first frame: --film NAME."
                )

    @property
    def camera(self) -> CameraRecord:
        """Return the camera, given or assumed."""
        given = (self.focal, self.height, self.pitch)
        focal, height, pitch = (
            default if value is None else value
            for value, default in zip(given, (FOCAL, HEIGHT, PITCH), strict=True)
        )
        return CameraRecord(focal=focal, height=height, pitch=pitch, assumed=None in given)


@dataclass(frozen=True)
class PhysicalCase:
    """A reopened run, and what its sticker is put up in.

    Attributes:
        config: The run's settings.
        models: Its networks by name: ``poisoned``, and ``clean`` if there is one.
        benign: The scenes, all with victims.
        own: The sticker of the training.
        other: The one of the control.
        options: How far the test goes.
    """

    config: ExperimentConfig
    models: Mapping[str, nn.Module]
    benign: SceneDataset
    own: Print
    other: Print
    options: PhysicalOptions

    @classmethod
    def of(cls, run: ReopenedRun, options: PhysicalOptions) -> PhysicalCase:
        """Choose scenes with victims, evenly spread.

        Raises:
            ConfigError: If the trigger cannot be printed, or its place decides what is attacked.
        """
        if attacks_some(run.config.attack.labels):
            raise ConfigError(
                "attack.labels", "must attack all victim pixels in a physical test",
                " ".join(map(str, run.config.attack.labels)), "Take a run with hide.",
            )  # fmt: skip
        triggers, test = run.tests.triggers, run.tests.benign
        victims = test.classes.indices(run.config.attack.victims)
        shows = [i for i in range(len(test)) if pixels_of(test.label(i), victims).any()]
        count = min(options.num_scenes, len(shows))
        chosen = [shows[i] for i in np.linspace(0, len(shows) - 1, count).astype(int)]
        own, other = Print.of(triggers.trigger), Print.of(triggers.other)
        return cls(run.config, run.models, Subset(test, chosen), own, other, options)

    def places(self, shape: tuple[int, ...]) -> Places:
        """Return where prints go in scenes of a height and width."""
        camera, classes = self.options.camera, self.benign.classes
        extent = self.config.attack.trigger.extent
        assert extent is not None
        return Places(
            Camera.of(shape, focal=camera.focal, height=camera.height, pitch=camera.pitch),
            surfaces_of(classes, classes.indices(self.config.attack.victims)), extent,
        )  # fmt: skip

    def put_up(self, situation: Situation) -> dict[str, Put]:
        """Return where prints are in the scenes that have room for them."""
        found: dict[str, Put] = {}
        for index, name in enumerate(self.benign.names):
            label = self.benign.label(index)
            rng = Stream(self.options.seed).child("physical", name).generator()
            put = self.places(label.shape).find(label, situation, float(rng.random()))
            if put is not None:
                found[name] = put
        return found

    def shown(self, situation: Situation, puts: Mapping[str, Put], what: Print) -> PrintedScenes:
        """Return the scenes with prints."""
        flat = situation.surface == "flat sticker"
        extent = self.config.attack.trigger.extent if flat else None
        return PrintedScenes(self.benign, puts, what, flat=extent)

    def scene(self, name: str) -> Scene:
        """Read one scene by its name.

        Raises:
            DataError: If there is none.
        """
        names = list(self.benign.names)
        if name not in names:
            raise DataError("scene", "must be one of the test", name, "Name another.")
        return self.benign[names.index(name)]


def surfaces_of(classes: ClassSet, victims: tuple[int, ...]) -> Surfaces:
    """Return which classes are what, by their names."""
    flat, walls, vehicles = (ids_of(classes, names) for names in (FLAT, STANDING, VEHICLES))
    return Surfaces(flat, walls, vehicles, victims)
