"""Any of transformers' semantic segmentation models, from a folder that save_pretrained wrote."""

from __future__ import annotations

import json
from pathlib import Path
from typing import cast

from segdoor.errors import ConfigError, DataError
from segdoor.plugins import Introduction
from segdoor.victim.checkpoint import note_loaded
from segdoor.victim.networks.hugging_face import (
    TransformersNetwork,
    library,
    read_config,
    read_model,
)
from segdoor.victim.networks.network import NetworkPlugin
from segdoor.victim.setting_types import IMAGENET

_WITH_MASKS = ("maskformer", "mask2former", "eomt")


class TransformersPlugin(NetworkPlugin):
    """A model in a folder."""

    kind = "transformers"
    main = "folder"
    introduction = Introduction(
        source="the library transformers, https://github.com/huggingface/transformers",
        does="Reads a semantic segmentation model that save_pretrained wrote.",
        needs="The extra `transformers`, and a model of the data set's number of classes.",
        fails="With models whose weights are pickled, or that bring code of their own.",
    )
    folder: Path | None = None
    """Where save_pretrained wrote the model."""

    def build(self, num_classes: int) -> TransformersNetwork:
        """Load the model.

        Args:
            num_classes: Number of classes K.

        Raises:
            ConfigError: If no folder is named.
            DataError: If the folder holds no such model, or one of another number of classes.
            MachineError: If transformers is not installed.
        """
        folder = self.folder
        if folder is None:
            raise ConfigError(
                "network.folder", "must name the folder of the model", remedy="Set network.folder."
            )
        described = read_config(folder)
        labels = cast("int", getattr(described, "num_labels", 0))
        kind = _kind_of(folder, described)
        if labels != num_classes:
            raise DataError(
                folder,
                f"must be a model of the data set's {num_classes} classes",
                labels,
                "Give its last layer that many, fine-tune it, and save it again.",
            )
        reads_bgr = bool(_preparation(folder).get("do_flip_channel_order", False))
        model, loaded = read_model(kind, folder, described)
        network = TransformersNetwork(model, reads_bgr=reads_bgr)
        note_loaded(network, loaded)
        return network

    def expects(self) -> tuple[object, object] | None:
        """Return mean and deviation in the folder's preprocessor_config.json, if there is one."""
        preparation = _preparation(self.folder) if self.folder else {}
        if not preparation:
            return None
        # Absent means off: MobileViT, for one, takes pixels on a scale of 0 to 1 as they are.
        if not preparation.get("do_normalize", "image_mean" in preparation):
            return (0.0, 0.0, 0.0), (1.0, 1.0, 1.0)
        mean, std = IMAGENET
        return _rgb(preparation.get("image_mean", mean)), _rgb(preparation.get("image_std", std))


def _kind_of(folder: Path, described: object) -> object:
    """Return transformers' class for a configuration."""
    transformers = library()
    if type(described) in transformers.MODEL_FOR_SEMANTIC_SEGMENTATION_MAPPING:
        return transformers.AutoModelForSemanticSegmentation
    model_type = cast("str", getattr(described, "model_type", ""))
    if model_type in _WITH_MASKS:
        return transformers.AutoModelForUniversalSegmentation
    known = sorted(kind.model_type for kind in transformers.MODEL_FOR_SEMANTIC_SEGMENTATION_MAPPING)
    raise DataError(
        folder,
        "must hold a semantic segmentation model",
        model_type,
        f"Known: {', '.join([*known, *_WITH_MASKS])}.",
    )


def _preparation(folder: Path) -> dict[str, object]:
    """Return how the model's authors prepare images, if the folder says so."""
    file = folder / "preprocessor_config.json"
    if not file.is_file():
        return {}
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as why:
        raise DataError(file, "must be readable JSON", why, "Save it again.") from None
    return cast("dict[str, object]", content) if isinstance(content, dict) else {}


def _rgb(value: object) -> object:
    """Return three numbers as mean and deviation are kept; anything else stays, to be refused."""
    found = cast("list[object]", value) if isinstance(value, list | tuple) else []
    numbers = tuple(float(number) for number in found if isinstance(number, int | float))
    return numbers if len(numbers) == len(found) == 3 else value
