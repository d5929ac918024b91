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
    """Also train a clean model with the same seed and recipe."""
    clean_weights: Path | None = None
    """Weights of the clean model, to save training it. In a record, relative to its folder."""
    other_trigger: str = "windmill"
    """Another trigger of the same kind, not used in training, to test at the same positions. If the
    kind has none of this name, its first other one."""


class ExperimentConfig(Settings):
    """All settings of a run, with every value explicit."""

    title: str = "Influencer backdoor attack"
    """What the run is about, in one line."""
    seed: int = Field(default=0, ge=0)
    """Seed of the poisoning and the training."""
    reading: Reading = "paper"
    """Follow the paper, or the authors' code where the two differ."""
    method: Method = "baseline"
    """The paper's attack; it sets placement and label changes."""
    preset: Preset = "fast"
    """The training recipe; other options change parts of it."""
    data: DataConfig = DataConfig()
    """The scenes."""
    attack: AttackConfig = AttackConfig()
    """The attack."""
    tests: PoisonedTestsConfig = PoisonedTestsConfig()
    """The poisoned tests."""
    network: NetworkConfig = NetworkConfig()
    """The network."""
    training: TrainingConfig = TrainingConfig()
    """The training recipe."""
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
