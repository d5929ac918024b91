"""Any of transformers' semantic segmentation models, from a folder that save_pretrained wrote."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import cast

from segdoor.errors import ConfigError, DataError
from segdoor.plugins import Introduction
from segdoor.settings import brief
from segdoor.victim.answer import void_hint
from segdoor.victim.checkpoint import note_loaded
from segdoor.victim.logits import meaningful
from segdoor.victim.networks.hugging_face import (
    TransformersNetwork,
    library,
    read_config,
    read_model,
)
from segdoor.victim.networks.network import NetworkPlugin
from segdoor.victim.setting_types import IMAGENET

_REDUCED = (
    "trained with label 0 ignored and the others lowered by one (do_reduce_labels): its first class"
    " is the second one of its own data"
)
_WITH_MASKS = ("maskformer", "mask2former", "eomt")


class TransformersPlugin(NetworkPlugin):
    """A model in a folder."""

    kind = "transformers"
    main = "folder"
    introduction = Introduction(
        source="the library transformers, https://github.com/huggingface/transformers",
        does="Reads a semantic segmentation model that save_pretrained wrote.",
        needs="The extra `transformers`, and a model with the data set's number of classes.",
        fails="Models with pickled weights or their own code are refused.",
    )
    folder: Path | None = None
    """The folder that save_pretrained wrote."""

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
                _other_number(folder, labels, num_classes),
            )
        model, loaded = read_model(kind, folder, described)
        network = TransformersNetwork(model, reads_bgr=self.reads_bgr())
        classes = _classes_of(described)
        remarks = (_REDUCED,) if classes is None and _reduces(folder) else ()
        note_loaded(network, loaded.model_copy(update={"classes": classes, "remarks": remarks}))
        return network

    def reads_bgr(self) -> bool:
        """Tell whether the folder says so in its preprocessor_config.json."""
        preparation = _preparation(self.folder) if self.folder else {}
        return bool(preparation.get("do_flip_channel_order", False))

    def expects(self) -> tuple[object, object] | None:
        """Return mean and deviation in the folder's preprocessor_config.json, if there is one.

        They are told on a scale of 0 to 1, whatever scale the model was made for.
        """
        preparation = _preparation(self.folder) if self.folder else {}
        if not preparation:
            return None
        mean, std = IMAGENET
        # Absent means off: MobileViT, for one, takes pixels on a scale of 0 to 1 as they are.
        if not preparation.get("do_normalize", "image_mean" in preparation):
            mean, std = (0.0, 0.0, 0.0), (1.0, 1.0, 1.0)
        else:
            mean = _rgb(preparation.get("image_mean", mean))
            std = _rgb(preparation.get("image_std", std))
        scale = _scale(self.folder, preparation)
        return _on_scale(mean, scale), _on_scale(std, scale)


def _classes_of(described: object) -> tuple[str, ...] | None:
    """Return the names of a model's classes in the order of its logits, if it has real ones."""
    names = getattr(described, "id2label", None)
    if not isinstance(names, dict):
        return None
    told = cast("dict[object, object]", names)
    if set(told) != set(range(len(told))):
        return None
    return meaningful([str(told[place]) for place in range(len(told))])


def _reduces(folder: Path) -> bool:
    """Tell whether label 0 was ignored in training, and the others lowered by one."""
    preparation = _preparation(folder)
    return bool(preparation.get("do_reduce_labels", preparation.get("reduce_labels", False)))


def _other_number(folder: Path, found: int, wanted: int) -> str:
    if found == wanted - 1 and _reduces(folder):
        return (
            "It was trained with label 0 ignored and the others lowered by one (do_reduce_labels):"
            " list the classes without the first, and have its pixels ignored."
        )
    advice = "Give its last layer that many, fine-tune it, and save it again."
    return advice + void_hint(found, wanted)


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


def _scale(folder: Path | None, preparation: Mapping[str, object]) -> float:
    """Return what 255 becomes before mean and deviation are applied."""
    if not preparation.get("do_rescale", True):
        return 255.0
    factor = preparation.get("rescale_factor", 1 / 255)
    if isinstance(factor, bool) or not isinstance(factor, int | float) or not 0 < factor < math.inf:
        raise DataError(
            f"{folder}/preprocessor_config.json",
            "rescale_factor must be a number above 0",
            brief(factor),
            "Correct it; 1/255 is 0.00392156862745098.",
        )
    return 255 * float(factor)


def _on_scale(numbers: object, scale: float) -> object:
    """Return mean or deviation of images from 0 to `scale` for images from 0 to 1."""
    # 255 times the usual factor misses 1 by rounding.
    if not isinstance(numbers, tuple) or math.isclose(scale, 1, rel_tol=1e-6):
        return numbers
    return tuple(number / scale for number in cast("tuple[float, ...]", numbers))


def _rgb(value: object) -> object:
    """Return three numbers as mean and deviation are kept; anything else stays, to be refused."""
    found = cast("list[object]", value) if isinstance(value, list | tuple) else []
    numbers = tuple(float(number) for number in found if isinstance(number, int | float))
    return numbers if len(numbers) == len(found) == 3 else value
