"""SegFormer, a transformer for segmentation (Xie et al. 2021, arXiv 2105.15203)."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final, cast

from torch import nn

from segdoor.errors import ConfigError, DataError
from segdoor.plugins import Introduction
from segdoor.record import LoadedWeights
from segdoor.victim.checkpoint import note_loaded
from segdoor.victim.networks.hugging_face import (
    TransformersNetwork,
    library,
    read_config,
    read_model,
)
from segdoor.victim.networks.network import NetworkPlugin
from segdoor.victim.setting_types import BackboneWeights, Dropout, SegFormerSize


@dataclass(frozen=True)
class Variant:
    """What distinguishes a size.

    Attributes:
        depths: Transformer blocks in each of the four stages.
        channels: Channels of each stage.
        decoder: Channels of the decoder.
    """

    depths: tuple[int, int, int, int]
    channels: tuple[int, int, int, int]
    decoder: int


_WIDE: Final = (64, 128, 320, 512)
VARIANTS: Final[dict[str, Variant]] = {
    "b0": Variant((2, 2, 2, 2), (32, 64, 160, 256), 256),
    "b1": Variant((2, 2, 2, 2), _WIDE, 256),
    "b2": Variant((3, 4, 6, 3), _WIDE, 768),
    "b3": Variant((3, 4, 18, 3), _WIDE, 768),
    "b4": Variant((3, 8, 27, 3), _WIDE, 768),
    "b5": Variant((3, 6, 40, 3), _WIDE, 768),
}
"""Xie et al. 2021, table 6 and section 4.1."""


class SegFormer(TransformersNetwork):
    """SegFormer with fresh weights, as transformers builds it."""

    def __init__(self, num_classes: int, *, variant: str = "b0", dropout: float = 0.1) -> None:
        """Build the network.

        Args:
            num_classes: Classes to tell apart.
            variant: One of ``VARIANTS``.
            dropout: Probability that a value is blanked before the classifier.

        Raises:
            MachineError: If transformers is not installed.
        """
        size = VARIANTS[variant]
        transformers = library()
        config = transformers.SegformerConfig(
            num_labels=num_classes,
            depths=list(size.depths),
            hidden_sizes=list(size.channels),
            decoder_hidden_size=size.decoder,
            classifier_dropout_prob=dropout,
        )
        super().__init__(transformers.SegformerForSemanticSegmentation(config))
        self.variant = variant

    def load_encoder(self, folder: Path) -> LoadedWeights:
        """Fill the encoder with ImageNet weights.

        Args:
            folder: What ``save_pretrained`` wrote of a SegFormer for classification or
                segmentation, for example a copy of ``nvidia/mit-b0``.

        Raises:
            ConfigError: If it is no folder.
            DataError: If it holds another model, or another size of this one.
        """
        if not folder.is_dir():
            raise ConfigError(
                "network.backbone_weights",
                "must be a folder with config.json and model.safetensors for segformer",
                folder,
                "Name the folder that save_pretrained wrote.",
            )
        described = read_config(folder)
        found = _variant_of(described)
        if found != self.variant:
            raise DataError(
                folder,
                f"must hold the encoder of a SegFormer {self.variant}",
                found,
                f"Set network.variant {found}." if found in VARIANTS else "Take another folder.",
            )
        encoder, loaded = read_model(
            library().SegformerModel, folder, described, extra=("classifier.", "decode_head.")
        )
        cast("nn.Module", self.model.segformer).load_state_dict(encoder.state_dict())
        return loaded.model_copy(update={"part": "backbone"})


class SegFormerPlugin(NetworkPlugin):
    """SegFormer of a chosen size."""

    kind = "segformer"
    main = "variant"
    introduction = Introduction(
        source="Xie et al. 2021, arXiv 2105.15203, as transformers builds it",
        does="A hierarchical transformer with a light decoder.",
        needs="The extra `transformers`; to learn well, an encoder with ImageNet weights.",
        fails="It is not one of the paper's networks, so its figures cannot be compared with the "
        "paper's.",
    )
    variant: SegFormerSize = "b0"
    """The size."""
    dropout: Dropout = 0.1
    """Share of values dropped before the classifier in training."""
    backbone_weights: BackboneWeights = None
    """ImageNet weights of the encoder: a folder that save_pretrained wrote."""

    def build(self, num_classes: int) -> SegFormer:
        """Return the network, its encoder filled with the weights that the settings name.

        Args:
            num_classes: Classes to tell apart.

        Raises:
            ConfigError: If the weights are no folder.
            DataError: If they are of another model.
            MachineError: If transformers is not installed.
        """
        network = SegFormer(num_classes, variant=self.variant, dropout=self.dropout)
        if self.backbone_weights is not None:
            note_loaded(network, network.load_encoder(Path(self.backbone_weights)))
        return network


def _variant_of(described: object) -> str:
    """Return the variant that a configuration describes, or what else it is."""
    depths = tuple(getattr(described, "depths", ()))
    channels = tuple(getattr(described, "hidden_sizes", ()))
    for name, size in VARIANTS.items():
        if (size.depths, size.channels) == (depths, channels):
            return name
    return str(getattr(described, "model_type", "no model"))
