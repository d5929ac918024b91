"""A study with all choices made: its runs, and where they are written."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cache, cached_property, partial
from pathlib import Path

from segdoor.attack.config import AttackConfig
from segdoor.errors import ConfigError, SegdoorError
from segdoor.experiment.config import Reading, check_seed
from segdoor.record import load_study as load_study_record
from segdoor.study.checking import check_settings
from segdoor.study.config import Preset, Study
from segdoor.study.contents import attack_tree, network_tree, without_former_defaults
from segdoor.study.expand import OF_RUNS, PlannedRun, Point, expand, fingerprint
from segdoor.study.library import label_of, load_preset, load_study, preset_names, study_names
from segdoor.study.paper import AnyPaper
from segdoor.victim.config import NetworkConfig


@dataclass(frozen=True)
class StudyPlan:
    """A study on a preset, in a folder that it shares with other studies.

    Attributes:
        paper: The paper it is of.
        name: Name of the study.
        preset_name: Name of the preset.
        study: What varies.
        preset: What it is run on, with all changes.
        reading: Which reading of the paper.
        seeds: Seeds of every point.
        changes: What differs from the preset's file, as given.
        out: The folder of studies.
        runs: Every run of the grid.
        version: Of readings and recipes, see `Paper.before`.
    """

    paper: AnyPaper
    name: str
    preset_name: str
    study: Study
    preset: Preset
    reading: Reading
    seeds: tuple[int, ...]
    changes: tuple[str, ...]
    out: Path
    runs: tuple[PlannedRun, ...]
    version: int = 1

    @cached_property
    def file(self) -> Path:
        """Return where the study's record goes.

        Other readings, and studies and presets that differ from the built-in ones of the same
        names, have their own files.
        """
        parts = [self.name, self.preset_name]
        parts += ["official"] if self.reading == "official" else []
        mark = _mark(self.study, self.preset)
        known = self.name in study_names(self.paper) and self.preset_name in preset_names(
            self.paper
        )
        if not known or mark != _mark_of(self.paper, self.name, self.preset_name):
            parts.append(mark[:6])
        return self.out / f"{'.'.join(parts)}.study.json"

    def folder(self, run: PlannedRun) -> Path:
        """Return where a run's record goes."""
        return self.out / "runs" / run.key


def make_plan(
    paper: AnyPaper,
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
        paper: The paper it is of.
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
    found = load_preset(paper, preset, changes)
    if root is not None:
        data = found.data.model_copy(update={"root": root})
        found = found.model_copy(update={"data": data})
    if backbone is not None:
        networks = {
            name: network and network.model_copy(update={"backbone_weights": backbone})
            for name, network in found.networks.items()
        }
        found = found.model_copy(update={"networks": networks})
    plan = StudyPlan(
        paper=paper,
        name=label_of(study),
        preset_name=label_of(preset),
        study=load_study(paper, study),
        preset=found,
        reading=reading,
        seeds=(),
        changes=tuple(changes),
        out=out,
        runs=(),
    )
    plan = _with_runs(plan, {*found.seeds, *seeds})
    check_settings(paper, plan.study, plan.preset, plan.runs)
    return plan


def _with_runs(plan: StudyPlan, seeds: set[int]) -> StudyPlan:
    """Return a plan with its runs, including seeds requested by earlier calls."""
    told = tuple(sorted(seeds | _seeds_in(plan.out / "runs")))
    # A grid may be long, and is expanded once for each version that is tried.
    runs_of = cache(partial(_runs, plan, told))
    version = _version_of(plan, runs_of)
    runs = tuple(run for run in runs_of(version) if run.seed in seeds or _is_there(plan, run))
    return replace(
        plan, runs=runs, seeds=tuple(sorted({run.seed for run in runs})), version=version
    )


def _version_of(plan: StudyPlan, runs_of: Callable[[int], tuple[PlannedRun, ...]]) -> int:
    """Return the version that a study was begun with, from its record or its runs."""
    if plan.file.exists():
        with suppress(SegdoorError):
            return load_study_record(plan.file).settings_version
    newest = plan.paper.newest
    for version in range(newest, 0, -1) if (plan.out / "runs").is_dir() else ():
        if any(_is_there(plan, run) for run in runs_of(version)):
            return version
    return newest


def _runs(plan: StudyPlan, seeds: tuple[int, ...], version: int) -> tuple[PlannedRun, ...]:
    return expand(
        plan.paper.places(plan.study, plan.preset, plan.reading),
        plan.study,
        plan.preset,
        plan.paper.layer,
        reading=plan.reading,
        seeds=seeds,
        before=plan.paper.before(version, plan.reading, plan.preset.recipe),
    )


def left_out(plan: StudyPlan) -> tuple[Point, ...]:
    """Return the points that a study's preset lacks a network or class for."""
    places = plan.paper.places(plan.study, plan.preset, plan.reading)
    return tuple(place.point for place in places if place.given is None)


def _is_there(plan: StudyPlan, run: PlannedRun) -> bool:
    return (plan.folder(run) / "record.json").exists()


def _mark_of(paper: AnyPaper, study: str, preset: str) -> str:
    return _mark(load_study(paper, study), load_preset(paper, preset))


def _mark(study: Study, preset: Preset) -> str:
    """Return a hash of a study and a preset, without the locations of files."""
    trees = {
        name: network and network_tree(NetworkConfig.model_validate(network.tree()), brief=True)
        for name, network in preset.networks.items()
    }
    sections = {name: getattr(preset, name).alone() for name in OF_RUNS if name != "attack"}
    left_out = {"data": {"root"}, "networks": True, **dict.fromkeys(OF_RUNS, True)}
    rest = preset.model_dump(mode="json", exclude=left_out, exclude_defaults=True)
    told_of = {n: s.model_dump(mode="json", exclude_defaults=True) for n, s in sections.items()}
    rest |= without_former_defaults(told_of)
    attack = attack_tree(AttackConfig.model_validate(preset.attack.tree()), brief=True)
    varied = study.model_dump(mode="json", exclude={"paper"}, exclude_defaults=True)
    told = [varied, rest, trees]
    return fingerprint([*told, attack] if attack else told)


def _seeds_in(folder: Path) -> set[int]:
    """Return the seeds in the names of runs."""
    names = [path.name for path in folder.iterdir()] if folder.is_dir() else []
    found = (re.search(r"-s(\d+)-[0-9a-f]{10}$", name) for name in names)
    return {int(match[1]) for match in found if match}


def selected(
    plan: StudyPlan, *, only: Mapping[str, Sequence[str]], seeds: Sequence[int] = ()
) -> tuple[PlannedRun, ...]:
    """Return the runs whose axes have one of the requested values.

    Args:
        plan: The study.
        only: Values by axis, as text; an axis without a value, such as Q without PRL, passes.
        seeds: Requested seeds; all of them if left out.

    Raises:
        ConfigError: If there is no such axis, or no run is left.
    """
    runs = plan.runs
    for axis, values in only.items():
        known = {_text(run.point.model_dump().get(axis)) for run in plan.runs}
        if axis not in plan.runs[0].point.model_dump():
            axes = ", ".join(plan.runs[0].point.model_dump())
            raise ConfigError("--only", "must name an axis", axis, f"Axes: {axes}.")
        if unknown := set(values) - known:
            there = ", ".join(f"'{v}'" if "," in v else v for v in sorted(known - {""}))
            remedy = f"Known: {there}." if there else f"Leave it out: this study has no {axis}."
            raise ConfigError(
                f"--only {axis}", "must name values of the study", min(unknown), remedy
            )
        runs = tuple(r for r in runs if _text(r.point.model_dump()[axis]) in {*values, ""})
    runs = tuple(run for run in runs if not seeds or run.seed in seeds)
    if not runs:
        raise ConfigError("--only", "must leave at least one run", dict(only), "Use fewer filters.")
    return runs


def part_of(plan: StudyPlan, runs: Sequence[PlannedRun]) -> StudyPlan:
    """Return the study reduced to some of its runs."""
    seeds = tuple(sorted({run.seed for run in runs}))
    return replace(plan, runs=tuple(runs), seeds=seeds)


def _text(value: object) -> str:
    """Return a value as it is written on the command line."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    return f"{value:g}" if isinstance(value, float) else str(value)
