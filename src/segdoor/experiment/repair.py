"""Repairs of the models of a finished run, whose effects are added to its record."""

from __future__ import annotations

import hashlib
import json
import re
import time
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path

from torch import nn

from segdoor.data.subset import Subset
from segdoor.defense.clean import clean_scenes
from segdoor.defense.repairs.repair import Repair, RepairContext
from segdoor.errors import DataError
from segdoor.evaluation.examine import examine_together
from segdoor.experiment.config import check_seed
from segdoor.experiment.examination import examine_models
from segdoor.experiment.logbook import Logbook
from segdoor.experiment.models import IN_WORDS, load_model, remark_of
from segdoor.experiment.recording import make_scorer
from segdoor.experiment.reopened import FinishedRun, Places, ReopenedRun, reopen
from segdoor.experiment.repair_scores import check_agreement, effect_of
from segdoor.experiment.scenes import labels_to_count
from segdoor.locks import sole_writer
from segdoor.progress import Observer, Silent
from segdoor.record import ExperimentRecord, ModelEffect, RepairRecord, save_record
from segdoor.record.figures import Json
from segdoor.scores.tables import TableSet, load_tables, save_tables
from segdoor.settings import Settings, validated
from segdoor.victim.checkpoint import save_weights
from segdoor.victim.config import network_text
from segdoor.victim.logits import classes_of
from segdoor.victim.members import evaluating
from segdoor.victim.training.fingerprint import recipe_text, weights_digest

_EXACT = 1e-9
# Tolerance for poisoned tests that are run again on another device.
_BY_ROUNDING = 5e-3


def repair_run(
    run: Path,
    repairs: Sequence[Repair],
    *,
    seed: int | None = None,
    model: str | None = None,
    places: Places | None = None,
    observer: Observer | None = None,
) -> ExperimentRecord:
    """Repair the models of a run, run its tests again, and add the results to its record.

    Each repair is saved when it ends, and finished ones are not repeated, so an interrupted call
    resumes when it is made again.

    Args:
        run: The run's folder, or its record.json.
        repairs: The repairs, each applied to the original models of the run.
        seed: Decides which clean scenes are drawn, and what is random in a repair; the run's if
            None.
        model: The run's network, if it is the user's own, as package.module:factory: its code is
            run, and a record is not trusted.
        places: What has moved since the run.
        observer: Receives progress.

    Returns:
        The record with all its repairs.

    Raises:
        SegdoorError: If the run is not intact, its network is not named, or a repair cannot be
            done; earlier repairs are kept.
    """
    if seed is not None:
        check_seed(seed, option="--seed")
    # Anything that is not a run is refused before its folder is changed.
    folder = FinishedRun.of(run).folder
    with sole_writer(folder, culprit=f"run {folder}"):
        finished = FinishedRun.of(folder)
        record, training = finished.record, finished.config.training
        seed = record.seed if seed is None else seed
        operations = [
            Operation(repair, repair.resolved(training), seed) for repair in dict.fromkeys(repairs)
        ]
        waiting = [operation for operation in operations if not operation.is_done(folder, record)]
        if waiting:
            log = Logbook(observer or Silent())
            opened = reopen(finished, model, places or Places(), log, learns=True)
            record = Repairer(opened, log).repair(waiting)
    return record


class Operation:
    """A repair with a seed, and where its files are."""

    def __init__(self, repair: Repair, explicit: Repair, seed: int) -> None:
        """Name a repair, the same with every setting explicit, and its seed."""
        self.repair, self.explicit, self.seed = repair, explicit, seed
        self.settings: Json = explicit.settings
        words = re.sub(r"[^A-Za-z0-9._]+", "-", str(repair))
        self.place = f"repaired/{words}.seed-{seed}"

    def made(self, row: RepairRecord) -> bool:
        """Tell whether a row is of this repair with these settings and this seed."""
        same = (str(self.repair), self.settings, self.seed)
        return (row.repair, row.settings, row.seed) == same

    def is_done(self, folder: Path, record: ExperimentRecord) -> bool:
        """Tell whether its row exists, and the tables behind it."""
        tables = folder / self.place / "tables.npz"
        return tables.is_file() and any(self.made(row) for row in record.repairs)


class _Remark(Settings):
    """The header of repaired weights, which also holds the name of the network."""

    fingerprint: str
    """Hash of everything that the weights depend on."""
    config: Json
    """The configuration of the run."""
    repair: str
    """The repair as it is written."""
    layer: str | None
    """The layer that was changed."""
    seconds: float
    """Wall time of the repair."""
    remarks: tuple[str, ...] = ()
    """What was done."""
    forward: int | None = None
    """Images that the model was shown."""
    backward: int | None = None
    """Images that gradients were asked for."""


class Repairer:
    """Repairs the models of one run, and updates its record."""

    def __init__(self, opened: ReopenedRun, log: Logbook) -> None:
        """Begin with the record as it is."""
        self.opened, self.log = opened, log
        self.record = opened.record
        self.scorer = make_scorer(opened.config, opened.tests.benign.classes, ())

    def repair(self, operations: Sequence[Operation]) -> ExperimentRecord:
        """Do repairs one after the other, and return the record with all of them."""
        before = self._effects(self.before)
        for operation in operations:
            self._keep(operation, self._row(operation, before))
        return self.record

    def _row(self, operation: Operation, before: Mapping[str, ModelEffect]) -> RepairRecord:
        share, seed = operation.explicit.share, operation.seed
        clean = clean_scenes(self.opened.train, share, seed=seed)
        models: dict[str, nn.Module] = {}
        remarks: dict[str, _Remark] = {}
        for name in self.opened.models:
            models[name], remarks[name] = self._repaired(name, operation, clean)
        with self.log.stage(f"examining after {operation.repair}"):
            tables = self._examine(models)
        save_tables(self.opened.folder / operation.place / "tables.npz", tables)
        after = self._effects(tables)
        poisoned, control = remarks["poisoned"], remarks.get("clean")
        return RepairRecord(
            repair=str(operation.repair),
            settings=operation.settings,
            seed=seed,
            num_clean_scenes=len(clean),
            layer=poisoned.layer,
            poisoned_before=before["poisoned"],
            poisoned_after=after["poisoned"],
            clean_before=before.get("clean"),
            clean_after=after.get("clean"),
            seconds=poisoned.seconds,
            remarks=poisoned.remarks,
            remarks_clean=control.remarks if control else (),
            forward=poisoned.forward,
            backward=poisoned.backward,
        )

    def _keep(self, operation: Operation, row: RepairRecord) -> None:
        rows = [row if operation.made(other) else other for other in self.record.repairs]
        after = f"after {row.repair}, seed {row.seed}"
        files = {f"tables {after}": f"{operation.place}/tables.npz"} | {
            f"weights of the {IN_WORDS[name]} {after}": f"{operation.place}/{name}.safetensors"
            for name in self.opened.models
        }
        self.record = self.record.model_copy(
            update={
                "repairs": tuple(rows if row in rows else [*rows, row]),
                "files": {**self.record.files, **files},
            }
        )
        save_record(self.record, self.opened.folder / "record.json")

    def _repaired(
        self, name: str, operation: Operation, clean: Subset
    ) -> tuple[nn.Module, _Remark]:
        """Repair a model, or load what an earlier call finished."""
        opened, model = self.opened, self.opened.models[name]
        weights = opened.folder / operation.place / f"{name}.safetensors"
        mark = self._fingerprint(model, operation, clean)
        snapshot = weights.with_suffix(".snapshot")
        found = remark_of(weights) if weights.exists() else {}
        if found.get("fingerprint") == mark:
            # Left by a call that was killed right after writing its weights.
            snapshot.unlink(missing_ok=True)
            remark = validated(_Remark, found, source=weights)
            return evaluating(load_model(opened.config, weights, clean.classes)), remark
        context = RepairContext(
            network=opened.config.network,
            recipe=opened.config.training,
            seed=operation.seed,
            observer=self.log,
            snapshot=snapshot,
        )
        start = time.perf_counter()
        with self.log.stage(f"{operation.repair}, {IN_WORDS[name]}"):
            repaired = operation.explicit(model, clean, context)
        remark = _Remark(
            fingerprint=mark,
            config=self.record.config,
            repair=str(operation.repair),
            layer=repaired.layer,
            seconds=round(time.perf_counter() - start, 3),
            remarks=repaired.remarks,
            forward=None if repaired.passes is None else repaired.passes.forward,
            backward=None if repaired.passes is None else repaired.passes.backward,
        )
        names = classes_of(repaired.model, clean.classes.names)
        save_weights(repaired.model, weights, about=remark.model_dump_json(), classes=names)
        snapshot.unlink(missing_ok=True)
        return repaired.model, remark

    def _fingerprint(self, model: nn.Module, operation: Operation, clean: Subset) -> str:
        config, repair = self.opened.config, operation.repair
        parts = (
            weights_digest(model),
            clean.digest,
            (repair.kind, json.dumps(operation.settings), operation.seed),
            network_text(config.network, only=("name", "mean", "std", "channels")),
            recipe_text(config.training, exclude=("device",)),
        )
        return hashlib.sha256(repr(parts).encode()).hexdigest()

    @cached_property
    def before(self) -> dict[str, TableSet]:
        """The run's tables; if they are missing, the models are examined again."""
        path = self.opened.folder / "tables.npz"
        if path.exists():
            tables = load_tables(path)
            check_agreement(self._effects(tables), self.record, source=path, margin=_EXACT)
            self._check_clean(tables)
            return tables
        with self.log.stage("examining before repairs"):
            tables = self._examine(self.opened.models)
        effects = self._effects(tables)
        check_agreement(effects, self.record, source=path.parent, margin=_BY_ROUNDING)
        save_tables(path, tables)
        return tables

    def _check_clean(self, tables: Mapping[str, TableSet]) -> None:
        """Refuse a clean model that neither weights nor predictions identify as the run's."""
        opened, name, config = self.opened, "clean/benign", self.opened.config
        if opened.doubted is None:
            return
        shown = {name: (opened.models["clean"], opened.tests.benign)}
        with self.log.stage("examining the clean model"):
            again = examine_together(
                shown,
                config.examination,
                network=config.network,
                observer=self.log,
                labels=labels_to_count(config),
            )
        if again[name].digest != tables[name].digest:
            raise DataError(
                opened.doubted,
                "must be the run's clean model",
                "predictions differ from tables.npz",
                "Restore it. If only the machine differs, delete tables.npz: all tests are run"
                " again.",
            )

    def _examine(self, models: Mapping[str, nn.Module]) -> dict[str, TableSet]:
        return examine_models(self.opened.config, models, self.opened.tests, self.log)

    def _effects(self, tables: Mapping[str, TableSet]) -> dict[str, ModelEffect]:
        tests = self.opened.tests.tests
        return {name: effect_of(name, tables, self.scorer, tests) for name in self.opened.models}
