"""Checks before any work: settings that no run can have, and missing folders."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable
from pathlib import Path

from segdoor.attack.config import AttackConfig
from segdoor.attack.labels.change import CHOSEN
from segdoor.data.load import data_set, load_dataset
from segdoor.errors import ConfigError, StorageError
from segdoor.study.config import Preset, Study
from segdoor.study.expand import PlannedRun
from segdoor.study.paper import AnyPaper


def check_settings(
    paper: AnyPaper, study: Study, preset: Preset, runs: Iterable[PlannedRun]
) -> None:
    """Refuse settings that would fail in every run; no scene files are read.

    Raises:
        ConfigError: If a class, a table, a claim or a sticker is unknown, or a trigger does
            not fit into the scenes.
        DataError: If the trigger's picture cannot be read.
    """
    for name, asked, known in (
        ("tables", study.tables, paper.tables),
        ("claims", study.claims, tuple(paper.orderings)),
    ):
        for one in asked:
            if one not in known:
                told = ", ".join(map(str, known))
                raise ConfigError(name, f"must be {name} of the paper", one, f"Known: {told}.")
    classes = data_set(preset.data).classes
    if classes is not None:
        check_classes(runs, classes.names)
    for run in runs:
        trigger = run.config.attack.trigger
        # Any problem with it shows when its digest is computed.
        side = max(trigger.extent or (0,)) if trigger.digest else 0
        if preset.data.size is not None and side >= min(preset.data.size):
            height, width = preset.data.size
            raise ConfigError(
                f"trigger {run.point.model_dump().get('trigger', side)}",
                "must be smaller than the scenes",
                f"{side} pixels in scenes of {height}x{width}",
                "Lower it, or raise data.size.",
            )


def check_classes(runs: Iterable[PlannedRun], known: Iterable[str]) -> None:
    """Refuse victim and target classes that the scenes do not have.

    Raises:
        ConfigError: If there is one.
    """
    names = tuple(known)
    for run in runs:
        attack = run.config.attack
        for axis, asked in _named(attack):
            for name in asked:
                if name not in names:
                    rule = f"must be a class of '{run.config.data.name}'"
                    raise ConfigError(axis, rule, name, f"Known: {', '.join(names)}.")


def _named(attack: AttackConfig) -> Iterable[tuple[str, Iterable[str]]]:
    yield "victims", attack.victims
    # A target class that is chosen from the training scenes is not known before they are read.
    yield "target", [target for _, target in attack.pairs if target != CHOSEN]


def check_scenes(preset: Preset, runs: Iterable[PlannedRun]) -> None:
    """Refuse scenes that cannot be opened, or lack a class.

    Raises:
        ConfigError: If a setting of the data set is wrong, or it lacks a class.
        DataError: If its files cannot be used.
    """
    for split in (preset.data.train_split, preset.data.test_split):
        scenes = load_dataset(preset.data, split)
    check_classes(runs, scenes.classes.names)


def check_out(out: Path) -> None:
    """Make the folder of studies, and refuse it if it is not writable.

    Raises:
        StorageError: If it is not writable.
    """
    try:
        out.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=out):
            pass
    except OSError as why:
        raise StorageError(
            f"--out {out}", "must be a writable folder", why.strerror, "Name another."
        ) from None
