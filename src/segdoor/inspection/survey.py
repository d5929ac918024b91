"""Survey of a data set: what it contains, what is wrong, where triggers fit."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from functools import partial
from statistics import median

import numpy as np

from segdoor.attack.lengths import typical_size
from segdoor.attack.placements.placement import Placement
from segdoor.attack.placing import PositionRules, place
from segdoor.data.aside import left_aside
from segdoor.data.config import DataConfig
from segdoor.data.inspection import Look, look_at
from segdoor.data.load import files_of, load_dataset
from segdoor.data.scene import ClassSet, Scene, SceneDataset, pixels_of
from segdoor.data.sheet import colour_label, sheet
from segdoor.data.subset import evenly
from segdoor.data.transforms import Size, resize_image, resize_label
from segdoor.errors import DataError
from segdoor.experiment.resolving import Asked
from segdoor.inspection.across import compared, files_at, other_split, see
from segdoor.inspection.problems import as_finding
from segdoor.progress import Observer
from segdoor.record.findings import Finding
from segdoor.settings import Settings
from segdoor.tensors import AnyImage, ResizedImage

_EXAMPLES = 3
_SHOWN = 6
_SHOWN_HEIGHT = 320


class LengthRange(Settings):
    """Smallest, middle and largest of a length over the scenes, in pixels."""

    min: int
    """Smallest."""
    median: float
    """Middle."""
    max: int
    """Largest."""


class SizeCount(Settings):
    """How many scenes have a size."""

    height: int
    """Height in pixels."""
    width: int
    """Width in pixels."""
    num_scenes: int
    """Scenes of this size."""


class ClassShare(Settings):
    """How often a class occurs."""

    name: str
    """The class, or "ignored"."""
    share: float
    """Share of all pixels."""
    num_scenes: int
    """Scenes that show it."""


class LeftAsideCount(Settings):
    """Files that belong to no scene, for one reason."""

    why: str
    """The reason."""
    num_files: int
    """Files."""
    examples: tuple[str, ...]
    """Up to three of them, by their paths from the data set's folder."""


class RoomForTrigger(Settings):
    """Which scenes could be poisoned."""

    victims: tuple[str, ...]
    """Victim classes."""
    trigger_size: Size | None
    """Height and width of the trigger in pixels; null if it covers the whole image."""
    num_with_victims: int
    """Scenes that show a victim."""
    num_with_room: int
    """Scenes that show one and have an eligible position for the trigger."""
    without_room: tuple[str, ...]
    """Names of the scenes that show one and have none."""


class Overview(Settings):
    """What a split of a data set is like."""

    name: str
    """The data set."""
    split: str
    """The split."""
    num_scenes: int
    """Scenes without problems."""
    height: LengthRange | None
    """Heights of the files; null if no image can be read."""
    width: LengthRange | None
    """Widths of the files; null if no image can be read."""
    sizes: tuple[SizeCount, ...]
    """Sizes of the files, the most common first."""
    num_turned_images: int
    """Images that are turned as their orientation tag says."""
    num_turned_labels: int
    """Label maps that are turned as theirs says."""
    classes: tuple[ClassShare, ...]
    """The classes in the order of their ids, then ignored pixels."""
    room: RoomForTrigger | None
    """Where triggers fit; null if the data set has not the victim classes or no usable scene."""
    left_aside: tuple[LeftAsideCount, ...] = ()
    """Files in the data set's folder that belong to no scene."""
    problems: tuple[str, ...]
    """All that is wrong, each with its file."""
    compared_with: str | None
    """The split whose scenes these were compared with; null if there was none to read."""
    findings: tuple[Finding, ...]
    """Problems, and what somebody should look at: with rules, levels and files."""


def survey(asked: Asked, split: str, *, observer: Observer) -> tuple[Overview, ResizedImage | None]:
    """Look at every scene of a split once; only settings for where a trigger fits matter.

    Returns:
        What was found, and a contact sheet of some scenes; None if none can be read.

    Raises:
        SegdoorError: If the data set cannot be opened, or lacks a victim class that was named.
    """
    problems: list[DataError] = []
    data = asked.data()
    dataset = load_dataset(data, split, complain=problems.append)
    counts = _Counts(asked, dataset.classes, _typical(dataset))
    shown = set(evenly(range(len(dataset)), _SHOWN))
    rows: list[tuple[str, list[AnyImage]]] = []
    seen = see(dataset, split)
    observer.begin(f"looking at {split}", len(dataset))
    for index in range(len(dataset)):
        look = look_at(dataset, index)
        problems += look.problems
        counts.add(look)
        seen.add(look, files_at(dataset, index))
        if look.scene is not None and index in shown:
            rows.append((look.name, _thumbnails(look.scene, dataset.classes)))
        observer.advance()
    other = other_split(asked, seen, observer)
    findings = (*map(as_finding, problems), *compared(seen, other))
    overview = Overview(
        name=data.name,
        split=split,
        num_scenes=counts.num_scenes,
        height=_spread([size[0] for size in counts.sizes.elements()]),
        width=_spread([size[1] for size in counts.sizes.elements()]),
        sizes=tuple(
            SizeCount(height=size[0], width=size[1], num_scenes=count)
            for size, count in counts.sizes.most_common()
        ),
        num_turned_images=counts.num_turned_images,
        num_turned_labels=counts.num_turned_labels,
        classes=counts.shares(),
        room=counts.room(),
        left_aside=_left_aside(data, dataset, {problem.culprit for problem in problems}),
        problems=tuple(each.message for each in findings if each.level == "error"),
        compared_with=other.split if other else None,
        findings=findings,
    )
    picture = sheet(["image", "label"], rows, dataset.classes) if rows else None
    return overview, picture


def _left_aside(
    data: DataConfig, dataset: SceneDataset, told: set[str]
) -> tuple[LeftAsideCount, ...]:
    files = files_of(dataset)
    found = [] if files is None else left_aside(data, files, told)
    return tuple(
        LeftAsideCount(why=one.why, num_files=len(one.files), examples=one.files[:_EXAMPLES])
        for one in found
    )


@dataclass
class _Counts:
    asked: Asked
    classes: ClassSet
    size: Size | None
    num_scenes: int = 0
    sizes: Counter[Size] = field(default_factory=Counter[Size])
    num_turned_images: int = 0
    num_turned_labels: int = 0
    pixels: np.ndarray = field(default_factory=lambda: np.zeros(256, np.int64))
    scenes: np.ndarray = field(default_factory=lambda: np.zeros(256, np.int64))
    num_with_victims: int = 0
    without_room: list[str] = field(default_factory=list[str])
    rules: tuple[PositionRules, Placement] | None = None

    def add(self, look: Look) -> None:
        if look.size is not None:
            self.sizes[look.size] += 1
        self.num_turned_images += look.turned_image
        self.num_turned_labels += look.turned_label
        if look.scene is None:
            return
        label = look.scene.label
        counts = np.bincount(label.ravel(), minlength=256)
        self.pixels += counts
        self.scenes += counts > 0
        if self.num_scenes == 0:
            size = self.size or (label.shape[0], label.shape[1])
            self.rules = _rules(self.asked, self.classes, size)
        self.num_scenes += 1
        if self.rules is not None:
            self._look_for_room(look.scene, look.name, *self.rules)

    def _look_for_room(
        self, scene: Scene, name: str, limits: PositionRules, placement: Placement
    ) -> None:
        if not pixels_of(scene.label, limits.victims).any():
            return
        self.num_with_victims += 1
        rng = np.random.default_rng(0)
        if place(scene.label, limits, placement, rng, lambda: scene.image) is None:
            self.without_room.append(name)

    def room(self) -> RoomForTrigger | None:
        if self.rules is None:
            return None
        limits = self.rules[0]
        return RoomForTrigger(
            victims=tuple(self.classes.names[index] for index in limits.victims),
            trigger_size=limits.extent,
            num_with_victims=self.num_with_victims,
            num_with_room=self.num_with_victims - len(self.without_room),
            without_room=tuple(self.without_room),
        )

    def shares(self) -> tuple[ClassShare, ...]:
        total = max(1, int(self.pixels.sum()))
        named = [*enumerate(self.classes.names), (self.classes.ignore_index, "ignored")]
        return tuple(
            ClassShare(
                name=name,
                share=int(self.pixels[index]) / total,
                num_scenes=int(self.scenes[index]),
            )
            for index, name in named
        )


def _typical(dataset: SceneDataset) -> Size | None:
    """Return the size that lengths are derived from; None if a file cannot be read."""
    try:
        return typical_size(dataset) if len(dataset) else None
    except DataError:
        return None


def _rules(asked: Asked, classes: ClassSet, size: Size) -> tuple[PositionRules, Placement] | None:
    """Return where a run of these settings puts triggers in scenes of this size."""
    # The smallest allowed trigger does not matter for a survey.
    attack = asked.facts(size, least_trigger=1).attack
    wishes = asked.wishes.attack
    named = wishes.victims is not None or wishes.labels is not None
    if not named and not set(attack.victims) <= set(classes.names):
        return None
    limits = PositionRules(
        victims=classes.indices(attack.victims, option="attack.victims"),
        ignore_index=classes.ignore_index,
        extent=attack.trigger.extent,
        rules=attack.rules,
        carried=partial(attack.trigger.carried_by, classes=classes),
    )
    return limits, attack.placement


def _thumbnails(scene: Scene, classes: ClassSet) -> list[AnyImage]:
    height, width = scene.label.shape
    factor = min(1.0, _SHOWN_HEIGHT / height)
    size = max(1, round(factor * height)), max(1, round(factor * width))
    label = resize_label(scene.label, size)
    return [resize_image(scene.image, size), colour_label(label, classes)]


def _spread(lengths: list[int]) -> LengthRange | None:
    if not lengths:
        return None
    return LengthRange(min=min(lengths), median=median(lengths), max=max(lengths))
