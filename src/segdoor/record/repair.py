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
    """The repair as it is written on the command line, such as prune:30."""
    settings: Json
    """Every setting of it."""
    seed: int
    """Seed of its choice of clean scenes and of its own randomness."""
    num_clean_scenes: int
    """Clean training scenes it was given."""
    layer: str | None
    """The layer it changed, if it changes only one."""
    poisoned_before: ModelEffect
    """The backdoored model before."""
    poisoned_after: ModelEffect
    """The backdoored model after."""
    clean_before: ModelEffect | None
    """The clean model before; null without one."""
    clean_after: ModelEffect | None
    """The clean model after the same repair."""
    seconds: float
    """Wall time of the repair of the backdoored model, without tests."""

    def effects(self) -> dict[str, ModelEffect]:
        """Return the models that were measured, by field name."""
        known = {
            "poisoned_before": self.poisoned_before,
            "poisoned_after": self.poisoned_after,
            "clean_before": self.clean_before,
            "clean_after": self.clean_after,
        }
        return {name: effect for name, effect in known.items() if effect is not None}
