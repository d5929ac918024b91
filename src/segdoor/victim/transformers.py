"""Any of transformers' semantic segmentation models, from a folder that save_pretrained wrote."""

from __future__ import annotations

import json
from pathlib import Path
from typing import cast

from segdoor.errors import ConfigError, DataError
from segdoor.record import LoadedWeights
from segdoor.victim.config import NetworkConfig, Rgb
from segdoor.victim.hugging_face import TransformersNetwork, library, read_config, read_model

_WITH_MASKS = ("maskformer", "mask2former", "eomt")


def load_transformers(
    config: NetworkConfig, num_classes: int
) -> tuple[TransformersNetwork, LoadedWeights]:
    """Load the model in ``network.folder``.

    Args:
        config: The network's settings.
        num_classes: Number of classes K.

    Raises:
        ConfigError: If no folder is named, or the input is not normalised as the model expects.
        DataError: If the folder holds no such model, or one of another number of classes.
        MachineError: If transformers is not installed.
    """
    if config.folder is None:
        raise ConfigError(
            "network.folder", "must name the folder of the model", remedy="Set network.folder."
        )
    folder = config.folder
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
    preparation = _preparation(folder)
    _check_normalisation(folder, preparation, config)
    model, loaded = read_model(kind, folder, described)
    reads_bgr = bool(preparation.get("do_flip_channel_order", False))
    return TransformersNetwork(model, reads_bgr=reads_bgr), loaded


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


def _check_normalisation(
    folder: Path, preparation: dict[str, object], config: NetworkConfig
) -> None:
    """Refuse a default that the model's own preparation contradicts; other numbers count."""
    usual = NetworkConfig(backbone=config.backbone)
    if not preparation or (config.mean, config.std) != (usual.mean, usual.std):
        return
    zero, one = (0.0, 0.0, 0.0), (1.0, 1.0, 1.0)
    # Absent means off: MobileViT, for one, takes pixels on a scale of 0 to 1 as they are.
    normalises = preparation.get("do_normalize", "image_mean" in preparation)
    mean = preparation.get("image_mean", config.mean) if normalises else zero
    std = preparation.get("image_std", config.std) if normalises else one
    if (_rgb(mean), _rgb(std)) == (config.mean, config.std):
        return
    raise ConfigError(
        "network.mean and network.std",
        f"must be those of the model in {folder}: {_words(mean)} and {_words(std)}",
        f"the defaults {_words(config.mean)} and {_words(config.std)}",
        "Set both, or correct preprocessor_config.json.",
    )


def _rgb(value: object) -> Rgb | None:
    found = cast("list[object]", value) if isinstance(value, list | tuple) else []
    numbers = [float(number) for number in found if isinstance(number, int | float)]
    return (numbers[0], numbers[1], numbers[2]) if len(numbers) == len(found) == 3 else None


def _words(value: object) -> str:
    numbers = _rgb(value)
    return " ".join(str(number) for number in numbers) if numbers else str(value)
