"""Running a study: finished runs are kept, failed ones retried, missing ones made."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from segdoor.data.load import lacks_root
from segdoor.errors import ConfigError
from segdoor.locks import sole_writer
from segdoor.record import StudyRecord, save_record
from segdoor.study.collect import collect
from segdoor.study.execution import Task
from segdoor.study.expand import PlannedRun, distinct
from segdoor.study.plan import StudyPlan
from segdoor.study.sharing import tasks_for
from segdoor.study.state import Digests, digests_of, state_of

_PATIENCE = 600.0
"""Seconds to wait for another call: writing a record takes moments."""


@dataclass(frozen=True)
class Work:
    """The work of a call.

    Attributes:
        tasks: The missing tasks, each after those it needs.
        num_asked: Requested runs; points of a grid with the same settings are one run.
        num_done: Those already done.
        refused: Why runs cannot be made, by their key: their folders contain something else.
        digests: Of the scenes, if there was anything to compare them with.
    """

    tasks: tuple[Task, ...]
    num_asked: int
    num_done: int
    refused: dict[str, str]
    digests: Digests | None


def work_of(plan: StudyPlan, runs: Sequence[PlannedRun], *, limit: int | None = None) -> Work:
    """Return the missing tasks of some runs of a study, for at most ``limit`` runs.

    Raises:
        SegdoorError: If the scenes cannot be used.
    """
    runs = distinct(runs)
    there = any((plan.folder(run) / "record.json").exists() for run in runs)
    digests = digests_of(plan.preset) if there else None
    waiting: list[PlannedRun] = []
    refused: dict[str, str] = {}
    for run in runs:
        state = state_of(plan, run, digests)
        if state.record is None and (plan.folder(run) / "record.json").exists():
            refused[run.key] = state.error or ""
        elif state.state != "done":
            waiting.append(run)
    num_done = len(runs) - len(waiting) - len(refused)
    tasks = tasks_for(waiting[:limit], plan.out)
    return Work(tuple(tasks), len(runs), num_done, refused, digests)


def check_possible(plan: StudyPlan) -> None:
    """Refuse a study that lacks files or a network, before any work.

    Raises:
        ConfigError: If the folder of scenes or ImageNet weights is missing, or a network is
            unknown.
    """
    preset = plan.preset
    if lacks_root(preset.data):
        raise ConfigError(
            "--root", f"must name the folder of '{preset.data.name}'", remedy="Set --root."
        )
    bare = [
        name
        for name, network in preset.networks.items()
        if network is not None and network.backbone_weights is None and network.weights is None
    ]
    if preset.pretrained and bare:
        raise ConfigError(
            "--backbone",
            "must name ImageNet weights, which the paper's networks start from",
            ", ".join(bare),
            "Set --backbone (docs/networks.md), or --set pretrained=false.",
        )
    _check_networks(plan)


def _check_networks(plan: StudyPlan) -> None:
    # Imported late: networks import torch, which a plan does not need.
    from segdoor.victim.networks.building import plugin_of  # noqa: PLC0415

    networks = {str(run.config.network): run.config.network for run in plan.runs}
    for network in networks.values():
        # The user's code may exist only on the machines that do the runs.
        if ":" not in f"{network.name}{network.backbone}":
            plugin_of(network)


def finish(plan: StudyPlan, digests: Digests | None = None) -> StudyRecord:
    """Collect a study's runs, except those of other scenes, and write its record.

    Raises:
        StorageError: If it cannot be written.
        BusyError: If another call keeps writing it for ten minutes.
    """
    # Of two calls that end at the same time, the last to write must have seen all runs of the
    # first.
    with sole_writer(plan.out, culprit=f"--out {plan.out}", patience=_PATIENCE):
        record = collect(plan, digests)
        save_record(record, plan.file)
        return record
