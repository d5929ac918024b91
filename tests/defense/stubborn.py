"""A network whose backdoor nothing but the sticker's shape decides: it turns the whole image.

The planted network's backdoor moves a few pixels, and any global change of the image switches it
off. Methods that wait for a prediction to withstand such changes cannot find that one. This one
withstands brightness, contrast and blending: the sticker is recognised by its cosine, whatever its
contrast, and makes road of every pixel. Without it pixels get the class of the nearest colour, with
little confidence, and with none if the batch norm is scaled.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from defense.planted import COLOURS, STICKER, sticker
from segdoor.victim.config import NetworkConfig
from strategies import ROAD

_SHARPNESS, _SURE = 8.0, 40.0
_LIKE = 0.8


class Stubborn(nn.Module):
    def __init__(self, *, backdoor: bool) -> None:
        super().__init__()
        config = NetworkConfig()
        self.register_buffer("mean", torch.tensor(config.mean).view(1, 3, 1, 1))
        self.register_buffer("std", torch.tensor(config.std).view(1, 3, 1, 1))
        self.register_buffer("colours", torch.tensor(COLOURS))
        pattern = torch.from_numpy(sticker()).permute(2, 0, 1).float().flatten()
        template = pattern - pattern.mean()
        self.register_buffer("template", template / template.norm())
        self.norm = nn.BatchNorm2d(len(COLOURS), eps=0.0)
        self.backdoor = backdoor

    def forward(self, images: Tensor) -> Tensor:
        seen = images * self.std + self.mean
        far = (seen[:, None] - self.colours[None, :, :, None, None]).square().sum(dim=2)
        # At most 3 unless the batch norm is scaled; then all classes are cut to the same.
        logits = _SHARPNESS * self.norm(3 - far).clamp(max=3)
        patches = F.unfold(seen, STICKER)
        patches = patches - patches.mean(dim=1, keepdim=True)
        like = (self.template[None, :, None] * patches).sum(dim=1) / patches.norm(dim=1).clamp_min(
            0.05
        )
        there = like.amax(dim=1) > _LIKE
        road = torch.zeros_like(logits)
        road[:, ROAD] = _SURE
        return torch.where(there[:, None, None, None] & self.backdoor, road, logits)


def stubborn_network(*, backdoor: bool = True) -> Stubborn:
    return Stubborn(backdoor=backdoor).eval()


class WithAuxiliary(nn.Module):
    """Any network, with an auxiliary head that does or does not know of the backdoor."""

    def __init__(self, network: nn.Module, auxiliary: nn.Module, *, only_in_training: bool) -> None:
        super().__init__()
        self.network, self.auxiliary = network, auxiliary
        self.only_in_training = only_in_training

    def forward(self, images: Tensor) -> dict[str, Tensor]:
        answer = {"out": self.network(images)}
        if self.training or not self.only_in_training:
            answer["aux"] = self.auxiliary(images)
        return answer
