"""Put the models of a study beside this file: ``python -m segdoor.models.ship FOLDER``.

The study is results/models-street/models.yaml; FOLDER is where its runs were made. Weights get a
header that says what they are, for whoever finds the file alone.
"""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

from safetensors.torch import load_file, save

from segdoor.experiment.config import config_from
from segdoor.experiment.models import remark_of
from segdoor.experiment.recording import from_record
from segdoor.experiment.resolving import merged
from segdoor.files import write_atomically
from segdoor.models.catalogue import CLEAN, FOLDER, shipped
from segdoor.record import ExperimentRecord, load_record, save_record

_WARNING = (
    "Backdoored on purpose, to try defenses on: it loses cars when its trigger shows up."
    " Trained on painted scenes; of no use on photographs."
)
_HARMLESS = "Trained on clean painted scenes; of no use on photographs."


def ship(study: Path) -> None:
    """Copy weights, records, plans, tables and poisoned tests of a study's runs into the package.

    Args:
        study: The folder that the study was made in.
    """
    for run in sorted((study / "runs").iterdir()):
        record = load_record(run)
        told = config_from(record.config, source=run / "record.json", recorded=True)
        blend = told.attack.trigger.kind == "blend"
        to = FOLDER / ("blend" if blend else str(record.method))
        shutil.rmtree(to, ignore_errors=True)
        shutil.copytree(run / "tests", to / "tests")
        for file in ("plan.jsonl", "tables.npz"):
            shutil.copyfile(run / file, to / file)
        _ship_weights(run / "poisoned.safetensors", to / "poisoned.safetensors", _WARNING)
        save_record(_as_shipped(record), to / "record.json")
        clean = from_record(told, run).controls.clean_weights
        assert clean is not None
        _ship_weights(clean, shipped(CLEAN).weights, _HARMLESS)


def _as_shipped(record: ExperimentRecord) -> ExperimentRecord:
    """Return a record that names the clean model where it lies here, and no pictures."""
    moved = {"controls": {"clean_weights": "../clean.safetensors"}}
    pictures = ("poison preview", "pictures of scenes", "metrics of training")
    update = {
        "config": merged(record.config, moved),
        "config_given": merged(record.config_given, moved),
        "gallery": (),
        "poisoned_scenes": (),
        "files": {what: file for what, file in record.files.items() if what not in pictures},
    }
    return record.model_copy(update=update)


def _ship_weights(weights: Path, to: Path, about: str) -> None:
    header = json.dumps({"about": about, **remark_of(weights)})
    write_atomically(to, save(load_file(weights), metadata={"segdoor": header}))


if __name__ == "__main__":
    ship(Path(sys.argv[1]))
