"""What somebody asks of a run: every setting may be left out, and then follows from others.

A class of wishes has the fields of its facts, and None for what follows. Rules and help are those
of the facts.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar, Literal

from pydantic import ConfigDict, model_validator

from segdoor.attack.config import (
    AttackConfig,
    MarginConfig,
    OnVictim,
    PoisonedTestsConfig,
    RulesConfig,
)
from segdoor.attack.labels.registry import LabelsWish
from segdoor.attack.placements.drawing import Draw
from segdoor.attack.placements.registry import PlacementWish
from segdoor.attack.triggers.registry import TriggerSetting
from segdoor.data.config import DataConfig
from segdoor.evaluation.config import ExaminationConfig
from segdoor.experiment.config import ControlsConfig, ExperimentConfig, Method, Reading
from segdoor.settings import Pixels, ReadingInfo, Telling, Wishes, validated
from segdoor.victim.config import (
    AugmentationConfig,
    BlurOrder,
    NetworkConfig,
    Preset,
    ScaleDistribution,
    TrainingConfig,
    network_settings,
)
from segdoor.victim.setting_types import Channels, ClassOrder, Depth, OutputStride, Rgb


class DataWishes(Wishes):
    """The settings that you give for the scenes."""

    facts = DataConfig
    follows = dict.fromkeys(("name", "size"), "preset")
    name: str | None = None
    root: Path | None = None
    size: tuple[Pixels, Pixels] | None = None
    num_train: int | None = None
    num_test: int | None = None
    exclude: Path | None = None
    train_split: str | None = None
    test_split: str | None = None
    seed: int | None = None


class MarginWishes(Wishes):
    """The margin that is asked for."""

    facts = MarginConfig
    follows = dict.fromkeys(("vertical", "horizontal", "unit"), "reading")
    vertical: float | None = None
    horizontal: float | None = None
    unit: Literal["fraction", "pixels"] | None = None


class RulesWishes(Wishes):
    """The rules that are asked for."""

    facts = RulesConfig
    follows = dict.fromkeys(("distance", "lower_included"), "reading")
    single_class: bool | None = None
    on_victim: OnVictim | None = None
    margin: MarginWishes = MarginWishes()
    distance: Literal["euclidean", "chebyshev"] | None = None
    lower_included: bool | None = None


class AttackWishes(Wishes):
    """The settings that you give for the attack."""

    facts = AttackConfig
    follows: ClassVar = {
        **dict.fromkeys(("victims", "target"), "preset and data set"),
        "placement": "method and reading",
        "labels": "method and reading",
        "without_room": "reading",
    }
    rate: float | None = None
    trigger: TriggerSetting | None = None
    placement: PlacementWish | None = None
    labels: LabelsWish | None = None
    victims: tuple[str, ...] | None = None
    """Victim classes: what disappears. Short for the victims of the first label change that has
    victims and one target, as hide has."""
    target: str | None = None
    """Target class: what the victim pixels are predicted as. Short for the target of that label
    change."""
    rules: RulesWishes = RulesWishes()
    without_room: Literal["skip", "relabel"] | None = None
    shortfall: Literal["error", "all_available"] | None = None


class PoisonedTestsWishes(Wishes):
    """The settings that you give for the poisoned tests."""

    facts = PoisonedTestsConfig
    follows: ClassVar = {
        **dict.fromkeys(("near", "far"), "the scenes' height"),
        **dict.fromkeys(("scope", "without_room", "without_victims", "draw"), "reading"),
    }
    near: tuple[float, float] | None = None
    far: tuple[float, ...] | None = None
    rules: RulesWishes = RulesWishes()
    scope: Literal["all", "with_victims"] | None = None
    without_room: Literal["exclude", "count"] | None = None
    without_victims: Literal["leave_out", "count"] | None = None
    draw: Draw | None = None
    seed: int | None = None


class NetworkWishes(Wishes):
    """The settings that you give for the network."""

    # A network of one's own may have settings of its own.
    model_config = ConfigDict(extra="allow")
    facts = NetworkConfig
    follows: ClassVar = {"dropout": "reading"}
    name: str | None = None
    backbone: str | None = None
    depth: Depth | None = None
    stem: Literal["deep", "plain"] | None = None
    output_stride: OutputStride | None = None
    variant: Literal["b0", "b1", "b2", "b3", "b4", "b5"] | None = None
    folder: Path | None = None
    dropout: float | None = None
    backbone_weights: Literal["imagenet"] | Path | None = None
    weights: Path | None = None
    mean: Rgb | None = None
    std: Rgb | None = None
    channels: Channels | None = None
    void_logit: int | None = None
    class_order: ClassOrder | None = None

    @model_validator(mode="before")
    @classmethod
    def _spelled(cls, given: object, info: ReadingInfo) -> object:
        return network_settings(given, Telling.of(info.context))


class AugmentationWishes(Wishes):
    """The random changes that are asked for."""

    facts = AugmentationConfig
    follows = dict.fromkeys(AugmentationConfig.model_fields, "preset")
    scale: tuple[float, float] | None = None
    scale_distribution: ScaleDistribution | None = None
    rotation: float | None = None
    rotation_probability: float | None = None
    blur_probability: float | None = None
    blur: BlurOrder | None = None
    flip_probability: float | None = None
    crop: tuple[Pixels, Pixels] | None = None


class TrainingWishes(Wishes):
    """The settings that you give for the recipe."""

    facts = TrainingConfig
    follows: ClassVar = {
        **dict.fromkeys(("epochs", "optimiser", "learning_rate", "head_multiplier"), "preset"),
        **dict.fromkeys(("weight_decay", "warmup"), "preset"),
        "batch_size": "preset and reading",
    }
    epochs: int | None = None
    batch_size: int | None = None
    optimiser: Literal["sgd", "adamw"] | None = None
    learning_rate: float | None = None
    head_multiplier: float | None = None
    momentum: float | None = None
    weight_decay: float | None = None
    warmup: int | None = None
    power: float | None = None
    auxiliary_weight: float | None = None
    augmentation: AugmentationWishes = AugmentationWishes()
    precision: Literal["auto", "float32", "bfloat16"] | None = None
    step: Literal["auto", "plain", "captured", "compiled"] | None = None
    device: str | None = None
    threads: int | None = None


class ExaminationWishes(Wishes):
    """The settings that you give for examining models."""

    facts = ExaminationConfig
    follows = dict.fromkeys(
        ("flip", "input_size", "score_at", "label_resize", "absent_class"), "reading"
    )
    batch_size: int | None = None
    flip: bool | None = None
    input_size: Literal["scene", "eights_plus_one"] | None = None
    size_multiple: int | None = None
    score_at: Literal["label", "input"] | None = None
    label_resize: Literal["nearest_exact", "nearest"] | None = None
    absent_class: Literal["leave_out", "zero"] | None = None
    precision: Literal["auto", "float32", "bfloat16"] | None = None


class ControlsWishes(Wishes):
    """The settings that you give for the controls."""

    facts = ControlsConfig
    clean_model: bool | None = None
    clean_weights: Path | None = None
    other_trigger: str | None = None


class ExperimentWishes(Wishes):
    """The settings that you give for a run; the others follow from these and the scenes."""

    facts = ExperimentConfig
    title: str = ExperimentConfig.model_fields["title"].default
    seed: int = 0
    reading: Reading = "paper"
    method: Method = "baseline"
    preset: Preset | None = None
    data: DataWishes = DataWishes()
    attack: AttackWishes = AttackWishes()
    tests: PoisonedTestsWishes = PoisonedTestsWishes()
    network: NetworkWishes = NetworkWishes()
    training: TrainingWishes = TrainingWishes()
    examination: ExaminationWishes = ExaminationWishes()
    controls: ControlsWishes = ControlsWishes()


def wishes_from(given: Mapping[str, object], *, source: object = "config") -> ExperimentWishes:
    """Build wishes from plain data.

    Raises:
        ConfigError: If a key is unknown or a value breaks its rule.
    """
    return validated(ExperimentWishes, given, source=source)
