"""Ask any network for its answer, and check that it is one."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from segdoor.errors import ConfigError, SegdoorError, first_line
from segdoor.victim.device import enough_memory
from segdoor.victim.outputs import Images, SegmentationOutput, auxiliary_of, logits_of


def ask(
    network: nn.Module, images: Images, *, num_classes: int, size: tuple[int, int]
) -> SegmentationOutput:
    """Return a network's logits, and the auxiliary head's if there are any, at a given size.

    Args:
        network: One of ours or any other from images to logits.
        images: Normalised, B x 3 x H x W.
        num_classes: Number of classes K.
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
            "Check its code, or show it scenes of another size.",
        ) from why
    auxiliary = auxiliary_of(output)
    wanted = images.shape[0], num_classes
    return SegmentationOutput(
        _fitted(logits_of(output), wanted, size),
        None if auxiliary is None else _fitted(auxiliary, wanted, size),
    )


def _fitted(logits: Tensor, wanted: tuple[int, int], size: tuple[int, int]) -> Tensor:
    """Bring logits to a size, once batch and classes are found to be as wanted."""
    if logits.shape[:2] != wanted or not logits.numel():
        raise ConfigError(
            "network",
            f"must return logits {wanted[0]} x {wanted[1]} x H x W: scenes, then classes",
            tuple(logits.shape),
            "Build it with the data set's number of classes.",
        )
    logits = logits.float()
    if logits.shape[2:] == size:
        return logits
    # Deviation 18: the authors enlarge with corners aligned; networks of others, which alone answer
    # at another size, are enlarged as their makers do.
    return F.interpolate(logits, size=size, mode="bilinear", align_corners=False)
