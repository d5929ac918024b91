"""Scan a model for a backdoor, with a few clean scenes."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import count
from pathlib import Path

from torch import nn

from segdoor.data.scene import SceneDataset
from segdoor.defense.defense import Access
from segdoor.defense.recording import scan_entry
from segdoor.defense.scans.registry import SCANS
from segdoor.defense.scans.scan import Scan, ScanContext
from segdoor.record.defense import ScanEntry, SuspectRecord
from segdoor.record.scan import ScanReport
from segdoor.scanning.choosing import Choice, choose
from segdoor.scanning.judged import Judged, ScanOrder, each_judged, unjudged
from segdoor.scanning.keeping import Keeper, KeptEntry, scan_folder
from segdoor.scanning.opening import CleanModels, model_digest
from segdoor.scanning.pictures import Shown, scene_pictures
from segdoor.scanning.policy import ModelPolicy
from segdoor.scanning.reporting import Scanned, finish
from segdoor.tensors import AnyImage
from segdoor.victim.config import network_text
from segdoor.victim.members import parameters_of
from segdoor.victim.training.fingerprint import recipe_text

REMEDIES: Mapping[Access, str] = {
    "data": "Scans see clean scenes alone.",
    "files": "Scans see clean scenes alone.",
    "clean scenes": "Give some: --data.name and --data.root.",
    "black box": "Give one: --model and --weights.",
    "white box": "Give a model with weights of its own: ONNX models have no gradients.",
}
CANNOT_TELL = (
    (
        "A clean result does not mean that the model is clean: a scan finds backdoors with triggers"
        " that it can invert, within the time that it had."
    ),
    (
        "A suspect pair of classes is not proof of a backdoor: some classes are easy to confuse in"
        " any network. Compare with clean models."
    ),
)


def scan_model(
    model: nn.Module,
    clean: SceneDataset,
    order: ScanOrder,
    clean_models: CleanModels | None = None,
) -> ScanReport:
    """Run scans on a model, judge them, and write a report with pictures.

    Finished scans are kept: an interrupted call resumes when it is made again.

    Args:
        model: The network, in evaluation mode.
        clean: A few clean scenes of its classes.
        order: How to scan.
        clean_models: Models of the same task that are known to be clean.

    Raises:
        SegdoorError: If no scan can be run, or something that was given cannot be used.
    """
    has: set[Access] = {"clean scenes", "black box"}
    has |= {"white box"} if parameters_of(model) else set()
    policy = order.policy.policy.model
    choice = choose(SCANS, order.named, policy, has=has, remedies=REMEDIES)
    subject = model_digest(model, order.network.weights)
    known = clean_models or CleanModels((), lambda _: model)
    with scan_folder(order.out, "model", subject):
        keeper = Keeper(
            order.out, "model", subject, clean.digest, known.digest, order.seed, order.seconds,
            network_text(order.network), recipe_text(order.recipe),
        )  # fmt: skip
        return _ModelScan(model, clean, order, known, keeper).report(choice, subject)


@dataclass(frozen=True)
class _ModelScan:
    """One scan: the model, and what it is compared with."""

    model: nn.Module
    clean: SceneDataset
    order: ScanOrder
    known: CleanModels
    keeper: Keeper

    def report(self, choice: Choice[Scan], subject: str) -> ScanReport:
        ends = None if self.order.seconds is None else time.monotonic() + self.order.seconds
        num_waiting = count(len(choice.run), -1)

        def judged_one(method: Scan) -> Judged:
            left = None if ends is None else max(1.0, ends - time.monotonic())
            part = None if left is None else left / next(num_waiting)
            kept = self.keeper.kept(method, lambda mark: self._run(method, mark, part))
            assert isinstance(kept.entry, ScanEntry)
            return judge(method, kept.entry, self.order.policy.policy.model)

        judged = each_judged(choice, "model", judged_one)
        weights = self.order.network.weights
        names = {name for one in judged for name in one.scores}
        files: tuple[Path, ...] = () if weights is None else (weights,)
        scanned = Scanned(
            door="model",
            subject=subject,
            num_subjects=1,
            num_clean=len(self.clean),
            judged=judged,
            files=dict.fromkeys(names, files),
            cannot_tell=CANNOT_TELL,
            shown=Shown(("image", "label"), self._look, self.clean.classes),
        )
        return finish(scanned, self.order, {})

    def _look(self, name: str) -> list[AnyImage]:
        scene = self.clean[list(self.clean.names).index(name)]
        return scene_pictures(scene, self.clean.classes)

    def _run(self, method: Scan, mark: str, seconds: float | None) -> KeptEntry:
        order = self.order
        context = ScanContext(
            clean=self.clean, network=order.network, recipe=order.recipe, seed=order.seed,
            seconds=seconds, workers=order.workers, observer=order.observer,
            folder=self.keeper.state_of(method), clean_models=self.known,
        )  # fmt: skip
        done = method(self.model, context)
        entry = scan_entry(method, done, self.clean.classes, pictures=order.pictures)
        return KeptEntry(fingerprint=mark, entry=entry)


def judge(method: Scan, entry: ScanEntry, policy: ModelPolicy) -> Judged:
    """Judge a scan by its own verdict, if it is based on enough clean models.

    Args:
        method: The scan.
        entry: What it found.
        policy: The thresholds.
    """
    fails = method.introduction.fails
    scores = {pair_of(one): one.score for one in entry.suspects}
    if entry.not_run is not None:
        return unjudged(entry, scores, entry.not_run, fails)
    least = min((len(one.null) for one in entry.suspects), default=0)
    if least < policy.least_null:
        why = (
            f"its verdict is based on {least} figures of clean models or harmless stickers; the"
            f" policy asks for {policy.least_null}. Give more with --clean-models."
        )
        told = entry.model_copy(update={"backdoored": None})
        return unjudged(told, scores, why, fails)
    why = f"its own verdict, from {least} figures of clean models or harmless stickers"
    if not entry.backdoored:
        return Judged(entry, scores, "nothing found", why, fails)
    if not entry.suspects:
        return unjudged(entry, scores, "it names no pair of classes", fails)
    # Pairs beyond all clean figures; the worst alone if the verdict follows from something else.
    ordered = sorted(entry.suspects, key=_excess, reverse=True)
    above = [one for one in ordered if one.null and one.score > max(one.null)]
    names = tuple(pair_of(one) for one in above or ordered[:1])
    return Judged(entry, scores, "finding", why, fails, names)


def pair_of(suspect: SuspectRecord) -> str:
    """Return the name of a pair of classes."""
    return f"{suspect.victim or 'any class'} -> {suspect.target}"


def _excess(suspect: SuspectRecord) -> float:
    """Return by how much a score exceeds the largest figure of clean models."""
    return suspect.score - max(suspect.null, default=0.0)
