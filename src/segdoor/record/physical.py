"""What `segdoor physical` measured: the file ``physical.json``."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field

from segdoor.record.figures import Estimate, Figure
from segdoor.record.file import read_kind
from segdoor.settings import Settings, validated

PHYSICAL_SCHEMA_VERSION = 1


class CameraRecord(Settings):
    """The camera that scenes are taken to come from."""

    focal: float = Field(gt=0)
    """Focal length in image heights."""
    height: float = Field(gt=0)
    """Height above the ground in metres."""
    pitch: float
    """How far it looks down, in degrees."""
    assumed: bool
    """Whether it was assumed, and not given."""


class PhysicalRow(Settings):
    """The sticker in one situation."""

    name: str
    """The value of the axis in words."""
    value: float | None
    """The value as a number; null if it is none."""
    num_scenes: int = Field(ge=0)
    """Scenes that have room for it."""
    num_victim_pixels: int = Field(ge=0)
    """Their victim pixels."""
    num_target_pixels: int = Field(ge=0)
    """Victim pixels that the backdoored model predicts as the target class."""
    pixels: Figure
    """Mean length of the print's longest edge in the image, in pixels."""
    metres: Figure
    """Mean width of the print, in metres."""
    distance: Figure
    """Mean distance from the camera, in metres."""
    asr: Estimate
    """Attack success rate: the second count over the first."""
    asr_without_trigger: Figure
    """Control: the same scenes without a sticker."""
    asr_other_trigger: Figure
    """Control: another sticker in the same situation."""
    asr_clean_model: Figure
    """Control: a clean model with the sticker; null without one."""


class PhysicalAxis(Settings):
    """One thing that was varied."""

    name: str
    """Its name."""
    title: str
    """What the values are, with their unit."""
    rows: tuple[PhysicalRow, ...]
    """The values in order."""


class PhysicalPicture(Settings):
    """A picture of one situation, as a file beside the record."""

    axis: str
    """What was varied."""
    value: str
    """The value in words."""
    scene: str
    """The scene."""
    asr: Figure
    """Attack success rate in this scene alone."""
    image: str
    """The image with the print."""
    prediction: str
    """The backdoored model's prediction for it."""


class FilmRecord(Settings):
    """The sticker in the frames of a film."""

    first: str
    """The first frame."""
    num_frames: int = Field(ge=1)
    """How many frames it was followed through."""
    still: bool
    """Whether the frames are a camera move rendered over one scene."""
    reprojection: tuple[Figure, ...]
    """By frame: median distance in pixels between features and where the plane's motion puts
    them; null for the first frame."""
    inliers: tuple[int, ...]
    """By frame: features that agree with the plane's motion; 0 for the first frame."""
    off: tuple[Figure, ...]
    """By frame: largest distance in pixels of a tracked corner from where the rendered camera move
    puts it; null where the truth is not known."""
    asr: tuple[Figure, ...]
    """By frame: attack success rate with the sticker; null without victims."""
    asr_without_trigger: tuple[Figure, ...]
    """By frame: the same without it."""
    stopped: str | None
    """Why it ended before the last frame that was asked for; null if it did not."""
    strip: str
    """The picture of the frames, beside the record."""


class PhysicalRecord(Settings):
    """The physical test of a run."""

    kind: Literal["physical-record"] = "physical-record"
    """What this file is."""
    schema_version: Literal[1] = PHYSICAL_SCHEMA_VERSION
    """Layout of the file."""
    segdoor: str
    """Version of segdoor."""
    run: str
    """Title of the run."""
    trigger: str
    """The trigger of the training, as it is written on the command line."""
    other_trigger: str
    """The sticker of the control."""
    victims: tuple[str, ...]
    """Victim classes."""
    target: str
    """Target class of the first victim."""
    seed: int = Field(ge=0)
    """Decides where prints are."""
    ideal: bool
    """Whether printer, light, sensor and JPEG were left out, except where they were varied."""
    camera: CameraRecord
    """The camera."""
    side: float = Field(gt=0)
    """Usual width of the print in metres: as wide as the trigger, 8 m away."""
    num_scenes: int = Field(ge=1)
    """Test scenes with victims that were looked at."""
    axes: tuple[PhysicalAxis, ...]
    """What was varied."""
    pictures: tuple[PhysicalPicture, ...] = ()
    """Pictures."""
    film: FilmRecord | None = None
    """The sticker in a film; null if none was asked for."""


def load_physical(path: Path) -> PhysicalRecord:
    """Read a record.

    Raises:
        DataError: If the file is missing, damaged, of a newer schema or something else.
        ConfigError: If a value in it breaks a rule.
    """
    remedy = "Name the file physical.json of a run."
    return validated(PhysicalRecord, read_kind(PhysicalRecord, path, remedy), source=path)
