"""The state of a run of a study, from its folder."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from segdoor.attack.config import AttackConfig
from segdoor.attack.labels.change import CHOSEN, LabelChange
from segdoor.attack.labels.cooccurring import Cooccurring
from segdoor.attack.plan import PoisonPlan
from segdoor.attack.triggers.printed import Printed
from segdoor.attack.triggers.sticker import Sticker
from segdoor.data.load import lacks_root, load_dataset
from segdoor.errors import DataError, SegdoorError
from segdoor.experiment.config import config_from
from segdoor.record import ExperimentRecord, load_record
from segdoor.study.config import Preset
from segdoor.study.contents import digest_of_start
from segdoor.study.defenses import missing_defenses
from segdoor.study.execution import read_error
from segdoor.study.expand import PlannedRun, deciding
from segdoor.study.plan import StudyPlan
from segdoor.study.repairs import study_row
from segdoor.victim.config import START_WEIGHTS

Digests = tuple[str, str]
"""Of the training scenes, and of the test scenes."""


@dataclass(frozen=True)
class RunState:
    """How far a run is.

    Attributes:
        state: Done with all its repairs and defenses, failed at the last attempt, or neither.
        error: Why it failed.
        record: Its record, if there is a valid one; repairs may be missing in it.
    """

    state: Literal["done", "failed", "waiting"]
    error: str | None = None
    record: ExperimentRecord | None = None


def state_of(plan: StudyPlan, run: PlannedRun, digests: Digests | None = None) -> RunState:
    """Return the state of a run, from its folder.

    Args:
        plan: The study.
        run: One of its runs.
        digests: Of the scenes as they are now; not compared if None.
    """
    folder = plan.folder(run)
    error = read_error(folder)
    if not (folder / "record.json").exists():
        return RunState("failed" if error else "waiting", error)
    try:
        record = load_record(folder)
        check_same(folder, run, record, digests)
    except SegdoorError as why:
        return RunState("failed", str(why))
    try:
        left = missing_defenses(folder, run.defenses)
    except SegdoorError as why:
        return RunState("failed", str(why), record)
    repaired = run.defenses or all(study_row(record, spec) for spec in run.repairs.values())
    if repaired and not left:
        return RunState("done", None, record)
    return RunState("failed" if error else "waiting", error, record)


def check_same(
    folder: Path, run: PlannedRun, record: ExperimentRecord, digests: Digests | None
) -> None:
    """Refuse a record of other settings or scenes.

    Raises:
        DataError: If it is one.
    """
    remedy = "Name another --out, or delete that folder."
    network, loaded = run.config.network, record.loaded_weights
    there = config_from(record.config, source=folder / "record.json", recorded=True)
    # Start weights may have moved: they are compared by content.
    here = {
        name: place for name in START_WEIGHTS if isinstance(place := getattr(network, name), Path)
    }
    moved = there.network.model_copy(
        update={name: here[name] for name in here if isinstance(getattr(there.network, name), Path)}
    )
    attack = _as_planned(run.config.attack, _with_picture_of(run, folder, there.attack))
    there = there.model_copy(update={"network": moved, "attack": attack})
    if deciding(there) != deciding(run.config):
        raise DataError(folder, "must hold a record of this run", "other settings", remedy)
    known = {digest_of_start(file) for file in here.values() if file.is_file()}
    if loaded is not None and known and loaded.sha256 not in known:
        raise DataError(folder, "must hold a record of this run", "other start weights", remedy)
    found = record.data.train_digest, record.data.test_digest
    if digests is not None and found != digests:
        raise DataError(folder, "must hold a record of these scenes", "other scenes", remedy)


def _as_planned(here: AttackConfig, there: AttackConfig) -> AttackConfig:
    """Return a recorded attack in which what a plan leaves to the data set is open again."""
    trigger, labels = there.trigger, there.labels
    open_trigger = isinstance(here.trigger, Printed) and here.trigger.flat is None
    if open_trigger and isinstance(trigger, Printed):
        trigger = trigger.model_copy(update={"flat": None})
    if len(labels) == len(here.labels):
        pairs = zip(here.labels, labels, strict=True)
        labels = tuple(_with_open_target(planned, made) for planned, made in pairs)
    return there.model_copy(update={"trigger": trigger, "labels": labels})


def _with_open_target(planned: LabelChange, made: LabelChange) -> LabelChange:
    if not (isinstance(planned, Cooccurring) and isinstance(made, Cooccurring)):
        return made
    if planned.target == CHOSEN:
        return made.model_copy(update={"target": CHOSEN})
    return made


def _with_picture_of(run: PlannedRun, folder: Path, attack: AttackConfig) -> AttackConfig:
    """Return an attack with the trigger's picture where it is now, if the pixels are the same."""
    here, there = run.config.attack.trigger, attack.trigger
    if not (isinstance(here, Sticker) and isinstance(there, Sticker)):
        return attack
    if here.file is None or there.file is None:
        return attack
    stamped = PoisonPlan.load(folder / "plan.jsonl").header.trigger_digest
    if here.digest != stamped:
        return attack
    return attack.model_copy(update={"trigger": there.model_copy(update={"file": here.file})})


def digests_of(preset: Preset) -> Digests | None:
    """Return the digests of a preset's scenes; None if their folder is not known.

    Raises:
        SegdoorError: If the scenes cannot be used.
    """
    data = preset.data
    if lacks_root(data):
        return None
    return (
        load_dataset(data, data.train_split).digest,
        load_dataset(data, data.test_split).digest,
    )
