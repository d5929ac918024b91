"""Opening the scenes of a run, and refusing to write over results."""

from __future__ import annotations

import tempfile
from pathlib import Path

from segdoor.data.load import load_dataset
from segdoor.data.pack import default_cache, pack
from segdoor.data.scene import SceneDataset
from segdoor.errors import ConfigError, StorageError
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


def prepare_folder(out: Path, *results: str) -> None:
    """Create the folder for results, before work begins that would be lost without it.

    Args:
        out: The folder.
        results: Names of files that must not be there yet.

    Raises:
        ConfigError: If one of them is there.
        StorageError: If the folder cannot be written.
    """
    try:
        for name in results:
            if (out / name).exists():
                raise ConfigError(
                    f"--out {out}",
                    f"must not hold a {name} yet",
                    remedy="Name another folder.",
                )
        out.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=out):
            pass
    except OSError as why:
        raise StorageError(
            f"--out {out}", "must be a writable folder", why.strerror, "Name another folder."
        ) from None
