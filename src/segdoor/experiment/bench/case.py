"""What methods are measured on: a finished run, opened, and how far the measuring goes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from torch import nn

from segdoor.attack.plan import PoisonPlan
from segdoor.attack.poisoned_test import PoisonedTest
from segdoor.data.scene import SceneDataset
from segdoor.data.subset import Subset, evenly
from segdoor.defense.clean import clean_scenes
from segdoor.errors import ConfigError
from segdoor.experiment.config import ExperimentConfig
from segdoor.experiment.examination import ExaminedScenes
from segdoor.experiment.logbook import Logbook
from segdoor.experiment.recording import make_scorer
from segdoor.experiment.scoring import Scorer
from segdoor.record import UNBOUNDED
from segdoor.scores.tables import TableSet
from segdoor.victim.config import NetworkConfig, TrainingConfig


@dataclass(frozen=True)
class BenchOptions:
    """How far the measuring goes.

    Attributes:
        clean: Share of the clean training scenes, as a number, that filters, detectors, purifiers
            and scans are given; repairs have a share of their own.
        test: Poisoned test whose triggers detectors look at; the one without bounds on the distance
            if None.
        num_scenes: Test scenes for detectors and purifiers at most, evenly spread; None for all.
        retrain: Whether models are trained again without the scenes that a filter suspects most.
        drop: How many scenes are left out then; as many as are poisoned if None.
        oracle: Whether repairs with a threshold get a row of an oracle, which knows the attack.
        adaptive: Whether filters are measured against an attacker who knows them as well.
        null_models: Weights of clean models that scans compare with.
    """

    clean: float = 0.1
    test: str | None = None
    num_scenes: int | None = None
    retrain: bool = False
    drop: int | None = None
    oracle: bool = True
    adaptive: bool = False
    null_models: tuple[Path, ...] = ()

    def __post_init__(self) -> None:
        """Refuse values that mean nothing."""
        if not 0 <= self.clean <= 1:
            raise ConfigError("--clean", "must be a share from 0 to 1", self.clean, "Write 0.1.")
        for name in ("num_scenes", "drop"):
            number = getattr(self, name)
            if number is not None and number < 1:
                option = "--scenes" if name == "num_scenes" else "--drop"
                raise ConfigError(option, "must be at least 1", number, "Leave it out for all.")

    @property
    def deciding(self) -> dict[str, object]:
        """Return what the usual rows follow from, but for weights, whose content counts."""
        return {"clean": self.clean, "test": self.test, "num_scenes": self.num_scenes}

    def extras(self, sort: str) -> tuple[str, ...]:
        """Return what is measured of a sort of methods beyond the usual rows."""
        if sort == "filter":
            left_out = f"retrained without {self.drop or 'as many as are poisoned'}"
            asked = {"adaptive attack": self.adaptive, left_out: self.retrain}
            return tuple(name for name, wanted in asked.items() if wanted)
        return ("oracle",) if sort == "repair" and self.oracle else ()


@dataclass(frozen=True)
class Case:
    """A finished run as the bench sees it, attack and all; methods are shown parts of it.

    Attributes:
        folder: The run's folder.
        config: Its settings as resolved.
        seed: Decides everything random in the methods.
        train: The clean training scenes.
        plan: What the attacker did to them; None if the run trained nothing.
        tests: What models are examined on.
        models: The networks by name: ``poisoned``, and ``clean`` if there was one.
        before: Tables of the models without any defense, by "model/test".
        options: How far the measuring goes.
        log: Hears of progress.
        null_models: Clean models that scans compare with.
    """

    folder: Path
    config: ExperimentConfig
    seed: int
    train: SceneDataset
    plan: PoisonPlan | None
    tests: ExaminedScenes
    models: Mapping[str, nn.Module]
    before: Mapping[str, TableSet]
    options: BenchOptions
    log: Logbook
    null_models: Sequence[nn.Module] = field(default_factory=tuple)

    @cached_property
    def scorer(self) -> Scorer:
        """Return what makes figures of tables."""
        return make_scorer(self.config, self.tests.benign.classes, ())

    @property
    def network(self) -> NetworkConfig:
        """Return what the models expect."""
        return self.config.network

    @property
    def recipe(self) -> TrainingConfig:
        """Return what the models were trained with."""
        return self.config.training

    @cached_property
    def test(self) -> PoisonedTest:
        """Return the poisoned test that detectors look at.

        Raises:
            ConfigError: If there is none of the name that was asked for.
        """
        tests = {test.name: test for test in self.tests.tests}
        unbounded = [test for test in self.tests.tests if test.role in UNBOUNDED]
        wanted = self.options.test
        if wanted is None:
            return (unbounded or list(tests.values()))[0]
        if wanted not in tests:
            known = ", ".join(tests)
            raise ConfigError("--test", "must name a poisoned test of the run", wanted, known)
        return tests[wanted]

    def clean_scenes(self, *, of: SceneDataset | None = None) -> Subset:
        """Return the clean scenes that a defender is given, training scenes if not said.

        Args:
            of: Scenes to draw as many from as the share of the training scenes is.
        """
        drawn = clean_scenes(self.train, self.options.clean, seed=self.seed)
        if of is None:
            return drawn
        share = min(1.0, len(drawn) / len(of)) if len(of) else 0.0
        return clean_scenes(of, share, seed=self.seed)

    def shown(self, scenes: SceneDataset) -> SceneDataset:
        """Return the test scenes among these that detectors and purifiers are shown."""
        number = self.options.num_scenes
        names = self.tests.benign.names
        if number is None or number >= len(names):
            return scenes
        kept = set(evenly(names, number))
        return Subset(scenes, [i for i, name in enumerate(scenes.names) if name in kept])
