"""A study with all its choices made: its runs, where they go, and how far they are."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Literal

from segdoor.attack.config import AttackConfig
from segdoor.attack.plan import PoisonPlan
from segdoor.attack.trigger import load_trigger
from segdoor.data.load import load_dataset
from segdoor.errors import ConfigError, DataError, SegdoorError
from segdoor.experiment.config import Reading, check_seed, config_from
from segdoor.record import ExperimentRecord, load_record
from segdoor.study.checking import check_settings
from segdoor.study.config import Preset, Study
from segdoor.study.execution import read_error
from segdoor.study.expand import PlannedRun, deciding, expand, fingerprint
from segdoor.study.library import label_of, load_preset, load_study, preset_names, study_names
from segdoor.study.repairs import study_row
from segdoor.study.start import START, attack_tree, digest_of_start, network_tree

Digests = tuple[str, str]
"""Of the training scenes, and of the test scenes."""


@dataclass(frozen=True)
class StudyPlan:
    """A study on a preset, in a folder that it shares with other studies.

    Attributes:
        name: Name of the study.
        preset_name: Name of the preset.
        study: What varies.
        preset: What it is run on, with all changes.
        reading: Which reading of the paper.
        seeds: Seeds of every point.
        changes: What differs from the preset's file, as given.
        out: The folder of studies.
        runs: Every run of the grid.
    """

    name: str
    preset_name: str
    study: Study
    preset: Preset
    reading: Reading
    seeds: tuple[int, ...]
    changes: tuple[str, ...]
    out: Path
    runs: tuple[PlannedRun, ...]

    @cached_property
    def file(self) -> Path:
        """Return where the study's record goes.

        Other readings, and studies and presets that differ from those that come along under these
        names, have files of their own.
        """
        parts = [self.name, self.preset_name]
        parts += ["official"] if self.reading == "official" else []
        mark = _mark(self.study, self.preset)
        known = self.name in study_names() and self.preset_name in preset_names()
        if not known or mark != _mark(load_study(self.name), load_preset(self.preset_name)):
            parts.append(mark[:6])
        return self.out / f"{'.'.join(parts)}.study.json"

    def folder(self, run: PlannedRun) -> Path:
        """Return where a run's record goes."""
        return self.out / "runs" / run.key


@dataclass(frozen=True)
class RunState:
    """How far a run is.

    Attributes:
        state: Done with all its repairs, failed at the last attempt, or neither.
        error: Why it failed.
        record: Its record, if there is a valid one; repairs may be missing in it.
    """

    state: Literal["done", "failed", "waiting"]
    error: str | None = None
    record: ExperimentRecord | None = None


def make_plan(
    study: str,
    preset: str,
    *,
    out: Path,
    reading: Reading = "paper",
    seeds: Sequence[int] = (),
    root: Path | None = None,
    backbone: Path | None = None,
    changes: Sequence[str] = (),
) -> StudyPlan:
    """Read a study and a preset, and decide everything.

    Args:
        study: Name or path of the study.
        preset: Name or path of the preset.
        out: The folder of studies.
        reading: Which reading of the paper.
        seeds: Further seeds beside the preset's.
        root: Folder of the data set.
        backbone: ImageNet weights for the preset's networks.
        changes: Settings that differ from the preset's file, as ``training.epochs=2``.

    Raises:
        SegdoorError: If a file or a value in it breaks a rule.
    """
    for seed in seeds:
        check_seed(seed, option="--seeds")
    found = load_preset(preset, changes)
    if root is not None:
        data = found.data.model_copy(update={"root": root})
        found = found.model_copy(update={"data": data})
    if backbone is not None:
        networks = {
            name: network and network.model_copy(update={"backbone_weights": backbone})
            for name, network in found.networks.items()
        }
        found = found.model_copy(update={"networks": networks})
    loaded, every = load_study(study), {*found.seeds, *seeds}
    # Runs on seeds that an earlier call asked for stay part of the study.
    told = tuple(sorted(every | _seeds_in(out / "runs")))
    runs = tuple(
        run
        for run in expand(loaded, found, reading=reading, seeds=told)
        if run.seed in every or (out / "runs" / run.key / "record.json").exists()
    )
    plan = StudyPlan(
        name=label_of(study),
        preset_name=label_of(preset),
        study=loaded,
        preset=found,
        reading=reading,
        seeds=tuple(sorted({run.seed for run in runs})),
        changes=tuple(changes),
        out=out,
        runs=runs,
    )
    check_settings(plan.study, plan.preset, plan.runs)
    return plan


def _mark(study: Study, preset: Preset) -> str:
    """Return a hash of a study and a preset; where scenes, weights, pictures lie has no part."""
    trees = {
        name: network and network_tree(network, brief=True)
        for name, network in preset.networks.items()
    }
    places = {"data": {"root"}, "networks": True, "attack": True}
    rest = preset.model_dump(mode="json", exclude=places, exclude_defaults=True)
    attack = attack_tree(preset.attack, brief=True)
    told = [study.model_dump(mode="json", exclude_defaults=True), rest, trees]
    return fingerprint([*told, attack] if attack else told)


def _seeds_in(folder: Path) -> set[int]:
    """Return the seeds that names of runs tell."""
    names = [path.name for path in folder.iterdir()] if folder.is_dir() else []
    found = (re.search(r"-s(\d+)-[0-9a-f]{10}$", name) for name in names)
    return {int(match[1]) for match in found if match}


def selected(
    plan: StudyPlan, *, only: Mapping[str, Sequence[str]], seeds: Sequence[int] = ()
) -> tuple[PlannedRun, ...]:
    """Return the runs whose axes have one of the values asked for.

    Args:
        plan: The study.
        only: Values by axis, as text; an axis without a value, such as Q without PRL, passes.
        seeds: Seeds asked for; all of them if left out.

    Raises:
        ConfigError: If there is no such axis, or no run is left.
    """
    runs = plan.runs
    for axis, values in only.items():
        known = {_text(run.point.model_dump().get(axis)) for run in plan.runs}
        if axis not in type(plan.runs[0].point).model_fields:
            axes = ", ".join(type(plan.runs[0].point).model_fields)
            raise ConfigError("--only", "must name an axis", axis, f"Axes: {axes}.")
        if unknown := set(values) - known:
            there = ", ".join(sorted(known - {""}))
            remedy = f"Known: {there}." if there else f"Leave it out: this study has no {axis}."
            raise ConfigError(
                f"--only {axis}", "must name values of the study", min(unknown), remedy
            )
        runs = tuple(r for r in runs if _text(r.point.model_dump()[axis]) in {*values, ""})
    runs = tuple(run for run in runs if not seeds or run.seed in seeds)
    if not runs:
        raise ConfigError("--only", "must leave a run", dict(only), "Ask for less at once.")
    return runs


def part_of(plan: StudyPlan, runs: Sequence[PlannedRun]) -> StudyPlan:
    """Return the study as if some of its runs were all of them."""
    seeds = tuple(sorted({run.seed for run in runs}))
    return replace(plan, runs=tuple(runs), seeds=seeds)


def state_of(plan: StudyPlan, run: PlannedRun, digests: Digests | None = None) -> RunState:
    """Return how far a run is, by what lies in its folder.

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
    if all(study_row(record, repair) for repair in run.repairs.values()):
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
    there = config_from(record.config, source=folder / "record.json")
    # Start weights may have moved since: they are compared by content.
    here = {name: place for name in START if isinstance(place := getattr(network, name), Path)}
    moved = there.network.model_copy(
        update={name: here[name] for name in here if isinstance(getattr(there.network, name), Path)}
    )
    attack = _with_picture_of(run, folder, there.attack)
    there = there.model_copy(update={"network": moved, "attack": attack})
    if deciding(there) != deciding(run.config):
        raise DataError(folder, "must hold a record of this run", "other settings", remedy)
    known = {digest_of_start(file) for file in here.values() if file.is_file()}
    if loaded is not None and known and loaded.sha256 not in known:
        raise DataError(folder, "must hold a record of this run", "other start weights", remedy)
    found = record.data.train_digest, record.data.test_digest
    if digests is not None and found != digests:
        raise DataError(folder, "must hold a record of these scenes", "other scenes", remedy)


def _with_picture_of(run: PlannedRun, folder: Path, attack: AttackConfig) -> AttackConfig:
    """Return an attack with the trigger's picture where it is now, if the pixels are the same."""
    file = run.config.attack.trigger.file
    if file is None or attack.trigger.file is None:
        return attack
    stamped = PoisonPlan.load(folder / "plan.jsonl").header.trigger_digest
    if load_trigger(run.config.attack.trigger).digest != stamped:
        return attack
    return attack.model_copy(update={"trigger": attack.trigger.model_copy(update={"file": file})})


def digests_of(preset: Preset) -> Digests | None:
    """Return the digests of a preset's scenes; None if nobody said where they lie.

    Raises:
        SegdoorError: If the scenes cannot be used.
    """
    data = preset.data
    if data.name != "street" and data.root is None:
        return None
    return (
        load_dataset(data, data.train_split).digest,
        load_dataset(data, data.test_split).digest,
    )


def _text(value: object) -> str:
    """Return a value as it is written on the command line."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    return f"{value:g}" if isinstance(value, float) else str(value)
