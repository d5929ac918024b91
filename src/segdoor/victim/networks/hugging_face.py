"""The bridge to the library transformers: loaded when used, never online, never running code.

Importing it takes seconds, so nothing here does before a network asks for it. A model is read from
a folder that its ``save_pretrained`` wrote: JSON and safetensors, no pickle, no code from the
folder, no download.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from segdoor.errors import DataError, MachineError, first_line
from segdoor.files import digest_of
from segdoor.record import LoadedWeights
from segdoor.victim.answer import Images, SegmentationOutput
from segdoor.victim.checkpoint import check_shapes, some

_SAFE = {"local_files_only": True, "trust_remote_code": False}


class TransformersNetwork(nn.Module):
    """A segmentation model of transformers, from normalised images to logits at their size.

    A model that answers with masks and a class for each (Mask2Former and its like) is read as its
    authors do: a pixel's score of a class is the sum over masks of the mask's probability there
    times the probability of that class. Logits are the logarithms of these scores.

    Attributes:
        model: The model.
    """

    def __init__(self, model: nn.Module, *, reads_bgr: bool = False) -> None:
        """Wrap a model.

        Args:
            model: One of transformers' semantic or universal segmentation models.
            reads_bgr: Whether it expects the channels in the order blue, green, red.
        """
        super().__init__()
        self.model = model
        self.reads_bgr = reads_bgr

    def forward(self, images: Images) -> SegmentationOutput:
        """Classify every pixel.

        Args:
            images: Batch x 3 x height x width, of a height and width that the model takes.
        """
        size = (images.shape[-2], images.shape[-1])
        output = self.model(pixel_values=images.flip(1) if self.reads_bgr else images)
        if hasattr(output, "masks_queries_logits"):
            masks = _resized(output.masks_queries_logits, size)
            return SegmentationOutput(_scores(output.class_queries_logits.float(), masks))
        return SegmentationOutput(_resized(output.logits, size))

    def backbone_parameters(self) -> list[nn.Parameter]:
        """Return the parameters of what transformers calls the base model."""
        return list(self._base().parameters())

    def head_parameters(self) -> list[nn.Parameter]:
        """Return all others."""
        base = {id(parameter) for parameter in self._base().parameters()}
        return [parameter for parameter in self.parameters() if id(parameter) not in base]

    def _base(self) -> nn.Module:
        base = cast("nn.Module", getattr(self.model, "base_model", self.model))
        # UperNet's base model is the whole; its encoder is called so.
        return getattr(base, "backbone", base) if base is self.model else base


def library() -> ModuleType:
    """Import transformers.

    Raises:
        MachineError: If it is not installed.
    """
    # It would ask its hub about files that a folder lacks.
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    try:
        import transformers  # noqa: PLC0415
    except ImportError as why:
        raise MachineError(
            "network.name",
            "needs the package transformers",
            why,
            'Install segdoor with it: pip install "segdoor[transformers]".',
        ) from None
    transformers.utils.logging.disable_progress_bar()
    return transformers


def read_config(folder: Path) -> object:
    """Read a model's config.json.

    Raises:
        DataError: If the folder does not hold a model that transformers knows.
    """
    if not (folder / "config.json").is_file():
        raise DataError(
            folder,
            "must be a folder that save_pretrained wrote",
            "no config.json in it" if folder.is_dir() else "no such folder",
            "Check the path, or call model.save_pretrained(folder) where the model is.",
        )
    try:
        return library().AutoConfig.from_pretrained(folder, **_SAFE)
    except MachineError:
        raise
    except Exception as why:
        raise DataError(
            folder / "config.json",
            "must describe a model that transformers knows",
            first_line(why),
            "Models with code of their own are refused.",
        ) from why


def read_model(
    kind: object, folder: Path, config: object, *, extra: Sequence[str] = ()
) -> tuple[nn.Module, LoadedWeights]:
    """Read a model's weights.

    Args:
        kind: A class of transformers with ``from_pretrained``.
        folder: What ``save_pretrained`` wrote.
        config: The configuration that was read from it.
        extra: Beginnings of names that the file may hold beyond the model.

    Raises:
        DataError: If there are no safetensors, or they do not fill the model exactly.
    """
    try:
        model, found = kind.from_pretrained(  # pyright: ignore[reportAttributeAccessIssue]
            folder,
            config=config,
            use_safetensors=True,
            output_loading_info=True,
            dtype=torch.float32,
            **_SAFE,
        )
    except Exception as why:
        raise DataError(
            folder,
            "must hold intact safetensors of the model in its config.json",
            first_line(why),
            "Pickled weights are refused; save the model again with save_pretrained.",
        ) from why
    missing, unknown = set(found["missing_keys"]), set(found["unexpected_keys"])
    strange = {name for name in unknown if not name.startswith(tuple(extra))}
    if missing or strange:
        raise DataError(
            folder,
            f"must hold the weights of a {type(model).__name__}",
            f"{len(missing)} missing ({some(missing)}), {len(strange)} unknown ({some(strange)})",
            "Save the whole model, not a part of it.",
        )
    check_shapes(folder, model.state_dict(), model.state_dict(), "Save the model again.")
    return model, LoadedWeights(
        part="network",
        file=folder.name,
        sha256=_digest(folder),
        style=f"transformers, {type(model).__name__}",
        num_taken=len(model.state_dict()),
        num_counters_missing=0,
        left_out=tuple(sorted(unknown)),
    )


def _digest(folder: Path) -> str:
    """Return the digest of the one file of weights, or of the digests of several in their order."""
    digests = [digest_of(file) for file in sorted(folder.glob("*.safetensors"))]
    if len(digests) == 1:
        return digests[0]
    return hashlib.sha256("".join(digests).encode()).hexdigest()


def _resized(maps: Tensor, size: tuple[int, int]) -> Tensor:
    return F.interpolate(maps.float(), size=size, mode="bilinear", align_corners=False)


def _scores(class_logits: Tensor, mask_logits: Tensor) -> Tensor:
    # The last class of a mask is "nothing".
    classes = class_logits.softmax(dim=-1)[..., :-1]
    scores = torch.einsum("bqk,bqhw->bkhw", classes, mask_logits.sigmoid())
    return scores.clamp(min=torch.finfo(scores.dtype).tiny).log()
