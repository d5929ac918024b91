"""Measure, reproduce and defend against Influencer Backdoor Attacks on semantic segmentation.

The story in order: honest scenes (`load_dataset`), an attacker who poisons a few of them
(`plan_poison`, `poisoned`), a victim who trains on them (`train_victim`), an examiner who shows the
victim scenes with and without the trigger (`plan_exams`, `triggered`, `examine`), and the figures
(`attack_success_rate`, `poisoned_benign_accuracy`, `clean_benign_accuracy`). `run_experiment` tells
it all at once and leaves an `ExperimentRecord`.
"""

from importlib import import_module

_HOMES = {
    "DataConfig": "segdoor.data.config",
    "load_dataset": "segdoor.data.load",
    "AttackConfig": "segdoor.attack.config",
    "plan_poison": "segdoor.attack.planning",
    "poisoned": "segdoor.attack.poisoned",
    "ExamsConfig": "segdoor.attack.config",
    "plan_exams": "segdoor.attack.exam",
    "triggered": "segdoor.attack.triggered",
    "load_trigger": "segdoor.attack.trigger",
    "TrainingConfig": "segdoor.victim.config",
    "train_victim": "segdoor.victim.training",
    "Training": "segdoor.victim.training",
    "train_victims": "segdoor.victim.training",
    "examine": "segdoor.evaluation.examine",
    "attack_success_rate": "segdoor.scores.metrics",
    "poisoned_benign_accuracy": "segdoor.scores.metrics",
    "clean_benign_accuracy": "segdoor.scores.metrics",
    "ExperimentConfig": "segdoor.experiment.config",
    "run_experiment": "segdoor.experiment.run",
    "ExperimentRecord": "segdoor.record",
}

__all__ = list(_HOMES)  # pyright: ignore[reportUnsupportedDunderAll]


def __getattr__(name: str) -> object:
    """Import a public name when it is first used, so that `import segdoor` costs nothing."""
    if name not in _HOMES:
        raise AttributeError(f"module 'segdoor' has no attribute '{name}'")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    """List the public names."""
    return __all__
