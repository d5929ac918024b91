"""SAM's image encoder and mask decoder with a learned prompt for each class.

SAM (Kirillov et al. 2023, arXiv 2304.02643) answers a prompt, a point or a box, with a mask that
has no class. Here every class has a prompt of its own, one vector that is learned, and a pixel's
logit of a class is the logit of that class's mask. How SAM is made to name classes is our choice;
papers that do so differ.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal, cast

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from segdoor.errors import ConfigError, DataError
from segdoor.plugins import Introduction
from segdoor.victim.answer import Images, SegmentationOutput
from segdoor.victim.checkpoint import note_loaded
from segdoor.victim.networks.hugging_face import library, read_config, read_model
from segdoor.victim.networks.network import NetworkPlugin

SamSize = Literal["tiny", "b", "l", "h"]


@dataclass(frozen=True)
class Encoder:
    """What distinguishes a size of the image encoder.

    Attributes:
        width: Channels of a token.
        depth: Transformer blocks.
        heads: Attention heads.
        all_over: Blocks whose attention spans the whole image, not a window.
    """

    width: int
    depth: int
    heads: int
    all_over: tuple[int, ...]


ENCODERS: Final[dict[str, Encoder]] = {
    "tiny": Encoder(32, 2, 2, (1,)),
    "b": Encoder(768, 12, 12, (2, 5, 8, 11)),
    "l": Encoder(1024, 24, 16, (5, 11, 17, 23)),
    "h": Encoder(1280, 32, 16, (7, 15, 23, 31)),
}
"""The paper's sizes, and a tiny one that a CPU can train; it has no weights anywhere."""
_PATCH: Final = 16
_CHANNELS: Final = {"tiny": 32}
"""Channels of the decoder where they are not the paper's 256."""
_PARTS = ("vision_encoder", "mask_decoder", "shared_image_embedding")


class Sam(nn.Module):
    """SAM with learned prompts, from normalised images to logits at their size.

    Attributes:
        model: Encoder, decoder and position embedding of SAM, by transformers' names.
        prompts: One learned prompt a class, classes x channels.
    """

    def __init__(self, num_classes: int, sam: nn.Module) -> None:
        """Take what is needed of a SAM.

        Args:
            num_classes: Classes to tell apart.
            sam: A ``SamModel`` of transformers.
        """
        super().__init__()
        theirs = cast("Any", sam)
        self.side: int = theirs.config.vision_config.image_size
        self.model = nn.ModuleDict({part: getattr(theirs, part) for part in _PARTS})
        channels: int = theirs.config.prompt_encoder_config.hidden_size
        self.no_mask = nn.Parameter(theirs.prompt_encoder.no_mask_embed.weight.detach().clone())
        self.prompts = nn.Parameter(torch.randn(num_classes, channels) / channels**0.5)
        # Of a prompt's four masks only the first is used, and its quality is not predicted. All
        # four tokens stay, as they attend to one another.
        decoder = theirs.mask_decoder
        decoder.num_mask_tokens = 1
        decoder.output_hypernetworks_mlps = decoder.output_hypernetworks_mlps[:1]
        decoder.iou_prediction_head = nn.Identity()

    def forward(self, images: Images) -> SegmentationOutput:
        """Classify every pixel.

        Args:
            images: Batch x 3 x height x width, of any height and width. The longer side is resized
                to what the encoder takes, and the shorter one padded, as SAM does.
        """
        height, width = images.shape[-2:]
        scale = self.side / max(height, width)
        shown = max(1, round(height * scale)), max(1, round(width * scale))
        resized = F.interpolate(images, size=shown, mode="bilinear", align_corners=False)
        padded = F.pad(resized, (0, self.side - shown[1], 0, self.side - shown[0]))
        masks = self._masks(padded)
        whole = F.interpolate(
            masks.float(), size=(self.side, self.side), mode="bilinear", align_corners=False
        )
        cut = whole[..., : shown[0], : shown[1]]
        return SegmentationOutput(
            F.interpolate(cut, size=(height, width), mode="bilinear", align_corners=False)
        )

    def backbone_parameters(self) -> list[nn.Parameter]:
        """Return the parameters of the image encoder."""
        return list(self.model["vision_encoder"].parameters())

    def head_parameters(self) -> list[nn.Parameter]:
        """Return all others."""
        encoder = {id(parameter) for parameter in self.backbone_parameters()}
        return [parameter for parameter in self.parameters() if id(parameter) not in encoder]

    def _masks(self, images: Tensor) -> Tensor:
        """Return a mask's logits for each class, batch x classes x a quarter of the side twice."""
        features: Tensor = self.model["vision_encoder"](images).last_hidden_state
        batch = len(features)
        prompts = self.prompts[None, :, None].expand(batch, -1, -1, -1)
        masks, *_ = self.model["mask_decoder"](
            image_embeddings=features,
            image_positional_embeddings=self._positions(features).expand(batch, -1, -1, -1),
            sparse_prompt_embeddings=prompts,
            dense_prompt_embeddings=self.no_mask[..., None, None].expand_as(features[:1]),
            multimask_output=False,
        )
        return masks[:, :, 0]

    def _positions(self, features: Tensor) -> Tensor:
        """Return SAM's embedding of the centres of the encoder's cells."""
        height, width = features.shape[-2:]
        down = (torch.arange(height, device=features.device) + 0.5) / height
        across = (torch.arange(width, device=features.device) + 0.5) / width
        rows, columns = torch.meshgrid(down, across, indexing="ij")
        embedded = self.model["shared_image_embedding"](torch.stack([columns, rows], dim=-1))
        return embedded.permute(2, 0, 1).unsqueeze(0)


class SamPlugin(NetworkPlugin):
    """SAM with a learned prompt for each class."""

    kind = "sam"
    main = "encoder"
    introduction = Introduction(
        source="Kirillov et al. 2023, arXiv 2304.02643, as transformers builds it; the prompts for "
        "classes are ours",
        does="The image encoder and mask decoder of SAM, with a prompt that is learned for each "
        "class.",
        needs="The extra `transformers`; to learn well, SAM's weights in network.folder, and a GPU "
        "for all encoders but tiny.",
        fails="Without SAM's weights it is a transformer with random ones, which learns little "
        "from few scenes. The decoder runs once a class, so many classes are slow.",
    )
    encoder: SamSize = "tiny"
    """The size of the image encoder: the paper's b, l and h, or tiny, which has no weights to start
    from."""
    image_size: int = Field(default=256, ge=64, le=4096, multiple_of=_PATCH)
    """The longer side that images are resized to, in pixels; SAM's is 1024. With network.folder it
    is the folder's."""
    folder: Path | None = None
    """A SAM that save_pretrained wrote; its size is then the folder's."""

    def build(self, num_classes: int) -> Sam:
        """Return the network, with the folder's weights or fresh ones.

        Args:
            num_classes: Classes to tell apart.

        Raises:
            ConfigError: If the folder is none.
            DataError: If it holds another model.
            MachineError: If transformers is not installed.
        """
        if self.folder is None:
            return Sam(num_classes, _fresh(self.encoder, self.image_size))
        if not self.folder.is_dir():
            raise ConfigError(
                "network.folder", "must be a folder that save_pretrained wrote", self.folder,
                "Name the folder of a SAM.",
            )  # fmt: skip
        described = read_config(self.folder)
        kind = str(getattr(described, "model_type", "no model"))
        if kind != "sam":
            raise DataError(
                self.folder, "must hold a SAM", kind, "Take network transformers for other models."
            )
        model, loaded = read_model(library().SamModel, self.folder, described)
        network = Sam(num_classes, model)
        note_loaded(network, loaded.model_copy(update={"part": "backbone"}))
        return network


def _fresh(size: str, side: int) -> nn.Module:
    transformers = library()
    encoder, channels = ENCODERS[size], _CHANNELS.get(size, 256)
    vision = transformers.SamVisionConfig(
        hidden_size=encoder.width, num_hidden_layers=encoder.depth,
        num_attention_heads=encoder.heads, global_attn_indexes=list(encoder.all_over),
        mlp_dim=4 * encoder.width, output_channels=channels, image_size=side, patch_size=_PATCH,
        window_size=min(14, side // _PATCH),
        # Theirs, 1e-10, is meant to be overwritten by weights: attention would not learn from it.
        initializer_range=0.02,
    )  # fmt: skip
    prompts = transformers.SamPromptEncoderConfig(
        hidden_size=channels, image_size=side, patch_size=_PATCH
    )
    decoder = transformers.SamMaskDecoderConfig(
        hidden_size=channels, mlp_dim=8 * channels, num_attention_heads=min(8, channels // 16),
        iou_head_hidden_dim=channels,
    )  # fmt: skip
    if size == "tiny":
        # Half a token's channels are sines and half cosines of its place.
        vision.num_pos_feats = channels // 2
    config = transformers.SamConfig(
        vision_config=vision.to_dict(), prompt_encoder_config=prompts.to_dict(),
        mask_decoder_config=decoder.to_dict(),
    )  # fmt: skip
    return transformers.SamModel(config)
