"""Show scenes to networks and count their answers.

Tests that share scenes are run in one reading: a scene is read and normalised once, and what a
test changes in it is written into a copy on the device.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TypeAlias

import torch
from torch import nn

from segdoor.data.changes import ChangedDataset
from segdoor.data.checked import checked
from segdoor.data.scene import ClassSet, Scene, SceneDataset
from segdoor.errors import DataError
from segdoor.evaluation.config import ExaminationConfig
from segdoor.evaluation.counting import Predicted, TableCounter, Truth
from segdoor.evaluation.examiner import Examiner, Sheet
from segdoor.evaluation.objects import ObjectCounter, Place, Watched
from segdoor.progress import Observer, Silent
from segdoor.scores.objects import ObjectRows
from segdoor.scores.tables import TableSet
from segdoor.victim.answer import Images
from segdoor.victim.config import NetworkConfig


def examine(
    model: nn.Module,
    dataset: SceneDataset,
    config: ExaminationConfig | None = None,
    *,
    network: NetworkConfig | None = None,
    observer: Observer | None = None,
) -> TableSet:
    """Examine a network: return one table for each scene, of pixels by true and predicted class.

    Args:
        model: Any network from normalised images, B x 3 x H x W, to logits: a tensor
            B x K x h x w, a dict with ``out``, or an object with ``.logits``.
        dataset: The scenes of the test.
        config: How the model is examined.
        network: Mean and standard deviation of the network's input; ImageNet's if None.
        observer: Receives progress, one step for each scene.

    Raises:
        ConfigError: If the network's logits do not fit the classes or are not finite.
        DataError: If a scene is not as a `Scene` must be.
    """
    tests = {"": (model, dataset)}
    return examine_together(tests, config, network=network, observer=observer)[""]


Beside: TypeAlias = Mapping[str, Mapping[str, ChangedDataset]]
"""By test and name of further tables of its answers, the scenes that say what is attacked there."""


def examine_together(
    tests: Mapping[str, tuple[nn.Module, SceneDataset]],
    config: ExaminationConfig | None = None,
    *,
    network: NetworkConfig | None = None,
    observer: Observer | None = None,
    labels: SceneDataset | None = None,
    watched: Watched | None = None,
    beside: Beside | None = None,
) -> dict[str, TableSet]:
    """Run many tests, reading scenes that they share once; the tables are those of `examine`.

    Args:
        tests: By name, who is shown which scenes.
        config: How the tests are run.
        network: Mean and standard deviation of the networks' input; ImageNet's if None.
        observer: Receives progress, one step for each scene of each test.
        labels: The scenes with label maps of another size, to count pixels by; their own if None.
        watched: Classes whose objects are followed one by one; the tables then have their rows.
        beside: Further tables of tests' answers, with other attacked pixels.

    Raises:
        ConfigError: If a network's logits do not fit the classes or are not finite.
        DataError: If a scene is not as a `Scene` must be.
    """
    observer, bases = observer or Silent(), _checked_bases(tests)
    observer.begin("examining", sum(len(dataset) for _, dataset in tests.values()))
    queues: dict[tuple[nn.Module, ClassSet], _Waiting] = {}
    running: dict[str, _Test] = {}
    for name, (model, dataset) in tests.items():
        asked = model, dataset.classes
        if asked not in queues:
            queues[asked] = _Waiting(Examiner(*asked, config, network), observer)
        places = watched.places.get(name, {}) if watched else None
        further = beside.get(name, {}) if beside else {}
        running[name] = _Test(queues[asked], dataset, bases[name], places, further)
    sharing: dict[int, list[_Test]] = {}
    for test in running.values():
        sharing.setdefault(id(test.base), []).append(test)
    for group in sharing.values():
        _run(group, labels, watched)
        for queue in queues.values():
            queue.clear()
    for queue in queues.values():
        queue.examiner.check()
    found = {name: test.tables() for name, test in running.items()}
    return found | {name: made for test in running.values() for name, made in test.beside()}


def _checked_bases(
    tests: Mapping[str, tuple[nn.Module, SceneDataset]],
) -> dict[str, SceneDataset]:
    """Return the scenes that each test is read from, one and the same for tests that share them."""
    bases: dict[str, SceneDataset] = {}
    known: dict[int, SceneDataset] = {}
    for name, (_, dataset) in tests.items():
        base = dataset.base if isinstance(dataset, ChangedDataset) else dataset
        if id(base) not in known:
            known[id(base)] = checked(base)
        bases[name] = known[id(base)]
    return bases


def _run(tests: list[_Test], labels: SceneDataset | None, watched: Watched | None) -> None:
    """Show each scene of a base to all tests that have it."""
    base = tests[0].base
    places = {name: index for index, name in enumerate(labels.names)} if labels else {}
    for index, name in enumerate(base.names):
        asking = [test for test in tests if name in test.rows]
        if not asking:
            continue
        scene = base[index]
        label = labels.label(places[name]) if labels else None
        sheets: dict[torch.device, Sheet] = {}
        for test in asking:
            examiner = test.queue.examiner
            if examiner.device not in sheets:
                sheets[examiner.device] = examiner.sheet(scene, label, watched)
            test.show(scene, sheets[examiner.device])


@dataclass(frozen=True, eq=False)
class _Copy:
    """A scene on its way to a network.

    Attributes:
        sheet: The unchanged scene.
        box: Rows and columns that differ.
        pixels: What is there instead; None if nothing differs.
        test: Where the answer is counted.
        scene: The scene's name.
        marks: Its attacked pixels, by the tables that count them apart.
    """

    sheet: Sheet
    box: tuple[slice, slice]
    pixels: Images | None
    test: _Test
    scene: str
    marks: Mapping[_Count, Truth | None]


class _Waiting:
    """Gathers copies for one network until they fill a batch."""

    def __init__(self, examiner: Examiner, observer: Observer) -> None:
        self.examiner, self.observer = examiner, observer
        self.waiting: list[_Copy] = []

    def take(self, copy: _Copy) -> None:
        shape = copy.sheet.image.shape
        full = len(self.waiting) == self.examiner.config.batch_size
        if full or (self.waiting and self.waiting[0].sheet.image.shape != shape):
            self.clear()
        self.waiting.append(copy)

    def clear(self) -> None:
        """Show what waits, and count the answers."""
        if not self.waiting:
            return
        images = torch.cat([copy.sheet.image for copy in self.waiting])
        for image, copy in zip(images, self.waiting, strict=True):
            if copy.pixels is not None:
                image[:, *copy.box] = copy.pixels[0]
        for predicted, copy in zip(self.examiner.answer(images), self.waiting, strict=True):
            copy.test.count(copy, predicted)
            self.observer.advance()
        self.waiting = []


class _Count:
    """Tables of some scenes, and apart those of their attacked pixels."""

    def __init__(self, dataset: SceneDataset, device: torch.device) -> None:
        self.changed = dataset if isinstance(dataset, ChangedDataset) else None
        self.rows = {name: row for row, name in enumerate(dataset.names)}
        self.counter = TableCounter(len(self.rows), len(dataset.classes), device)

    def mark(self, scene: Scene, examiner: Examiner) -> Truth | None:
        attacked = self.changed.attacked(scene) if self.changed else None
        return None if attacked is None else examiner.mark(attacked)

    def tables(self, objects: ObjectRows | None = None) -> TableSet:
        return TableSet(tuple(self.rows), self.counter.tables(), objects, self.counter.attacked())


class _Test:
    """One network and the scenes it is shown."""

    def __init__(
        self,
        queue: _Waiting,
        dataset: SceneDataset,
        base: SceneDataset,
        places: Mapping[str, Place] | None,
        further: Mapping[str, ChangedDataset],
    ) -> None:
        self.queue, self.base, self.places = queue, base, places
        device = queue.examiner.device
        self.own = _Count(dataset, device)
        self.further = {name: _Count(scenes, device) for name, scenes in further.items()}
        self.rows = self.own.rows
        if len(self.rows) < len(dataset.names) or not self.rows.keys() <= set(self.base.names):
            raise DataError(
                "scenes of a test",
                "must have names of their own, and stem from the scenes that they change",
                f"{len(dataset.names)} scenes",
                "Give every scene a name that no other has.",
            )
        self.objects = ObjectCounter()

    def show(self, scene: Scene, sheet: Sheet) -> None:
        examiner, changed = self.queue.examiner, self.own.changed
        change = changed.change(scene) if changed else None
        box = change.box if change else (slice(0), slice(0))
        pixels = examiner.pixels(change.pixels) if change else None
        counts = (count for count in (self.own, *self.further.values()) if scene.name in count.rows)
        marks = {count: count.mark(scene, examiner) for count in counts}
        self.queue.take(_Copy(sheet, box, pixels, self, scene.name, marks))

    def count(self, copy: _Copy, predicted: Predicted) -> None:
        name, sheet = copy.scene, copy.sheet
        for count, mark in copy.marks.items():
            count.counter.add(count.rows[name], sheet.truth, predicted, mark)
        if self.places is not None and sheet.objects is not None:
            place = self.places.get(name)
            self.objects.add(self.rows[name], sheet.objects, predicted, place)

    def tables(self) -> TableSet:
        return self.own.tables(None if self.places is None else self.objects.rows())

    def beside(self) -> Iterator[tuple[str, TableSet]]:
        yield from ((name, count.tables()) for name, count in self.further.items())
