"""All exams of a run: which victim sees which scenes, with which sticker."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from torch import nn

from segdoor.attack.exam import Exam
from segdoor.attack.trigger import Trigger, draw, load_trigger
from segdoor.attack.triggered import triggered
from segdoor.data.scene import SceneDataset
from segdoor.errors import ConfigError
from segdoor.evaluation.examine import examine_together
from segdoor.experiment.config import ExperimentConfig
from segdoor.experiment.kept import KeptTables
from segdoor.experiment.objects import watched_objects
from segdoor.experiment.scenes import labels_to_count
from segdoor.progress import Observer
from segdoor.scores.tables import TableSet


@dataclass(frozen=True)
class Stickers:
    """The trigger, and another sticker of the same size that no victim was trained on.

    Attributes:
        trigger: What the attacker stamps.
        other: The control.
    """

    trigger: Trigger
    other: Trigger

    @classmethod
    def of(cls, config: ExperimentConfig) -> Stickers:
        """Load both.

        Raises:
            ConfigError: If they are the same picture.
        """
        trigger = load_trigger(config.attack.trigger)
        name = config.controls.other_trigger
        draw(name, 1, option="controls.other_trigger")
        like = {"name": name, "file": None}
        other = load_trigger(config.attack.trigger.model_copy(update=like))
        # Built-in stickers are square; a picture file may not be.
        other = Trigger(other.name, other.rgba[: trigger.height, : trigger.width])
        if other.digest == trigger.digest:
            raise ConfigError(
                "controls.other_trigger", "must differ from the trigger", other.name,
                "Name another built-in sticker.",
            )  # fmt: skip
        return cls(trigger, other)

    @property
    def size(self) -> tuple[int, int]:
        """Return height and width in pixels, the same for both."""
        return self.trigger.height, self.trigger.width


@dataclass(frozen=True)
class ExamScenes:
    """What victims are examined on.

    Attributes:
        honest: The untouched test scenes.
        exams: Where triggers sit in them.
        stickers: The trigger and the control.
        kept: Folder of tables that the clean victim got in other runs; None to look at none.
    """

    honest: SceneDataset
    exams: tuple[Exam, ...]
    stickers: Stickers
    kept: Path | None = None

    def stamped(self, exam: Exam) -> SceneDataset:
        """Return the test scenes with the trigger where an exam places it."""
        return triggered(self.honest, exam, self.stickers.trigger)


def examine_all(
    config: ExperimentConfig,
    victims: Mapping[str, nn.Module],
    scenes: ExamScenes,
    observer: Observer,
) -> dict[str, TableSet]:
    """Hold every exam and every control.

    Args:
        config: The resolved configuration.
        victims: The networks by name: ``poisoned``, and ``clean`` if there is one.
        scenes: What they are shown.
        observer: Hears of every scene.

    Returns:
        Tables by "victim/test"; "other_trigger/test" is the poisoned victim's control.
    """
    tests, kept = _tests(victims, scenes), None
    watched = watched_objects(config, scenes.honest.classes, scenes.exams)
    if scenes.kept is not None and "clean" in victims:
        shown = {name: test for name, (model, test) in tests.items() if model is victims["clean"]}
        kept = KeptTables.of(scenes.kept, config, victims["clean"], shown, watched)
    known = kept.load() if kept else {}
    waiting = {name: test for name, test in tests.items() if name not in known}
    found = known | examine_together(
        waiting,
        config.examination,
        network=config.network,
        observer=observer,
        labels=labels_to_count(config),
        watched=watched,
    )
    if kept and not known:
        kept.save(found)
    return {name: found[name] for name in tests}


def _tests(
    victims: Mapping[str, nn.Module], scenes: ExamScenes
) -> dict[str, tuple[nn.Module, SceneDataset]]:
    """Return who is shown what, by the names of the tables."""
    test, stickers = scenes.honest, scenes.stickers
    tests: dict[str, tuple[nn.Module, SceneDataset]] = {}
    for name, victim in victims.items():
        tests[f"{name}/benign"] = victim, test
        for exam in scenes.exams:
            tests[f"{name}/{exam.name}"] = victim, scenes.stamped(exam)
    for exam in scenes.exams:
        stamped = triggered(test, exam, stickers.other)
        tests[f"other_trigger/{exam.name}"] = victims["poisoned"], stamped
    return tests


def near_and_farthest(exams: Sequence[Exam]) -> tuple[Exam, ...]:
    """Return the test near the victims and that of the farthest band; none without both."""
    bands = [exam for exam in exams if exam.name == "near" or exam.name.startswith("far_")]
    return (bands[0], bands[-1]) if len(bands) > 1 else ()


def telling_scenes(
    tables: TableSet,
    victims: Sequence[int],
    target: int,
    *,
    preferred: Collection[str] = (),
    count: int = 4,
) -> dict[str, float]:
    """Choose scenes rich in victims, from the attack's best to its worst.

    Args:
        tables: Of one poisoned test.
        victims: Indices of the victim classes.
        target: Index of the target class.
        preferred: Names of scenes to choose among, if enough of them are rich in victims.
        count: How many scenes.

    Returns:
        The attack success rate in each chosen scene, by its name.
    """
    pixels = tables.counts[:, list(victims)].sum(axis=(1, 2))
    if not pixels.any():
        return {}
    rich = np.flatnonzero(pixels >= np.median(pixels[pixels > 0]))
    liked = rich[[tables.names[place] in preferred for place in rich]]
    rich = liked if len(liked) >= count else rich
    rates = tables.counts[rich][:, list(victims), target].sum(axis=1) / pixels[rich]
    ranked = np.argsort(-rates, kind="stable")
    picks = ranked[np.unique(np.linspace(0, len(ranked) - 1, count).astype(int))]
    return {tables.names[rich[pick]]: float(rates[pick]) for pick in picks}
