"""Scan images that a model is about to be used on."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from torch import nn

from segdoor.data.pictures import read_image
from segdoor.data.scene import Scene, SceneDataset
from segdoor.data.sheet import colour_label
from segdoor.data.subset import Subset
from segdoor.defense.defense import Access, Costed, DefenseContext, Evidence
from segdoor.defense.detectors.detector import Alarm, Detector
from segdoor.defense.detectors.registry import DETECTORS
from segdoor.defense.recording import detector_entry
from segdoor.evaluation.examiner import Examiner
from segdoor.record.defense import DetectorEntry
from segdoor.record.scan import ScanReport
from segdoor.scanning.choosing import Choice, choose
from segdoor.scanning.judged import Judged, ScanOrder, each_judged, unjudged
from segdoor.scanning.keeping import Keeper, KeptEntry, scan_folder
from segdoor.scanning.opening import ImageFiles, held_out, model_digest
from segdoor.scanning.pictures import Shown, with_mask
from segdoor.scanning.policy import ImagesPolicy
from segdoor.scanning.reporting import Scanned, finish
from segdoor.scanning.thresholds import from_clean, joint_rate, least_clean
from segdoor.tensors import AnyImage
from segdoor.victim.config import network_text
from segdoor.victim.members import parameters_of
from segdoor.victim.training.fingerprint import recipe_text

REMEDIES: Mapping[Access, str] = {
    "data": "Detectors see images alone.",
    "files": "Detectors see images alone.",
    "clean scenes": "Give some: --data.name and --data.root.",
    "black box": "Give one: --model and --weights.",
    "white box": "Give a model with weights of its own: ONNX models have no gradients.",
}
CANNOT_TELL = (
    "An image without an alarm may still hold a trigger that none of these detectors notices.",
    (
        "An alarm is not proof of a trigger: a detector flags the share of clean images that the"
        " policy allows, and more where images differ from the clean scenes in camera, weather or"
        " place."
    ),
)


def scan_images(
    images: ImageFiles, clean: SceneDataset, model: nn.Module, order: ScanOrder
) -> ScanReport:
    """Run detectors on images, judge each by clean scenes, and write a report with pictures.

    Finished detectors are kept: an interrupted scan resumes when it is called again.

    Args:
        images: The images.
        clean: Clean scenes of the model's classes; a share of them only sets the thresholds.
        model: The network, in evaluation mode.
        order: How to scan.

    Raises:
        SegdoorError: If no detector can be run, or something that was given cannot be used.
    """
    has: set[Access] = {"clean scenes", "black box"}
    has |= {"white box"} if parameters_of(model) else set()
    policy = order.policy.policy.images
    choice = choose(DETECTORS, order.named, policy, has=has, remedies=REMEDIES)
    subject = images.digest
    with scan_folder(order.out, "images", subject):
        parts = held_out(clean, policy.held_out, seed=order.seed)
        keeper = Keeper(
            order.out, "images", subject, clean.digest, policy.held_out, order.seed,
            model_digest(model, order.network.weights), network_text(order.network),
            recipe_text(order.recipe),
        )  # fmt: skip
        return _ImagesScan(images, parts.used, parts.held_out, model, order, keeper).report(
            choice, subject
        )


@dataclass(frozen=True)
class _ImagesScan:
    """One scan: images, and clean scenes for detectors and for thresholds."""

    images: ImageFiles
    mine: Subset
    held: Subset
    model: nn.Module
    order: ScanOrder
    keeper: Keeper

    def report(self, choice: Choice[Detector], subject: str) -> ScanReport:
        held: list[Mapping[str, float]] = []
        policy = self.order.policy.policy.images

        def judged_one(method: Detector) -> Judged:
            kept = self.keeper.kept(method, lambda mark: self._run(method, mark))
            assert isinstance(kept.entry, DetectorEntry)
            found = judge(method, kept.entry, kept.null, policy)
            if found.outcome != "NOT RUN":
                held.append(kept.null)
            return found

        judged = each_judged(choice, "images", judged_one)
        scanned = Scanned(
            door="images",
            subject=subject,
            num_subjects=len(self.images.paths),
            num_clean=len(self.mine) + len(self.held),
            judged=judged,
            files={name: (path,) for name, path in self.images.paths.items()},
            cannot_tell=(*CANNOT_TELL, *self._false_alarms(held, policy)),
            shown=Shown(("image", "prediction"), self._look, self.mine.classes),
            agree=policy.agree,
        )
        return finish(scanned, self.order, {})

    def _false_alarms(
        self, held: Sequence[Mapping[str, float]], policy: ImagesPolicy
    ) -> Iterator[str]:
        """Yield how many alarms there would be if all images were clean, as measured."""
        if held:
            rate = joint_rate(held, policy.false_alarms, policy.agree)
            expected = rate * len(self.images.paths)
            yield (
                f"{rate:.1%} of the {len(held[0])} held-out clean scenes would be flagged as well:"
                f" of {len(self.images.paths)} clean images about {expected:.1f}."
            )

    def _look(self, name: str) -> Sequence[AnyImage]:
        image = read_image(self.images.paths[name])
        classes = self.mine.classes
        scene = Scene(image, np.zeros(image.shape[:2], np.uint8), name)
        examiner = Examiner(self.model, classes, network=self.order.network)
        return [image, colour_label(examiner.predict([scene])[0], classes)]

    def _run(self, method: Detector, mark: str) -> KeptEntry:
        order = self.order
        context = DefenseContext(
            clean=self.mine, network=order.network, recipe=order.recipe, seed=order.seed,
            seconds=order.seconds, workers=order.workers, observer=order.observer,
            folder=self.keeper.state_of(method),
        )  # fmt: skip
        order.observer.begin(str(method), len(self.held) + len(self.images.paths))
        done = method(self.model, self._shown(), context)
        number = len(self.held)
        held = dict(zip(self.held.names, done.found[:number], strict=True))
        found = [
            _with_mask(alarm, path_image)
            for alarm, path_image in zip(done.found[number:], self._again(), strict=True)
        ]
        entry = detector_entry(
            method, Costed(tuple(found), done.cost), list(self.images.paths), self.mine.classes,
            pictures=order.pictures,
        )  # fmt: skip
        null = {name: float(alarm.score) for name, alarm in held.items()}
        return KeptEntry(fingerprint=mark, entry=entry, null=null)

    def _shown(self) -> Iterator[AnyImage]:
        """Yield the held-out clean scenes, then the images."""
        for index in range(len(self.held)):
            yield self.held[index].image
            self.order.observer.advance()
        yield from self.images.read(self.order.observer)

    def _again(self) -> Iterator[AnyImage]:
        return map(read_image, self.images.paths.values())


def _with_mask(alarm: Alarm, image: AnyImage) -> Alarm:
    """Add a picture of the suspect pixels to the evidence, if the detector named any."""
    if alarm.mask is None or not alarm.mask.any():
        return alarm
    shown = Evidence(says="Suspect pixels of this image.", picture=with_mask(image, alarm.mask))
    return replace(alarm, evidence=(*alarm.evidence, shown))


def judge(
    method: Detector, entry: DetectorEntry, clean: Mapping[str, float], policy: ImagesPolicy
) -> Judged:
    """Judge each image by the score that a share of held-out clean scenes exceeds.

    Args:
        method: The detector.
        entry: What it found.
        clean: The scores of held-out clean scenes by name.
        policy: The thresholds.
    """
    fails, scores = method.introduction.fails, entry.images
    needed = max(policy.least_clean, least_clean(policy.false_alarms))
    threshold = from_clean(list(clean.values()), policy.false_alarms)
    if len(clean) < needed or threshold is None:
        why = (
            f"no threshold: that takes {needed} held-out clean scenes, not {len(clean)}. Give"
            f" {int(np.ceil(needed / policy.held_out))} clean scenes or more."
        )
        return unjudged(entry, scores, why, fails)
    suspects = threshold.suspects(scores)
    why = f"{len(suspects)} of {len(scores)} images score {threshold.in_words}"
    outcome = "finding" if suspects else "nothing found"
    return Judged(entry, scores, outcome, why, fails, suspects, threshold.score)
