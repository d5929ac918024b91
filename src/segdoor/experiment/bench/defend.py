"""Measuring methods of defense on a finished run: what `segdoor defend` does."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Sequence
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import Any

from segdoor.defense.detectors.detector import Detector
from segdoor.defense.filters.filter import Filter
from segdoor.defense.purifiers.purifier import Purifier
from segdoor.defense.repairs.repair import Repair
from segdoor.errors import ConfigError, DataError
from segdoor.experiment.bench.case import BenchOptions, Case
from segdoor.experiment.bench.detecting import measure_detector
from segdoor.experiment.bench.filtering import measure_filter
from segdoor.experiment.bench.judging import judged
from segdoor.experiment.bench.kept import FOLDER, Kept
from segdoor.experiment.bench.methods import Method, sort_of
from segdoor.experiment.bench.purifying import measure_purifier
from segdoor.experiment.bench.repairing import check_learns, measure_repair
from segdoor.experiment.bench.rows import NO_PLAN, Rows, reason
from segdoor.experiment.bench.scanning import measure_scan
from segdoor.experiment.config import check_seed
from segdoor.experiment.logbook import Logbook
from segdoor.experiment.models import load_model
from segdoor.experiment.reopened import FinishedRun, Places, ReopenedRun, reopen
from segdoor.experiment.repair import Repairer
from segdoor.files import digest_of
from segdoor.locks import sole_writer
from segdoor.progress import Observer, Silent
from segdoor.record import save_record
from segdoor.record.defense import (
    DefenseRecord,
    DetectorEntry,
    Entry,
    FilterEntry,
    PurifierEntry,
    RepairEntry,
    ScanEntry,
    load_defenses,
)
from segdoor.scores.usefulness import LIMITS
from segdoor.victim.members import evaluating
from segdoor.victim.networks.registry import NETWORKS

FILE = "defenses.json"
"""What the bench leaves beside a run's record."""
_ENTRIES = {
    "repair": RepairEntry,
    "filter": FilterEntry,
    "detector": DetectorEntry,
    "purifier": PurifierEntry,
    "scan": ScanEntry,
}


def defend_run(
    run: Path,
    methods: Sequence[Method],
    *,
    options: BenchOptions | None = None,
    seed: int | None = None,
    model: str | None = None,
    places: Places | None = None,
    observer: Observer | None = None,
) -> DefenseRecord:
    """Measure methods of defense on a run, each beside its controls.

    Each row is saved as it ends, and what is there is not measured again, so a call that was
    killed is completed by the next one. A method that fails ends no other.

    Args:
        run: The run's folder, or its record.json.
        methods: What to measure, of any sort.
        options: How far the measuring goes.
        seed: Decides which clean scenes are drawn, and what is random in a method; the run's if
            None.
        model: The run's network, if it is one of the user's own, as package.module:factory: its
            code is run, and a record may come from anybody.
        places: What has moved since the run.
        observer: Hears of progress.

    Returns:
        The record of all methods that were ever measured on the run; it lies in defenses.json.

    Raises:
        SegdoorError: If the run is not intact, or its network is not named.
    """
    if seed is not None:
        check_seed(seed, option="--seed")
    folder = FinishedRun.of(run).folder
    with sole_writer(folder, culprit=f"run {folder}"):
        finished = FinishedRun.of(folder)
        seed = finished.record.seed if seed is None else seed
        bench = _Bench(finished, options or BenchOptions(), seed, observer or Silent())
        bench.measure(list(dict.fromkeys(methods)), model, places or Places())
        return bench.defenses


class _Bench:
    def __init__(
        self, run: FinishedRun, options: BenchOptions, seed: int, observer: Observer
    ) -> None:
        self.run, self.options, self.seed = run, options, seed
        self.folder, self.record, self.config = run.folder, run.record, run.config
        self.log = Logbook(observer)
        self.nulls = [_digest(path) for path in options.null_models]
        told = json.dumps(run.record.config, sort_keys=True)
        self.subject = hashlib.sha256(told.encode()).hexdigest()
        self.defenses = self._opened()

    def measure(self, methods: Sequence[Method], model: str | None, places: Places) -> None:
        kept = {method: self._kept(method) for method in methods}
        waiting = [method for method in methods if kept[method].entry is None]
        for method in methods:
            entry = kept[method].entry
            if entry is not None:
                self._add(entry)
        if waiting:
            known = NETWORKS.known.get(self.config.network.name)
            opened = reopen(self.run, model, places, self.log)
            repairer = Repairer(opened, self.log)
            case = self._case(opened, repairer)
            learns = known is None or known.learns
            for method in waiting:
                entry = self._measured(method, case, kept[method], repairer, learns=learns)
                kept[method].finish(entry)
                self._add(entry)
                self._save()
        self._save()

    def _kept(self, method: Method) -> Kept:
        data = self.record.data
        facts = {
            "options": self.options.deciding,
            "null models": self.nulls,
            "run": (self.subject, data.train_digest, data.test_digest),
            "clean model": self.record.controls.clean_model is not None,
            "limits": asdict(LIMITS),
        }
        extras = self.options.extras(sort_of(method))
        return Kept(self.folder, self._explicit(method), self.seed, facts, extras)

    def _explicit(self, method: Method) -> Any:  # noqa: ANN401 - of the method's own class
        return method.resolved(self.config.training) if isinstance(method, Repair) else method

    def _case(self, opened: ReopenedRun, repairer: Repairer) -> Case:
        config, classes = opened.config, opened.train.classes
        case = Case(
            folder=self.folder,
            config=config,
            seed=self.seed,
            train=opened.train,
            plan=opened.plan,
            tests=opened.tests,
            models=opened.models,
            before=repairer.before,
            options=self.options,
            log=self.log,
            null_models=[
                evaluating(load_model(config, path, classes)) for path in self.options.null_models
            ],
        )
        # A test of another name is the caller's mistake, and no failure of a method.
        assert case.test.name
        return case

    def _measured(
        self, method: Method, case: Case, kept: Kept, repairer: Repairer, *, learns: bool
    ) -> Entry:
        rows, failed = Rows(method, case, kept), None
        try:
            _measure(method, rows, repairer, learns=learns)
        except Exception as why:  # noqa: BLE001 - a method may raise anything, and ends no other
            failed = reason(why)
        shutil.rmtree(self.folder / FOLDER / kept.name / "work", ignore_errors=True)
        entry = rows.entry
        if entry is None:
            return _not_run(method, failed or "it left nothing", self.seed)
        verdict, conditions = judged(sort_of(method), rows.found)
        update = {
            "seed": self.seed, "measured": tuple(rows.found), "useful": verdict,
            "conditions": conditions,
        }  # fmt: skip
        return entry.model_copy(update=update)

    def _opened(self) -> DefenseRecord:
        path = self.folder / FILE
        fresh = DefenseRecord(
            segdoor=version("segdoor"), subject=self.subject, seed=self.record.seed,
            limits=asdict(LIMITS), entries=(),
        )  # fmt: skip
        if not path.exists():
            return fresh
        found = load_defenses(path)
        if found.subject != self.subject:
            raise DataError(
                path, "must be of this run", "other settings",
                "Delete the file and the folder defenses: they are of another run.",
            )  # fmt: skip
        return fresh.model_copy(update={"entries": found.entries})

    def _add(self, entry: Entry) -> None:
        def name(one: Entry) -> tuple[object, ...]:
            return one.plugin, json.dumps(one.settings, sort_keys=True), one.seed

        entries = [entry if name(one) == name(entry) else one for one in self.defenses.entries]
        entries = entries if entry in entries else [*entries, entry]
        self.defenses = self.defenses.model_copy(update={"entries": tuple(entries)})

    def _save(self) -> None:
        save_record(self.defenses, self.folder / FILE)


def _measure(method: Method, rows: Rows, repairer: Repairer, *, learns: bool) -> None:
    if isinstance(method, Repair):
        check_learns(rows.case, learns=learns)
        measure_repair(method, rows, repairer)
    elif isinstance(method, Filter):
        plan = rows.case.plan
        if plan is None:
            raise ConfigError(
                method.kind, "needs a run that poisoned a training set", NO_PLAN,
                "Measure it on a run of segdoor run.",
            )  # fmt: skip
        measure_filter(method, plan, rows)
    elif isinstance(method, Detector):
        measure_detector(method, rows)
    elif isinstance(method, Purifier):
        measure_purifier(method, rows)
    else:
        measure_scan(method, rows)


def _not_run(method: Method, why: str, seed: int) -> Entry:
    settings = method.settings if isinstance(method, Repair) else method.model_dump(mode="json")
    return _ENTRIES[sort_of(method)](
        plugin=str(method), settings=settings, does=method.introduction.does, not_run=why,
        seed=seed,
    )  # fmt: skip


def _digest(path: Path) -> str:
    if not path.is_file():
        raise ConfigError(
            "--null", "must name weights of clean models", path, "Train one: segdoor train."
        )
    return digest_of(path)
