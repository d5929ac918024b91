"""Opening the scenes of a run, and refusing to write over results."""

from __future__ import annotations

from pathlib import Path

from segdoor.data.load import load_dataset
from segdoor.data.pack import default_cache, pack
from segdoor.data.scene import SceneDataset
from segdoor.errors import ConfigError
from segdoor.experiment.config import ExperimentConfig
from segdoor.experiment.fidelity import resolve
from segdoor.progress import Observer


def open_scenes(config: ExperimentConfig, split: str, observer: Observer) -> SceneDataset:
    """Return a split of the honest scenes, packed."""
    dataset = load_dataset(config.data, split)
    observer.begin(f"packing {split}", len(dataset))
    return pack(dataset, default_cache(), progress=observer.advance)


def resolve_for(given: ExperimentConfig, scenes: SceneDataset) -> ExperimentConfig:
    """Resolve a configuration for the size of a data set's first scene."""
    height, width = scenes.label(0).shape
    return resolve(given, (height, width))


def refuse_existing(path: Path) -> None:
    """Refuse to write over a result.

    Raises:
        ConfigError: If the file exists.
    """
    if path.exists():
        raise ConfigError(
            f"--out {path.parent}",
            f"must not hold a {path.name} yet",
            remedy="Name another folder, or delete this one.",
        )
