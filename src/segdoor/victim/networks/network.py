"""What a kind of network is: settings, and how to build what they describe."""

from __future__ import annotations

from abc import abstractmethod
from typing import ClassVar

from torch import nn

from segdoor.plugins import Plugin


class NetworkPlugin(Plugin):
    """A kind of network, with its settings.

    Attributes:
        learns: Whether its weights can be changed; others are examined alone.
    """

    learns: ClassVar[bool] = True

    @abstractmethod
    def build(self, num_classes: int) -> nn.Module:
        """Return the network: from normalised images, B x 3 x H x W, to logits, B x K x H x W.

        Fresh weights are drawn from torch's generator. Logits may come as a tensor, in a mapping
        or as an attribute, see `segdoor.victim.answer.logits_of`.

        Args:
            num_classes: Number of classes K.
        """

    def expects(self) -> tuple[object, object] | None:
        """Return mean and deviation of the images it was made for; None if nobody says.

        Settings that leave both at another default are refused.
        """
        return None

    def reads_bgr(self) -> bool:
        """Tell whether it brings the channels into the order blue, green, red by itself."""
        return False
