"""Records of scenes and a network that were passed as objects, not as settings."""

from __future__ import annotations

from segdoor.settings import Settings


class HandedScenes(Settings):
    """A data set that was passed as an object."""

    kind: str
    """Its class, with the module."""
    digest: str
    """Its own digest, to which plans and poisoned tests refer."""
    content: str
    """SHA-256 over the classes and every scene's name, image and label map."""


class HandedNetwork(Settings):
    """A network whose factory was passed as an object."""

    factory: str
    """The factory, with its module."""
    code: str
    """SHA-256 over the network's layers and the code of their classes."""
    weights: str
    """SHA-256 over its initial weights, which follow from the run's seed."""


class HandedIn(Settings):
    """Objects passed by the caller; only the caller can provide them again."""

    train: HandedScenes | None
    """The clean training scenes; null if the settings name them."""
    test: HandedScenes | None
    """The clean test scenes; null if the settings name them."""
    network: HandedNetwork | None
    """The network; null if the settings name it."""
