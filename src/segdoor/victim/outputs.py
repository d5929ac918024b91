"""What a network returns, and how to read the same from anybody else's network.

Shapes continue the legend of ``segdoor.tensors``: ``h`` and ``w`` are the height and width of
feature maps in cells, ``_`` is any number of channels.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeAlias, cast

from jaxtyping import Float
from torch import Tensor

from segdoor.errors import ConfigError

Images: TypeAlias = Float[Tensor, "B 3 H W"]
"""Pictures, normalised as the backbone's weights expect."""

Features: TypeAlias = Float[Tensor, "B _ h w"]
"""Feature maps inside a network."""

Logits: TypeAlias = Float[Tensor, "B K H W"]
"""One unnormalised score a class and pixel."""


@dataclass(frozen=True, eq=False)
class SegmentationOutput:
    """What every network of this package returns.

    Attributes:
        logits: Class scores at the resolution of the input.
        auxiliary: Class scores of the auxiliary head, at the same resolution; only in training,
            and only from networks that have such a head.
    """

    logits: Logits
    auxiliary: Logits | None = None


def logits_of(output: object) -> Logits:
    """Return the class scores in what any network returned.

    Three forms are understood, so that a third-party ``torch.nn.Module`` needs no adapter: a
    tensor, a mapping with the key ``"out"``, and an object with the attribute ``logits``. The
    scores come back as they are; nothing is resized.

    Args:
        output: What calling the network returned.

    Returns:
        Class scores, batch x classes x height x width.

    Raises:
        ConfigError: If the output has none of the forms, or its scores are no floating-point
            numbers on four axes.
    """
    found = output if isinstance(output, Tensor) else _found(output, "out", "logits")
    if not isinstance(found, Tensor):
        raise ConfigError(
            "network output",
            "must hold a tensor of logits",
            _described(output),
            'Return a tensor, a mapping with the key "out" or an object with the attribute logits.',
        )
    return _four_axes(found, "network output")


def auxiliary_of(output: object) -> Logits | None:
    """Return the auxiliary head's class scores in what any network returned, if there are any.

    Args:
        output: What calling the network returned; the attribute ``auxiliary`` and the key
            ``"aux"`` of a mapping are looked at.

    Returns:
        Class scores, batch x classes x height x width, or None.

    Raises:
        ConfigError: If there is something, but no tensor of four axes.
    """
    found = _found(output, "aux", "auxiliary")
    if found is None:
        return None
    if not isinstance(found, Tensor):
        raise ConfigError(
            "auxiliary output",
            "must be a tensor of logits",
            _described(found),
            "Return a tensor or None under 'aux'.",
        )
    return _four_axes(found, "auxiliary output")


def _found(output: object, key: str, attribute: str) -> object:
    """Look under the key of a mapping, else in the attribute, else find nothing."""
    if isinstance(output, Mapping):
        entries = cast("Mapping[str, object]", output)
        if key in entries:
            return entries[key]
    return cast("object", getattr(cast("object", output), attribute, None))


def _four_axes(logits: Tensor, culprit: str) -> Tensor:
    if logits.ndim != 4 or not logits.is_floating_point():
        kind = str(logits.dtype).removeprefix("torch.")
        raise ConfigError(
            culprit,
            "must be floating-point scores, batch x classes x height x width",
            f"shape {tuple(logits.shape)} of {kind}",
            "Return scores of the classes, not class ids.",
        )
    return logits


def _described(value: object) -> str:
    name = type(value).__name__
    if not isinstance(value, Mapping):
        return name
    keys = [repr(key) for key in cast("Mapping[object, object]", value)]
    return f"{name} with keys {', '.join(keys)}" if keys else f"empty {name}"
