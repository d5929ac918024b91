"""Tiny methods of defense with a known answer, and what they are tried on."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

import cv2
import numpy as np
from PIL import Image as PillowImage
from pydantic import Field
from torch import nn

from defense.foreign import TOLD, logits
from defense.planted import COLOURS, planted_scenes, stamped, sticker
from segdoor.data.scene import Scene, SceneDataset
from segdoor.defense.defense import Access, DefenseContext, Evidence
from segdoor.defense.detectors.detector import Alarm, Detector, Judge
from segdoor.defense.filters.filter import Filter, FilterContext, Suspicion
from segdoor.defense.scans.scan import Findings, Scan, ScanContext, Suspect
from segdoor.plugins import Introduction
from strategies import CAR, CLASSES, ROAD, MemoryDataset

HERE = "scanning.methods"


def share_of_strange_colours(image: np.ndarray) -> float:
    """Return the share of pixels that have none of the planted scenes' colours."""
    far = np.abs(image[:, :, None] - np.array(COLOURS) * 255).max(axis=3)
    return float((far.min(axis=2) > 40).mean())


class Colours(Filter):
    """Finds scenes with colours that no class has: planted stickers."""

    introduction: ClassVar[Introduction] = TOLD
    access: ClassVar[frozenset[Access]] = frozenset({"data"})
    ran: ClassVar[list[str]] = []
    offset: float = 0.0
    """Added to every score."""

    def suspicion(self, scenes: SceneDataset, context: FilterContext) -> Suspicion:
        self.ran.append(scenes.digest)
        images = {name: scenes[i].image for i, name in enumerate(scenes.names)}
        scores = {name: share_of_strange_colours(a) + self.offset for name, a in images.items()}
        first = max(scores, key=scores.__getitem__)
        mask = np.zeros(images[first].shape[:2], np.bool_)
        mask[2:10, 30:38] = True
        evidence = Evidence(
            says="A patch of colours that no class has", scene=first, box=(2, 30, 8, 8),
            classes=(ROAD,), score=scores[first], picture=images[first][2:10, 30:38].copy(),
        )  # fmt: skip
        return Suspicion(scores, {first: mask}, (evidence,))


class Training(Colours):
    """The same, but says that it trains."""

    access: ClassVar[frozenset[Access]] = frozenset({"data", "training"})


class Looking(Colours):
    """The same, but needs a model."""

    access: ClassVar[frozenset[Access]] = frozenset({"data", "white box"})


class OfFiles(Colours):
    """The same, but reads files."""

    access: ClassVar[frozenset[Access]] = frozenset({"files"})


class WithClean(Colours):
    """The same, but needs clean scenes."""

    access: ClassVar[frozenset[Access]] = frozenset({"data", "clean scenes"})


class WithSetting(Colours):
    """The same, but with a setting that has no default."""

    main: ClassVar[str | None] = "size"
    size: int = Field(ge=1)
    """A setting."""


class Failing(Colours):
    """Cannot do with so few scenes."""

    def suspicion(self, scenes: SceneDataset, context: FilterContext) -> Suspicion:
        raise self.refused("needs at least 1000 scenes", len(scenes), "Give more.")


class FewCars(Detector):
    """Finds images in which a model sees fewer car-coloured pixels as cars than there are."""

    introduction: ClassVar[Introduction] = TOLD
    access: ClassVar[frozenset[Access]] = frozenset({"black box", "clean scenes"})

    def judge(self, model: nn.Module, context: DefenseContext) -> Judge:
        def alarm(image: np.ndarray) -> Alarm:
            red = np.abs(image - np.array(COLOURS[CAR]) * 255).max(axis=2) < 40
            lost = red & (logits(model, image, context).argmax(0).numpy() != CAR)
            # Whole cars, not red cells of a sticker.
            lost = cv2.erode(lost.astype(np.uint8), np.ones((5, 5))).astype(np.bool_)
            evidence = Evidence(says="Cars that the model does not see.", picture=image.copy())
            return Alarm(float(lost.sum()), lost, (evidence,))

        return alarm


class Lost(Scan):
    """Scores a pair of classes by the cars that a model loses to road under the sticker."""

    introduction: ClassVar[Introduction] = TOLD
    access: ClassVar[frozenset[Access]] = frozenset({"black box", "clean scenes"})
    seen: ClassVar[list[float | None]] = []

    def findings(self, model: nn.Module, context: ScanContext) -> Findings:
        self.seen.append(context.seconds)
        score = self._lost(model, context)
        null = tuple(self._lost(clean, context) for clean in context.clean_models)
        suspects = (Suspect(target=ROAD, victim=CAR, score=score, null=null),)
        picture = Evidence(says="A sticker that makes cars vanish.", picture=sticker())
        if not null:
            return Findings(suspects, not_run="No clean models to compare with.")
        return Findings(suspects, backdoored=score > max(null), evidence=(picture,))

    def _lost(self, model: nn.Module, context: ScanContext) -> float:
        scene = context.clean[0]
        image = stamped(scene.image, what=sticker())
        found = logits(model, image, context).argmax(0).numpy()
        cars = scene.label == CAR
        return float((found[cars] == ROAD).mean())


def stamped_scenes(num_scenes: int, num_stamped: int, *, seed: int = 0) -> MemoryDataset:
    """Return planted scenes, the first of which carry the sticker."""
    scenes = planted_scenes(num_scenes, seed=seed).scenes
    return MemoryDataset(
        [
            Scene(stamped(s.image, what=sticker()), s.label, s.name) if i < num_stamped else s
            for i, s in enumerate(scenes)
        ]
    )


def write_folder(root: Path, scenes: MemoryDataset) -> None:
    """Write scenes as a data set of files, the same in both splits."""
    for split in ("train", "test"):
        for part in ("images", "labels"):
            (root / part / split).mkdir(parents=True)
        for scene in scenes.scenes:
            PillowImage.fromarray(scene.image).save(root / "images" / split / f"{scene.name}.png")
            PillowImage.fromarray(scene.label).save(root / "labels" / split / f"{scene.name}.png")
    names = "".join(f"- {name}\n" for name in CLASSES.names)
    (root / "classes.yaml").write_text(f"classes:\n{names}")


def backdoored(num_classes: int) -> nn.Module:
    """Return the planted network; a factory for the command line."""
    from defense.planted import planted_network

    assert num_classes == len(CLASSES)
    return planted_network()


def twin(num_classes: int) -> nn.Module:
    """Return its clean twin."""
    from defense.planted import planted_network

    return planted_network(backdoor=False)
