"""Scenes in pictures, as files beside a record."""

from __future__ import annotations

from segdoor.record.figures import Figure
from segdoor.settings import Settings


class PlacedView(Settings):
    """A test scene with the trigger where another poisoned test places it."""

    test: str
    """The poisoned test."""
    distance: Figure
    """Distance from the trigger's centre to the nearest victim pixel, in pixels; null without
    victims."""
    asr: Figure
    """Attack success rate in this scene."""
    triggered_image: str
    """The image with the trigger."""
    triggered_prediction: str
    """The backdoored model's prediction for it."""


class GalleryScene(Settings):
    """One test scene in pictures, as files beside the record."""

    name: str
    """The scene."""
    test: str
    """The poisoned test that places its trigger."""
    asr: Figure
    """Attack success rate in this scene."""
    image: str
    """The untouched image."""
    triggered_image: str
    """The image with the trigger."""
    prediction: str
    """The backdoored model's prediction for the untouched image."""
    triggered_prediction: str
    """Its prediction for the image with the trigger."""
    truth: str
    """The label map."""
    elsewhere: tuple[PlacedView, ...] = ()
    """The same scene with the trigger near the victims and in the farthest band, if both have
    room."""


class PoisonedScene(Settings):
    """One training scene before and after it was poisoned, as files beside the record."""

    name: str
    """The scene."""
    class_under: str | None
    """The class under the trigger; null if there are several, or if it covers the whole image."""
    distance: Figure
    """Distance from the trigger's centre to the nearest victim pixel, in pixels."""
    whole_image: bool = False
    """Whether the trigger covers the whole image."""
    in_scene: bool = False
    """Whether the trigger is a part of the scene, so that nothing was put into the image."""
    changed_pixels: int
    """Number of pixels whose label changed."""
    image: str
    """The untouched image."""
    poisoned_image: str
    """The image with the trigger."""
    label: str
    """The true label map."""
    poisoned_label: str
    """The label map used for training."""
