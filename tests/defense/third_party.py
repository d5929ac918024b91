"""Networks as strangers write them, and ours, small enough to be repaired in a test."""

from __future__ import annotations

import copy
import functools
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from segdoor.victim.config import NetworkConfig
from segdoor.victim.networks.building import build_network
from segdoor.victim.networks.hugging_face import TransformersNetwork

CLASSES = 8


class Homemade(nn.Module):
    """ReLU as a function, the result in a mapping, and an auxiliary head that runs last of all."""

    def __init__(self) -> None:
        super().__init__()
        self.aux = nn.Conv2d(5, CLASSES, 1)
        self.head = nn.Conv2d(6, CLASSES, 3, padding=1)
        self.body = nn.Conv2d(3, 5, 3, padding=1, stride=2)
        self.norm = nn.BatchNorm2d(6)
        self.neck = nn.Conv2d(5, 6, 1, groups=1)

    def forward(self, images: Tensor) -> dict[str, Tensor]:
        features = F.relu(self.body(images))
        wide = F.interpolate(F.relu(self.norm(self.neck(features))), images.shape[2:])
        return {"out": self.head(F.dropout(wide, 0.5, self.training)), "aux": self.aux(features)}


class Tokens(nn.Module):
    """Pixels as tokens, channels last, and a linear layer as the classifier."""

    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Conv2d(3, 7, 4, stride=4)
        self.mix = nn.Linear(7, 9)
        self.classify = nn.Linear(9, CLASSES)

    def forward(self, images: Tensor) -> Tensor:
        tokens = self.embed(images).permute(0, 2, 3, 1)
        return self.classify(F.gelu(self.mix(tokens))).permute(0, 3, 1, 2)


class Upwards(nn.Module):
    """A transposed convolution as the classifier."""

    def __init__(self) -> None:
        super().__init__()
        self.down = nn.Sequential(nn.Conv2d(3, 6, 2, stride=2), nn.ReLU(inplace=True))
        self.up = nn.ConvTranspose2d(6, CLASSES, 2, stride=2)

    def forward(self, images: Tensor) -> Tensor:
        return self.up(self.down(images))


class Shuffled(nn.Module):
    """No layer has an output for each class: the classes are made by shuffling pixels."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Conv2d(3, CLASSES, 3, padding=1, stride=2)
        self.last = nn.Conv2d(CLASSES, 4 * CLASSES, 1)
        self.spare = nn.Conv2d(CLASSES, 2, 1)

    def forward(self, images: Tensor) -> Tensor:
        return F.pixel_shuffle(self.last(F.relu(self.body(images))), 2)


class Normed(nn.Module):
    """Weight norm: the classifier's weights are computed from others and cannot be set."""

    def __init__(self) -> None:
        super().__init__()
        self.classifier = nn.utils.parametrizations.weight_norm(nn.Conv2d(3, CLASSES, 1))

    def forward(self, images: Tensor) -> Tensor:
        return self.classifier(images)


def _ours(**settings: object) -> nn.Module:
    return build_network(NetworkConfig.model_validate(settings), CLASSES)


def _segformer() -> nn.Module:
    from transformers import SegformerConfig, SegformerForSemanticSegmentation

    config = SegformerConfig(
        num_labels=CLASSES, depths=[1, 1, 1, 1], hidden_sizes=[8, 16, 16, 16],
        num_attention_heads=[1, 2, 2, 2], decoder_hidden_size=12,
    )  # fmt: skip
    return TransformersNetwork(SegformerForSemanticSegmentation(config))


def _upernet() -> nn.Module:
    from transformers import ConvNextConfig, UperNetConfig, UperNetForSemanticSegmentation

    backbone = ConvNextConfig(
        hidden_sizes=[4, 4, 4, 4], depths=[1, 1, 1, 1],
        out_features=["stage1", "stage2", "stage3", "stage4"],
    )  # fmt: skip
    config = UperNetConfig(
        backbone_config=backbone, num_labels=CLASSES, hidden_size=8, auxiliary_in_channels=4,
        auxiliary_channels=4,
    )  # fmt: skip
    return TransformersNetwork(UperNetForSemanticSegmentation(config))


NETWORKS: dict[str, tuple[Callable[[], nn.Module], str, int]] = {
    "small": (lambda: _ours(name="small"), "classifier", 32),
    "pspnet": (lambda: _ours(name="pspnet", depth=18), "classifier", 128),
    "deeplabv3": (lambda: _ours(name="deeplabv3", depth=18), "classifier", 64),
    "segformer": (_segformer, "model.decode_head.classifier", 12),
    "upernet": (_upernet, "model.decode_head.classifier", 8),
    "homemade": (Homemade, "head", 6),
    "tokens": (Tokens, "classify", 9),
    "upwards": (Upwards, "up", 6),
}
"""How to build each, its classifier, and how many channels that one reads."""


def made(name: str, seed: int = 0) -> nn.Module:
    """Build a network whose batch norms are not all alike, and let no channel sleep throughout."""
    # A copy is much faster than drawing millions of weights again.
    return copy.deepcopy(_made(name, seed))


@functools.lru_cache(maxsize=2)
def _made(name: str, seed: int) -> nn.Module:
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        network = NETWORKS[name][0]()
        for module in network.modules():
            if isinstance(module, nn.BatchNorm2d):
                nn.init.uniform_(module.weight, 0.5, 1.5)
                nn.init.uniform_(module.bias, 0.2, 1.0)
    return network.eval()
