"""Everything that decides a run, as one tree of settings."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Literal

from pydantic import Field

from segdoor.attack.config import AttackConfig, PoisonedTestsConfig
from segdoor.data.config import DataConfig
from segdoor.errors import ConfigError
from segdoor.evaluation.config import ExaminationConfig
from segdoor.settings import Settings, validated
from segdoor.victim.config import NetworkConfig, Preset, TrainingConfig

Reading = Literal["paper", "official"]
Method = Literal["baseline", "nni", "prl", "nni+prl"]


class ControlsConfig(Settings):
    """What a run is compared with."""

    clean_model: bool = True
    """Train a second model on clean data, with the same seed and recipe."""
    clean_weights: Path | None = None
    """Weights of a clean model trained before, instead of training one; in a record as seen from
    its folder."""
    other_trigger: str = "windmill"
    """Another trigger of the same kind that was not trained on, shown at the same positions; the
    first of its siblings for kinds that have none of that name."""


class ExperimentConfig(Settings):
    """All settings of a run, with every value explicit."""

    title: str = "Influencer backdoor attack"
    """What the run is about, in a line."""
    seed: int = Field(default=0, ge=0)
    """Seed of poison and training."""
    reading: Reading = "paper"
    """Follow the paper, or the authors' code where it differs."""
    method: Method = "baseline"
    """The paper's attack: where triggers are placed, and whether pixels are relabelled."""
    preset: Preset = "fast"
    """The recipe that `training` starts from."""
    data: DataConfig = DataConfig()
    """The scenes."""
    attack: AttackConfig = AttackConfig()
    """The attacker."""
    tests: PoisonedTestsConfig = PoisonedTestsConfig()
    """The poisoned tests."""
    network: NetworkConfig = NetworkConfig()
    """The network."""
    training: TrainingConfig = TrainingConfig()
    """The recipe of training."""
    examination: ExaminationConfig = ExaminationConfig()
    """How models are examined."""
    controls: ControlsConfig = ControlsConfig()
    """What the run is compared with."""


def config_from(
    given: Mapping[str, object], *, source: object = "config", recorded: bool = False
) -> ExperimentConfig:
    """Build a configuration from plain data, see `validated`.

    Raises:
        ConfigError: If a key is unknown or a value breaks its rule.
    """
    return validated(ExperimentConfig, given, source=source, recorded=recorded)


def check_seed(seed: int, *, option: str) -> None:
    """Refuse a seed that `ExperimentConfig` would not take.

    Raises:
        ConfigError: If it is negative.
    """
    if seed < 0:
        raise ConfigError(option, "must be at least 0", seed, "Any whole number from 0 on will do.")
