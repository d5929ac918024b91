"""Measure, reproduce and defend against Influencer Backdoor Attacks on semantic segmentation.

The story in order: clean scenes (`load_dataset`, or a `SceneDataset` of your own), an attacker who
poisons a few of them (`plan_poison`, `poisoned`), an innocent trainer who makes a model of them
(`train_model`), an examiner who shows the model scenes with and without the trigger (`plan_tests`,
`triggered`, `examine`), the figures (`attack_success_rate`, `poisoned_benign_accuracy`,
`clean_benign_accuracy`), and a defender who repairs the model (`REPAIRS`). `run_experiment`
tells it all at once and leaves an `ExperimentRecord`.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from segdoor.attack.config import AttackConfig, PoisonedTestsConfig
    from segdoor.attack.placements.registry import PLACEMENTS
    from segdoor.attack.plan import PoisonPlan
    from segdoor.attack.planned_tests import plan_tests
    from segdoor.attack.planning import plan_poison
    from segdoor.attack.poisoned import poisoned
    from segdoor.attack.poisoned_test import PoisonedTest
    from segdoor.attack.triggered import triggered
    from segdoor.attack.triggers.registry import TRIGGERS
    from segdoor.attack.triggers.trigger import Trigger
    from segdoor.data.config import DataConfig
    from segdoor.data.load import load_dataset
    from segdoor.data.scene import ClassSet, Scene, SceneDataset
    from segdoor.defense.clean import clean_scenes
    from segdoor.defense.repairs.registry import REPAIRS
    from segdoor.defense.repairs.repair import RepairContext
    from segdoor.errors import SegdoorError
    from segdoor.evaluation.config import ExaminationConfig
    from segdoor.evaluation.examine import examine
    from segdoor.experiment.config import ExperimentConfig
    from segdoor.experiment.repair import repair_run
    from segdoor.experiment.wishes import (
        AttackWishes,
        ControlsWishes,
        DataWishes,
        ExaminationWishes,
        ExperimentWishes,
        NetworkWishes,
        PoisonedTestsWishes,
        TrainingWishes,
    )
    from segdoor.papers.iba.run import run_experiment
    from segdoor.record import ExperimentRecord, load_record
    from segdoor.scores.metrics.functions import (
        attack_success_rate,
        clean_benign_accuracy,
        poisoned_benign_accuracy,
        victim_recovery,
    )
    from segdoor.scores.tables import TableSet, load_tables
    from segdoor.victim.checkpoint import save_weights
    from segdoor.victim.config import NetworkConfig, TrainingConfig
    from segdoor.victim.networks.building import build_network
    from segdoor.victim.semseg import load_weights
    from segdoor.victim.training.loop import train_model

# In the order of the story, written out because type checkers do not run code.
__all__ = [  # noqa: RUF022
    "DataConfig",
    "load_dataset",
    "Scene",
    "ClassSet",
    "SceneDataset",
    "AttackConfig",
    "plan_poison",
    "PoisonPlan",
    "poisoned",
    "NetworkConfig",
    "build_network",
    "TrainingConfig",
    "train_model",
    "save_weights",
    "load_weights",
    "PoisonedTestsConfig",
    "plan_tests",
    "PoisonedTest",
    "Trigger",
    "TRIGGERS",
    "PLACEMENTS",
    "triggered",
    "ExaminationConfig",
    "examine",
    "TableSet",
    "load_tables",
    "attack_success_rate",
    "victim_recovery",
    "poisoned_benign_accuracy",
    "clean_benign_accuracy",
    "clean_scenes",
    "REPAIRS",
    "RepairContext",
    "ExperimentWishes",
    "DataWishes",
    "AttackWishes",
    "PoisonedTestsWishes",
    "NetworkWishes",
    "TrainingWishes",
    "ExaminationWishes",
    "ControlsWishes",
    "ExperimentConfig",
    "run_experiment",
    "ExperimentRecord",
    "load_record",
    "repair_run",
    "SegdoorError",
]

_HOMES = {
    "DataConfig": "data.config",
    "load_dataset": "data.load",
    "Scene": "data.scene",
    "ClassSet": "data.scene",
    "SceneDataset": "data.scene",
    "AttackConfig": "attack.config",
    "plan_poison": "attack.planning",
    "PoisonPlan": "attack.plan",
    "poisoned": "attack.poisoned",
    "NetworkConfig": "victim.config",
    "build_network": "victim.networks.building",
    "TrainingConfig": "victim.config",
    "train_model": "victim.training.loop",
    "save_weights": "victim.checkpoint",
    "load_weights": "victim.semseg",
    "PoisonedTestsConfig": "attack.config",
    "plan_tests": "attack.planned_tests",
    "PoisonedTest": "attack.poisoned_test",
    "Trigger": "attack.triggers.trigger",
    "TRIGGERS": "attack.triggers.registry",
    "PLACEMENTS": "attack.placements.registry",
    "triggered": "attack.triggered",
    "ExaminationConfig": "evaluation.config",
    "examine": "evaluation.examine",
    "TableSet": "scores.tables",
    "load_tables": "scores.tables",
    "attack_success_rate": "scores.metrics.functions",
    "victim_recovery": "scores.metrics.functions",
    "poisoned_benign_accuracy": "scores.metrics.functions",
    "clean_benign_accuracy": "scores.metrics.functions",
    "clean_scenes": "defense.clean",
    "REPAIRS": "defense.repairs.registry",
    "RepairContext": "defense.repairs.repair",
    "ExperimentWishes": "experiment.wishes",
    "DataWishes": "experiment.wishes",
    "AttackWishes": "experiment.wishes",
    "PoisonedTestsWishes": "experiment.wishes",
    "NetworkWishes": "experiment.wishes",
    "TrainingWishes": "experiment.wishes",
    "ExaminationWishes": "experiment.wishes",
    "ControlsWishes": "experiment.wishes",
    "ExperimentConfig": "experiment.config",
    "run_experiment": "papers.iba.run",
    "ExperimentRecord": "record",
    "load_record": "record",
    "repair_run": "experiment.repair",
    "SegdoorError": "errors",
}

# Type checkers know the names above; what else is asked for is a mistake that they should see.
if not TYPE_CHECKING:

    def __getattr__(name: str) -> object:
        """Import a public name when it is first used, so that `import segdoor` costs nothing."""
        if name not in _HOMES:
            raise AttributeError(f"module 'segdoor' has no attribute '{name}'")
        return getattr(import_module(f"segdoor.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    """List the public names."""
    return __all__
