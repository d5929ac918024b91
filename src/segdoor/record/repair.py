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
    """Share of victim pixels predicted as their own class in spite of the trigger."""


class ModelEffect(Settings):
    """One model, before or after a repair."""

    cba: Estimate
    """Clean benign accuracy."""
    victim_recovery: Figure
    """Share of victim pixels of untouched scenes predicted as their own class."""
    asr_without_trigger: Figure
    """Share of victim pixels taken for the target class although no trigger is there."""
    tests: dict[str, PoisonedTestEffect]
    """The poisoned tests."""


class RepairRecord(Settings):
    """One repair, done to the backdoored model and, as a control, to the clean one."""

    repair: str
    """The repair as it is written on the command line, such as prune:30."""
    settings: Json
    """Every setting of it."""
    seed: int
    """Decides which clean scenes it saw, and its own randomness."""
    num_clean_scenes: int
    """Clean training scenes it was given."""
    layer: str | None
    """The layer it changed, where it changes one alone."""
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
    remarks: tuple[str, ...] = ()
    """What was done to the backdoored model, in short phrases, such as 190 steps."""
    remarks_clean: tuple[str, ...] = ()
    """What the same repair did to the clean model."""
    forward: int | None = None
    """Images that the backdoored model was shown; null if the repair does not say."""
    backward: int | None = None
    """Images that gradients of the backdoored model were asked for; null if the repair does not
    say."""

    def effects(self) -> dict[str, ModelEffect]:
        """Return what is known of the models, by the names of the fields."""
        known = {
            "poisoned_before": self.poisoned_before,
            "poisoned_after": self.poisoned_after,
            "clean_before": self.clean_before,
            "clean_after": self.clean_after,
        }
        return {name: effect for name, effect in known.items() if effect is not None}
