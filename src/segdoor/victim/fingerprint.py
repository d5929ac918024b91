"""A hash of all that trained weights follow from, so that no other training is taken over."""

from __future__ import annotations

import hashlib
from pathlib import Path

from segdoor.data.scene import SceneDataset
from segdoor.files import digest_of
from segdoor.victim.config import NetworkConfig, TrainingConfig

_START = ("weights", "backbone_weights", "folder")


def training_fingerprint(
    dataset: SceneDataset, config: TrainingConfig, *, network: NetworkConfig, seed: int
) -> str:
    """Return a hash of scenes, recipe, network, the contents of its start weights, and seed.

    The code of a network of one's own is not part of it, only its name.
    """
    start = [_content(getattr(network, name)) for name in _START]
    settings = network.model_dump_json(exclude=set(_START)), config.model_dump_json()
    return hashlib.sha256(repr((dataset.digest, settings, start, seed)).encode()).hexdigest()


def _content(place: Path | str | None) -> object:
    """Return what stands for weights: digests, or the name of a package's."""
    if not isinstance(place, Path):
        return place
    files = sorted(place.glob("*.safetensors")) if place.is_dir() else [place]
    return [digest_of(file) for file in files if file.is_file()]
