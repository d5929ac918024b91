"""Opening the scenes of a run, and refusing to overwrite results."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from segdoor.data.config import DataConfig
from segdoor.data.load import files_of, load_dataset
from segdoor.data.pack import default_cache, pack
from segdoor.data.scene import SceneDataset
from segdoor.errors import ConfigError
from segdoor.experiment.config import ExperimentConfig
from segdoor.locks import sole_writer
from segdoor.progress import Observer


def open_scenes(data: DataConfig, split: str, observer: Observer) -> SceneDataset:
    """Return a split of the clean scenes, packed."""
    dataset = load_dataset(data, split)
    observer.begin(f"packing {split}", len(dataset))
    return pack(dataset, default_cache(), progress=observer.advance)


def labels_to_count(config: ExperimentConfig) -> SceneDataset | None:
    """Return the test scenes at their files' own size, if pixels are counted by that.

    With ``label_resize`` nearest, the label file itself is resized to the network's input, not its
    resized version of data.size.

    Returns:
        The scenes; None where their label maps are at their own size anyway.
    """
    how, data = config.examination, config.data
    if data.size is None or (how.score_at, how.label_resize) != ("input", "nearest"):
        return None
    whole = load_dataset(data.model_copy(update={"size": None}), data.test_split)
    # Rendered scenes have no original size.
    return whole if files_of(whole) else None


@contextmanager
def results_folder(out: Path, *finished: str) -> Generator[None]:
    """Lock the folder for results before any work begins.

    Args:
        out: The folder.
        finished: Names of files that must not exist yet: if they do, the work is already done.

    Raises:
        ConfigError: If one of them is there, or another process is writing to the folder.
        StorageError: If the folder cannot be written.
    """
    with sole_writer(out, culprit=f"--out {out}"):
        for name in finished:
            if (out / name).exists():
                raise ConfigError(
                    f"--out {out}",
                    f"must not hold a {name} yet",
                    "an earlier result",
                    "Name another folder.",
                )
        yield
