"""Ask any network for its answer, and check that it is one.

Shapes continue the legend of ``segdoor.tensors``: ``h`` and ``w`` are the height and width of
feature maps in cells, ``_`` is any number of channels.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeAlias, cast

import torch.nn.functional as F
from jaxtyping import Float, Int64
from torch import Tensor, nn

from segdoor.errors import ConfigError, SegdoorError, first_line
from segdoor.victim.device import enough_memory

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


def ask(
    network: nn.Module, images: Images, *, num_classes: int | None, size: tuple[int, int]
) -> SegmentationOutput:
    """Return a network's logits, and the auxiliary head's if there are any, at a given size.

    Args:
        network: One of ours or any other from images to logits.
        images: Normalised, B x 3 x H x W.
        num_classes: Number of classes K; None for as many as the network answers with.
        size: Height and width that logits are brought to bilinearly.

    Returns:
        Logits in float32.

    Raises:
        ConfigError: If the network fails, or its logits do not fit the classes.
        MachineError: If the device has not enough memory.
    """
    try:
        with enough_memory():
            output: object = network(images)
    except SegdoorError:
        raise
    except Exception as why:
        raise ConfigError(
            f"network {type(network).__name__}",
            f"must answer images of shape {tuple(images.shape)}",
            first_line(why),
            "Check its code. If it takes some sizes alone, show it such:"
            " examination.size_multiple 32, examination.input_size eights_plus_one, or data.size.",
        ) from why
    auxiliary = auxiliary_of(output)
    logits = logits_of(output)
    wanted = images.shape[0], logits.shape[1] if num_classes is None else num_classes
    return SegmentationOutput(
        _fitted(logits, wanted, size),
        None if auxiliary is None else _fitted(auxiliary, wanted, size),
    )


def logits_of(output: object) -> Logits:
    """Return the class scores in what any network returned.

    Three forms are understood, so that a third-party ``torch.nn.Module`` needs no adapter: a
    tensor, a mapping with the key ``"out"``, and an object with the attribute ``logits``. The
    scores come back as they are; nothing is resized.

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


def best_classes(logits: Logits) -> Int64[Tensor, "B H W"]:
    """Return the class with the highest score at each pixel, the first of several.

    On a CPU this takes a half to a sixth of the time of ``argmax``.
    """
    return logits.max(dim=1).indices


def void_hint(found: int, wanted: int) -> str:
    """Return what to do about a network of one logit too many; empty if it is something else."""
    if found != wanted + 1:
        return ""
    return (
        f" If one of its {found} logits stands for void, name its place, counted from 0:"
        f" network.void_logit {wanted}, for the last one."
    )


def _fitted(logits: Tensor, wanted: tuple[int, int], size: tuple[int, int]) -> Tensor:
    """Bring logits to a size, once batch and classes are found to be as wanted."""
    if logits.shape[:2] != wanted or not logits.numel():
        raise ConfigError(
            "network",
            f"must return logits {wanted[0]} x {wanted[1]} x H x W: scenes, then classes",
            tuple(logits.shape),
            "Build it with the data set's number of classes."
            + void_hint(logits.shape[1], wanted[1]),
        )
    logits = logits.float()
    if logits.shape[2:] == size:
        return logits
    # Deviation 18: the authors enlarge with corners aligned; networks of others, which alone answer
    # at another size, are enlarged as their makers do.
    return F.interpolate(logits, size=size, mode="bilinear", align_corners=False)


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
