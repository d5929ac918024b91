"""The poisoned tests as artefacts: where the trigger sits in every test scene.

An exam depends on the trigger's size, not on its picture, and on nothing of a model, so all models
and methods are compared on the very same positions (paper section 5.2).
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Literal

from pydantic import Field

from segdoor.attack.artefact import check_counts, read_json_lines, write_json_lines
from segdoor.attack.config import ExamsConfig, PlacementConfig
from segdoor.attack.placement import Ground, make_placement, place, victim_mask
from segdoor.attack.trigger import Trigger, stamp
from segdoor.data.scene import ClassSet, Scene, SceneDataset
from segdoor.errors import ConfigError, DataError
from segdoor.randomness import Stream
from segdoor.settings import Settings
from segdoor.tensors import Label

SCHEMA_VERSION = 1


class ExamRow(Settings):
    """Where the trigger sits in one test scene."""

    name: str
    """The scene."""
    has_victims: bool
    """Whether the scene shows a victim class."""
    box: tuple[int, int, int, int] | None
    """Top, left, height and width of the trigger in pixels; None where there is no room."""
    distance: float | None
    """From the trigger's centre to the nearest victim pixel, in pixels."""
    class_under: str | None
    """The one class under the trigger."""


class ExamHeader(Settings):
    """What an exam was made from, and its counts."""

    kind: Literal["exam"] = "exam"
    """Marks the file."""
    schema_version: int = Field(default=SCHEMA_VERSION, ge=1)
    """Version of the file's layout."""
    name: str
    """The exam's name."""
    data_digest: str
    """Digest of the test scenes."""
    victims: tuple[str, ...]
    """Victim classes."""
    trigger_size: tuple[int, int]
    """The trigger's height and width in pixels."""
    placement: PlacementConfig
    """How positions were chosen."""
    exams: ExamsConfig
    """Rules, scope and seed, shared by the exams of a set."""
    num_scenes: int
    """Scenes of the test set."""
    num_with_victims: int
    """Scenes that show a victim."""
    num_triggered: int
    """Scenes that carry a trigger."""
    num_triggered_with_victims: int
    """Scenes that carry a trigger and show a victim."""
    num_without_room: int
    """Scenes that show a victim and have no room for the trigger."""


@dataclass(frozen=True)
class Exam:
    """A poisoned test: a header and one row a test scene within its scope.

    Attributes:
        header: Settings and counts.
        rows: Where the trigger sits in each scene.
    """

    header: ExamHeader
    rows: tuple[ExamRow, ...]

    @property
    def name(self) -> str:
        """Return the exam's name."""
        return self.header.name

    @cached_property
    def triggered(self) -> Mapping[str, ExamRow]:
        """Return the rows of scenes that carry a trigger, by scene name."""
        return {row.name: row for row in self.rows if row.box is not None}

    @cached_property
    def without_room(self) -> tuple[str, ...]:
        """Return the scenes that show a victim and have no room for the trigger."""
        return tuple(row.name for row in self.rows if row.box is None and row.has_victims)

    def save(self, path: Path) -> None:
        """Write the exam as JSON lines, header first, atomically."""
        write_json_lines(path, self.header, self.rows)

    @classmethod
    def load(cls, path: Path) -> Exam:
        """Read an exam.

        Raises:
            DataError: If the file is no exam, damaged, of a newer schema, or names a scene twice.
        """
        header, rows = read_json_lines(path, ExamHeader, ExamRow, version=SCHEMA_VERSION)
        counted = _counts(rows)
        if header.exams.scope == "all":
            counted["num_scenes"] = len(rows)
        check_counts(path, header.model_dump(include=set(counted)), counted)
        return cls(header, rows)


def exam_placements(config: ExamsConfig) -> dict[str, PlacementConfig]:
    """Return the default set of exams: nearest, near, one a far band, anywhere."""
    near = {"lower": config.near[0], "upper": config.near[1]}
    placements = {
        "nearest": PlacementConfig(strategy="nearest", **near),
        "near": PlacementConfig(strategy="band", **near),
    }
    for lower, upper in config.far_bands:
        name = f"far_{round(lower, 1):g}_{round(upper, 1):g}"
        placements[name] = PlacementConfig(strategy="band", lower=lower, upper=upper)
    return {**placements, "anywhere": PlacementConfig(strategy="random")}


def plan_exams(
    dataset: SceneDataset,
    config: ExamsConfig,
    *,
    victims: tuple[str, ...],
    trigger_size: tuple[int, int],
) -> list[Exam]:
    """Choose the trigger's place in every test scene, for each exam of the default set.

    Args:
        dataset: The honest test scenes.
        config: Bands, rules, scope and seed.
        victims: Names of the victim classes.
        trigger_size: Height and width of the trigger in pixels.

    Raises:
        ConfigError: If a class is unknown, no test scene shows a victim, or none has room.
    """
    ground = Ground(
        victims=dataset.classes.indices(victims, option="attack.victims"),
        ignore_index=dataset.classes.ignore_index,
        height=trigger_size[0],
        width=trigger_size[1],
        rules=config.rules,
    )
    exams = [
        _plan_exam(dataset, config, ground, name, placement)
        for name, placement in exam_placements(config).items()
    ]
    if exams[0].header.num_with_victims == 0:
        raise ConfigError(
            "attack.victims",
            "must occur in at least one test scene",
            ", ".join(victims),
            "Choose another victim class.",
        )
    if not any(exam.triggered for exam in exams):
        raise ConfigError(
            "attack.trigger.size",
            "must leave room for the trigger in at least one test scene",
            f"{ground.height}x{ground.width} pixels",
            "Use a smaller trigger, or switch off exams.rules.single_class.",
        )
    return exams


def _plan_exam(
    dataset: SceneDataset,
    config: ExamsConfig,
    ground: Ground,
    name: str,
    how: PlacementConfig,
) -> Exam:
    stream = Stream(config.seed).child("exam", name)
    placement = make_placement(how, lower_included=config.rules.lower_included)
    rows: list[ExamRow] = []
    for index, scene_name in enumerate(dataset.names):
        label = dataset.label(index)
        has_victims = bool(victim_mask(label, ground.victims).any())
        if not has_victims and config.scope == "with_victims":
            continue
        site = place(label, ground, placement, stream.child(scene_name).generator())
        rows.append(
            ExamRow(
                name=scene_name,
                has_victims=has_victims,
                box=site.box.as_tuple if site else None,
                distance=site.distance if site else None,
                class_under=site.class_name(dataset.classes) if site else None,
            )
        )
    return Exam(_header(dataset, config, ground, name, how, rows), tuple(rows))


def _header(
    dataset: SceneDataset,
    config: ExamsConfig,
    ground: Ground,
    name: str,
    placement: PlacementConfig,
    rows: Sequence[ExamRow],
) -> ExamHeader:
    counts = _counts(rows)
    return ExamHeader(
        name=name,
        data_digest=dataset.digest,
        victims=tuple(dataset.classes.names[victim] for victim in ground.victims),
        trigger_size=(ground.height, ground.width),
        placement=placement,
        exams=config,
        num_scenes=len(dataset),
        num_with_victims=counts["num_with_victims"],
        num_triggered=counts["num_triggered"],
        num_triggered_with_victims=counts["num_triggered_with_victims"],
        num_without_room=counts["num_without_room"],
    )


def _counts(rows: Sequence[ExamRow]) -> dict[str, int]:
    with_victims = [row for row in rows if row.has_victims]
    return {
        "num_with_victims": len(with_victims),
        "num_triggered": sum(row.box is not None for row in rows),
        "num_triggered_with_victims": sum(row.box is not None for row in with_victims),
        "num_without_room": sum(row.box is None for row in with_victims),
    }


class TriggeredDataset:
    """The scenes of an exam that carry a trigger; a `SceneDataset` with honest labels."""

    def __init__(self, dataset: SceneDataset, exam: Exam, trigger: Trigger) -> None:
        """Stamp a trigger at an exam's positions.

        Raises:
            DataError: If the exam was made for another data set or another trigger size.
        """
        if exam.header.data_digest != dataset.digest:
            raise DataError(
                f"exam '{exam.name}'",
                "must have been made for this very data set",
                exam.header.data_digest[:12],
                "Plan the exam again.",
            )
        if exam.header.trigger_size != (trigger.height, trigger.width):
            raise DataError(
                f"exam '{exam.name}'",
                f"needs a trigger of {exam.header.trigger_size} pixels",
                (trigger.height, trigger.width),
                "Plan the exam again.",
            )
        self._dataset, self._exam, self._trigger = dataset, exam, trigger
        self._indices = [i for i, name in enumerate(dataset.names) if name in exam.triggered]
        self.names = tuple(dataset.names[index] for index in self._indices)

    @property
    def classes(self) -> ClassSet:
        """Return the classes, as before."""
        return self._dataset.classes

    @property
    def digest(self) -> str:
        """Return a hash over the honest data set, the exam and the trigger."""
        rows = [row.model_dump_json() for row in self._exam.rows]
        whole = repr((self._exam.header.model_dump_json(), rows, self._trigger.digest))
        return hashlib.sha256(whole.encode()).hexdigest()

    def __len__(self) -> int:
        """Return the number of scenes that carry a trigger."""
        return len(self._indices)

    def __getitem__(self, index: int) -> Scene:
        """Read one scene and stamp it; pixels under the trigger keep their label."""
        scene = self._dataset[self._indices[index]]
        box = self._exam.triggered[scene.name].box
        assert box is not None
        image = stamp(scene.image, self._trigger, top=box[0], left=box[1])
        return Scene(image, scene.label, scene.name)

    def label(self, index: int) -> Label:
        """Read one honest label map."""
        return self._dataset.label(self._indices[index])


def triggered(dataset: SceneDataset, exam: Exam, trigger: Trigger) -> SceneDataset:
    """Return the exam's scenes with the trigger stamped at the exam's positions.

    Raises:
        DataError: If the exam was made for another data set or another trigger size.
    """
    return TriggeredDataset(dataset, exam, trigger)
