"""Models that a defender looks at stay as they are, and it is counted how often they are asked."""

from __future__ import annotations

import time
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass

from torch import Tensor, nn

from segdoor.data.scene import SceneDataset
from segdoor.defense.defense import Cost, Defense
from segdoor.victim.answer import logits_of
from segdoor.victim.members import layers, parameters_of
from segdoor.victim.training.fingerprint import weights_digest


@dataclass
class Meter:
    """Counts while a method is at work.

    Attributes:
        started: When it began.
        clean_scenes: Clean scenes that it was given.
        forward: Images that the model was shown so far.
        backward: Images that gradients were asked for so far.
    """

    started: float
    clean_scenes: int
    forward: int = 0
    backward: int = 0

    @property
    def cost(self) -> Cost:
        """Return what it took until now."""
        seconds = time.perf_counter() - self.started
        return Cost(seconds, self.forward, self.backward, self.clean_scenes)


@contextmanager
def untouched(
    model: nn.Module | None, method: Defense, clean: SceneDataset | None
) -> Generator[Meter]:
    """Let a method look at a model, and refuse it if the model is not the same afterwards.

    Raises:
        ConfigError: If weights, buffers, modes, hooks or gradients were changed, or something that
            the method needs is missing.
    """
    method.check_given(model, clean)
    meter = Meter(time.perf_counter(), 0 if clean is None else len(clean))
    if model is None:
        yield meter
        return
    before = _state(model)
    hook = nn.Module.register_forward_hook(model, _counting(meter))
    try:
        yield meter
    finally:
        hook.remove()
    changed = [what for what, now in _state(model).items() if now != before[what]]
    if changed:
        raise method.refused(
            "must leave the model as it was",
            f"changed {', '.join(changed)}",
            "Let it work on a copy: copy.deepcopy(model).",
        )


def _counting(meter: Meter):  # noqa: ANN202 - a hook as torch wants it
    # A function and no bound method: copies of the model, which methods may make, count here too.
    def count(_: nn.Module, __: tuple[object, ...], output: object) -> None:
        logits = logits_of(output)
        meter.forward += logits.shape[0]
        if logits.requires_grad:
            logits.register_hook(count_back)

    def count_back(gradient: Tensor) -> None:
        meter.backward += gradient.shape[0]

    return count


def _state(model: nn.Module) -> dict[str, object]:
    """Return what must stay, by what it is called."""
    return {
        "weights or buffers": weights_digest(model),
        "modes": [layer.training for layer in layers(model)],
        "hooks": [
            (name, tuple((key, id(hook)) for key, hook in hooks.items()))
            for layer in layers(model)
            for name, hooks in vars(layer).items()
            if name.endswith("_hooks") and isinstance(hooks, dict)
        ],
        "gradients": [
            (weight.requires_grad, weight.grad is None) for weight in parameters_of(model)
        ],
    }
