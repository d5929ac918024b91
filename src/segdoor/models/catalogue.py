"""Models trained on the built-in street: a clean one, and four with a backdoor.

Each backdoored model is the folder that its run left, without pictures: record, weights, plan,
poisoned tests and tables. So all that works on a run works on a copy of it. The clean model is what
they are compared with. They hold nothing of anybody else's data.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from segdoor.errors import ConfigError, StorageError
from segdoor.experiment.config import ExperimentConfig, config_from
from segdoor.experiment.recording import from_record
from segdoor.record import ExperimentRecord, load_record

FOLDER: Final = Path(__file__).parent
CLEAN: Final = "clean"
_COMPARED = "baseline"
_DOES: Final[Mapping[str, str]] = {
    CLEAN: "trained on clean scenes; what the others are compared with",
    "baseline": "trained with the paper's plain attack: stickers at random places",
    "nni": "trained with Nearest Neighbour Injection: stickers as near the cars as can be",
    "prl": "trained with Pixel Random Labelling: stickers at random places, pixels relabelled",
    "blend": "trained with a pattern blended into the whole image instead of a sticker",
}
NAMES: Final = tuple(_DOES)
"""The models, the clean one first."""


@dataclass(frozen=True)
class ShippedModel:
    """A model that comes along.

    Attributes:
        name: What it is called.
        does: What it is, in a line.
    """

    name: str
    does: str

    @property
    def folder(self) -> Path:
        """Return its run's folder; for the clean model, of a run that is compared with it."""
        return FOLDER / (_COMPARED if self.name == CLEAN else self.name)

    @property
    def weights(self) -> Path:
        """Return the file of its weights."""
        clean = self.name == CLEAN
        return FOLDER / "clean.safetensors" if clean else self.folder / "poisoned.safetensors"

    @property
    def record(self) -> ExperimentRecord:
        """Return the record of its run: its model card."""
        return load_record(self.folder)

    def examination(self) -> ExperimentConfig:
        """Return the settings of its run, with its own weights as those that are examined."""
        told = config_from(self.record.config, source=self.folder / "record.json", recorded=True)
        config = from_record(told, self.folder)
        network = config.network.model_copy(update={"weights": self.weights})
        return config.model_copy(update={"network": network, "title": f"{self.name}: {self.does}"})

    def copy_to(self, out: Path) -> Path:
        """Copy its run's folder and the clean model, side by side.

        Args:
            out: The folder above both, which is made if it is not there.

        Returns:
            What can be repaired, reported or shown, the copied run; of the clean model its file.

        Raises:
            StorageError: If something of that name is there already, or cannot be written.
        """
        clean = out / "clean.safetensors"
        run = out / self.name
        if run.exists():
            raise StorageError(run, "must not be there yet", remedy="Name another folder by --out.")
        try:
            out.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(FOLDER / "clean.safetensors", clean)
            if self.name == CLEAN:
                return clean
            shutil.copytree(self.folder, run)
        except OSError as why:
            raise StorageError(out, "must be writable", why, "Name another by --out.") from why
        return run


def shipped(name: str) -> ShippedModel:
    """Return the model of a name.

    Raises:
        ConfigError: If none of that name comes along.
    """
    if name not in _DOES:
        known = ", ".join(NAMES)
        raise ConfigError("model", "must be a model that comes along", name, f"Known: {known}.")
    return ShippedModel(name, _DOES[name])
