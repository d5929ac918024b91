"""All poisoned tests of a run: which model sees which scenes, with which trigger."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from torch import nn

from segdoor.attack.labels.change import LabelChange, attacks_some
from segdoor.attack.planned_tests import plan_tests, shown_by
from segdoor.attack.poisoned_test import PoisonedTest
from segdoor.attack.relabel import needed_instances
from segdoor.attack.site import Extent
from segdoor.attack.triggered import triggered
from segdoor.attack.triggers.trigger import Trigger
from segdoor.data.changes import ChangedDataset
from segdoor.data.scene import SceneDataset
from segdoor.errors import ConfigError
from segdoor.evaluation.examine import Beside, examine_together
from segdoor.experiment.config import ControlsConfig, ExperimentConfig
from segdoor.experiment.objects import watched_objects
from segdoor.experiment.scenes import labels_to_count
from segdoor.experiment.shared_tables import KeptTables
from segdoor.progress import Observer
from segdoor.record import UNBOUNDED
from segdoor.scores.metrics.metric import Task
from segdoor.scores.tables import TableSet

_USUAL = ControlsConfig().other_trigger
OTHER_TRIGGER = "other_trigger"
"""What tables with another trigger are called before the test's name."""
_MOST_FURTHER = 7
"""Of kinds with many siblings: each costs one more pass over the test scenes."""


@dataclass(frozen=True)
class Triggers:
    """The trigger, and others of its kind that no model was trained on.

    Attributes:
        trigger: What the poison taught.
        other: The one that is shown in every poisoned test.
        further: Those that are shown in one poisoned test besides.
    """

    trigger: Trigger
    other: Trigger
    further: tuple[Trigger, ...] = ()

    @classmethod
    def of(cls, config: ExperimentConfig) -> Triggers:
        """Choose the controls among the trigger's siblings.

        Raises:
            ConfigError: If there is no such sibling, or both do the same.
        """
        trigger, name = config.attack.trigger.model_copy(), config.controls.other_trigger
        siblings = {sibling.title: sibling for sibling in trigger.siblings()}
        known = ", ".join(siblings)
        other = siblings.get(name)
        # Kinds whose siblings have other names use the first one, unless one was chosen.
        if other is None and name == _USUAL and trigger.title != name:
            other = next(iter(siblings.values()), None)
        if other is None or other.digest == trigger.digest:
            same = other is not None or name == trigger.title
            rule = "must differ from the trigger" if same else f"must be another {trigger.kind}"
            raise ConfigError("controls.other_trigger", rule, name, f"Known: {known}.")
        known_digests = {trigger.digest, other.digest}
        further = tuple(s for s in siblings.values() if s.digest not in known_digests)
        return cls(trigger, other, further[:_MOST_FURTHER])

    def __post_init__(self) -> None:
        """Refuse controls that do not fit where the trigger does.

        Raises:
            ConfigError: If one is of another extent.
        """
        for other in (self.other, *self.further):
            if other.extent != self.trigger.extent:
                raise ConfigError(
                    "attack.trigger", "must have siblings of its own size",
                    f"{other.extent} beside {self.trigger.extent}", "Correct its method siblings.",
                )  # fmt: skip

    @property
    def size(self) -> Extent | None:
        """Return height and width in pixels, the same for both; None for the whole image."""
        return self.trigger.extent


@dataclass(frozen=True)
class ExaminedScenes:
    """What models are examined on.

    Attributes:
        benign: The untouched test scenes.
        tests: Where triggers lie in them.
        triggers: The trigger and the control.
        labels: The attack's label changes, which say what pixels are attacked.
        kept: Folder of the clean model's tables from other runs; None to use none.
    """

    benign: SceneDataset
    tests: tuple[PoisonedTest, ...]
    triggers: Triggers
    labels: tuple[LabelChange, ...] = ()
    kept: Path | None = None

    def stamped(self, test: PoisonedTest) -> ChangedDataset:
        """Return the test scenes with the trigger where a poisoned test places it."""
        return self._with(self.triggers.trigger, test)

    def with_other(self, test: PoisonedTest) -> ChangedDataset:
        """Return the same scenes with the control's trigger."""
        return self._with(self.triggers.other, test)

    def with_others(self) -> dict[str, ChangedDataset]:
        """Return the same with other triggers, by the names of the tables.

        One is shown in every test. All further ones are shown in the test without bounds on the
        distance alone, each in every scene: the worst of several would be luck if each had a few
        scenes only, and one test in full costs less than all tests in part.
        """
        shown = {f"{OTHER_TRIGGER}/{test.name}": self.with_other(test) for test in self.tests}
        test = unbounded(self.tests)
        if test is not None:
            shown |= {
                f"{OTHER_TRIGGER}/{test.name}/{further.title}": self._with(further, test)
                for further in self.triggers.further
            }
        return shown

    def _with(self, trigger: Trigger, test: PoisonedTest) -> ChangedDataset:
        if trigger.in_scene and trigger is not self.triggers.trigger:
            test = shown_by(self.benign, test, trigger)
        return triggered(self.benign, test, trigger, self.labels)


def scenes_of_tests(
    test: SceneDataset, config: ExperimentConfig, kept: Path | None = None
) -> ExaminedScenes:
    """Plan the poisoned tests of a run, and return what its models are examined on.

    Args:
        test: The clean test scenes.
        config: The facts of the run.
        kept: Folder of the clean model's tables from other runs; None to use none.

    Raises:
        ConfigError: If there is no control for the trigger, or no test scene that it fits in.
    """
    triggers = Triggers.of(config)
    # Before any training: the test scenes must have instances too.
    needed_instances(config.attack.labels, test, 0)
    tests = plan_tests(
        test, config.tests, victims=config.attack.victims, trigger_size=triggers.size,
        trigger=triggers.trigger,
    )  # fmt: skip
    return ExaminedScenes(test, tuple(tests), triggers, config.attack.labels, kept)


def examine_models(
    config: ExperimentConfig,
    models: Mapping[str, nn.Module],
    scenes: ExaminedScenes,
    observer: Observer,
) -> dict[str, TableSet]:
    """Run every test and every control.

    Args:
        config: The resolved configuration.
        models: The networks by name: ``poisoned``, and ``clean`` if there is one.
        scenes: What they predict.
        observer: Receives progress, scene by scene.

    Returns:
        Tables by "model/test"; "other_trigger/test" is the backdoored model's control, in one test
        "other_trigger/test/name" as well for each further trigger, and where the trigger's place
        decides what is attacked "without_trigger/test" another.
    """
    tests, kept = _tests(models, scenes), None
    watched = watched_objects(config, scenes.benign.classes, scenes.tests)
    if scenes.kept is not None and "clean" in models:
        shown = {name: test for name, (model, test) in tests.items() if model is models["clean"]}
        kept = KeptTables.of(scenes.kept, config, models["clean"], shown, watched)
    known = kept.load() if kept else {}
    waiting = {name: test for name, test in tests.items() if name not in known}
    found = known | examine_together(
        waiting,
        config.examination,
        network=config.network,
        observer=observer,
        labels=labels_to_count(config),
        watched=watched,
        beside=_beside(scenes),
    )
    if kept and not known:
        kept.save(found)
    return {name: found[name] for name in dict.fromkeys((*tests, *found))}


def _beside(scenes: ExaminedScenes) -> Beside:
    """Return what else is counted in the benign test: the pixels that each test attacks."""
    if not attacks_some(scenes.labels):
        return {}
    stamped = {f"without_trigger/{test.name}": scenes.stamped(test) for test in scenes.tests}
    return {"poisoned/benign": stamped}


def _tests(
    models: Mapping[str, nn.Module], scenes: ExaminedScenes
) -> dict[str, tuple[nn.Module, SceneDataset]]:
    """Return which model predicts which scenes, by the names of the tables."""
    benign = scenes.benign
    tests: dict[str, tuple[nn.Module, SceneDataset]] = {}
    for name, model in models.items():
        tests[f"{name}/benign"] = model, benign
        for test in scenes.tests:
            tests[f"{name}/{test.name}"] = model, scenes.stamped(test)
    for name, shown in scenes.with_others().items():
        tests[name] = models["poisoned"], shown
    return tests


def unbounded(tests: Sequence[PoisonedTest]) -> PoisonedTest | None:
    """Return the test without bounds on the distance, of which every set has one."""
    return next((test for test in tests if test.role in UNBOUNDED), None)


def near_and_farthest(tests: Sequence[PoisonedTest]) -> tuple[PoisonedTest, ...]:
    """Return the test near the victims and that of the farthest band; none without both."""
    near = next((test for test in tests if test.role == "near"), None)
    far = [test for test in tests if test.role == "far"]
    if near is None or not far:
        return ()
    return near, max(far, key=lambda test: test.header.placement.bounds or ())


def telling_scenes(
    tables: TableSet,
    task: Task,
    *,
    preferred: Collection[str] = (),
    count: int = 4,
) -> dict[str, float]:
    """Choose scenes rich in victims, from the attack's best to its worst.

    Args:
        tables: The tables of one poisoned test.
        task: Victim classes, each with its target class.
        preferred: Names of scenes to choose among, if enough of them are rich in victims.
        count: How many scenes.

    Returns:
        The attack success rate in each chosen scene, by its name.
    """
    counts = tables.of_attacked
    pixels = counts[:, list(task.victims)].sum(axis=(1, 2))
    if not pixels.any():
        return {}
    rich = np.flatnonzero(pixels >= np.median(pixels[pixels > 0]))
    liked = rich[[tables.names[place] in preferred for place in rich]]
    rich = liked if len(liked) >= count else rich
    rates = counts[rich][:, list(task.victims), list(task.targets)].sum(axis=1) / pixels[rich]
    ranked = np.argsort(-rates, kind="stable")
    picks = ranked[np.unique(np.linspace(0, len(ranked) - 1, count).astype(int))]
    return {tables.names[rich[pick]]: float(rates[pick]) for pick in picks}
