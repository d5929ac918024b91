"""What a repair of a model changed."""

from __future__ import annotations

from segdoor.record.figures import Estimate, Figure, Json
from segdoor.settings import Settings


class PoisonedTestEffect(Settings):
    """One model in one poisoned test."""

    asr: Estimate
    """Attack success rate."""
    pba: Estimate
    """Poisoned benign accuracy."""
    victim_recovery: Figure
    """Share of victim pixels predicted as their own class despite the trigger."""


class ModelEffect(Settings):
    """One model, before or after a repair."""

    cba: Estimate
    """Clean benign accuracy."""
    victim_recovery: Figure
    """Share of victim pixels of untouched scenes predicted as their own class."""
    asr_without_trigger: Figure
    """Share of victim pixels predicted as the target class without a trigger."""
    tests: dict[str, PoisonedTestEffect]
    """The poisoned tests."""


class RepairRecord(Settings):
    """One repair, done to the backdoored model and, as a control, to the clean one."""

    repair: str
    """The repair as written on the command line, such as prune:30."""
    settings: Json
    """All its settings."""
    seed: int
    """Seed of the choice of clean scenes and of the repair's own random numbers."""
    num_clean_scenes: int
    """Number of clean training scenes that it was given."""
    layer: str | None
    """The layer that it changed, if it changes only one."""
    poisoned_before: ModelEffect
    """The backdoored model before the repair."""
    poisoned_after: ModelEffect
    """The backdoored model after the repair."""
    clean_before: ModelEffect | None
    """The clean model before the repair; null without a clean model."""
    clean_after: ModelEffect | None
    """The clean model after the same repair."""
    seconds: float
    """Wall time of the repair of the backdoored model, without tests."""

    def effects(self) -> dict[str, ModelEffect]:
        """Return what is known of the models, by the names of the fields."""
        known = {
            "poisoned_before": self.poisoned_before,
            "poisoned_after": self.poisoned_after,
            "clean_before": self.clean_before,
            "clean_after": self.clean_after,
        }
        return {name: effect for name, effect in known.items() if effect is not None}
