"""A hash of all that trained weights follow from, so that no other training is taken over."""

from __future__ import annotations

import hashlib
from pathlib import Path

import torch
from torch import nn

from segdoor.data.scene import SceneDataset
from segdoor.files import digest_of
from segdoor.victim.config import (
    START_WEIGHTS,
    AugmentationConfig,
    NetworkConfig,
    TrainingConfig,
    network_text,
)
from segdoor.victim.logits import chosen_of
from segdoor.victim.members import state_of

_LATER = ("scale_distribution", "blur")


def training_fingerprint(
    dataset: SceneDataset,
    config: TrainingConfig,
    *,
    network: NetworkConfig,
    seed: int,
    model: nn.Module | None = None,
    further: tuple[str, ...] = (),
) -> str:
    """Return a hash of scenes, recipe, network, the contents of its start weights, and seed.

    What else a training follows from is part of it, if there is anything. The code of a network of
    one's own is not part of it, only its name; of a model that is trained further, its weights.
    """
    start = [_content(getattr(network, name)) for name in START_WEIGHTS]
    settings = network_text(network), recipe_text(config)
    given = () if model is None else (weights_digest(model),)
    whole = repr((dataset.digest, settings, start, seed, *given, *further))
    return hashlib.sha256(whole.encode()).hexdigest()


def recipe_text(config: TrainingConfig, *, exclude: tuple[str, ...] = ()) -> str:
    """Return a recipe as text that stays the same when settings are added.

    A setting that came later is part of it only where it differs from its default, which means what
    was done before.
    """
    plain, drawn = AugmentationConfig(), config.augmentation
    unchanged = {name for name in _LATER if getattr(drawn, name) == getattr(plain, name)}
    return config.model_dump_json(
        exclude={"augmentation": unchanged, **dict.fromkeys(exclude, True)}
    )


def weights_digest(model: nn.Module) -> str:
    """Return a hash of a network's weights and buffers, with their names, types and shapes.

    If its logits are brought into another order, that is part of it.
    """
    digest, chosen = hashlib.sha256(), chosen_of(model)
    if chosen is not None:
        digest.update(repr((chosen.places, chosen.number)).encode())
    for name, tensor in state_of(model).items():
        digest.update(repr((name, str(tensor.dtype), tuple(tensor.shape))).encode())
        # NumPy has no bfloat16; the bytes of any type can be looked at.
        content = tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8)
        digest.update(content.numpy().tobytes())
    return digest.hexdigest()


def _content(place: Path | str | None) -> object:
    """Return what stands for weights: digests, or the name of a package's."""
    if not isinstance(place, Path):
        return place
    files = sorted(place.glob("*.safetensors")) if place.is_dir() else [place]
    return [digest_of(file) for file in files if file.is_file()]
