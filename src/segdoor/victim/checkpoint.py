"""Weights on disk: safetensors written atomically; nothing pickled is ever executed."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import cast

import torch
from safetensors.torch import load_file, save
from torch import Tensor, nn

from segdoor.errors import DataError
from segdoor.files import write_atomically

_WRAPPINGS = ("state_dict", "model_state_dict", "model")


def save_weights(network: nn.Module, path: Path, *, about: str = "") -> None:
    """Write a network's weights and buffers.

    Args:
        network: The network.
        path: The file, ending in .safetensors.
        about: A remark kept in the file's header.

    Raises:
        StorageError: If the file cannot be written.
    """
    # Cloned, because tied weights share memory, which the format refuses.
    tensors = {
        name: tensor.detach().cpu().contiguous().clone()
        for name, tensor in network.state_dict().items()
    }
    write_atomically(path, save(tensors, metadata={"segdoor": about}))


def load_weights(network: nn.Module, path: Path) -> None:
    """Fill a network with the weights of a file.

    Args:
        network: The network, changed in place.
        path: A .safetensors file, or a .pth/.pt file that holds tensors alone.

    Raises:
        DataError: If the file is missing, damaged, holds more than tensors, or does not fit.
    """
    tensors = _read(path)
    expected = network.state_dict()
    missing, strange = (
        expected.keys() - tensors.keys(),
        tensors.keys() - expected.keys(),
    )
    if missing or strange:
        raise DataError(
            path,
            "must hold the weights of this very network",
            f"{len(missing)} missing ({_some(missing)}), {len(strange)} unknown ({_some(strange)})",
            "Set the same network settings as when it was trained.",
        )
    for name, tensor in tensors.items():
        if tensor.shape != expected[name].shape:
            raise DataError(
                path,
                f"tensor '{name}' must have shape {tuple(expected[name].shape)}",
                tuple(tensor.shape),
                "Use a network with the same classes and settings.",
            )
    try:
        network.load_state_dict(tensors)
    except RuntimeError as why:
        raise DataError(
            path, "must hold dense numbers", str(why).splitlines()[0], "Save model.state_dict()."
        ) from None


def _read(path: Path) -> dict[str, Tensor]:
    if not path.is_file():
        raise DataError(path, "the weights do not exist", remedy="Check the path.")
    try:
        if path.suffix == ".safetensors":
            return _named(load_file(path))
        content = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as why:  # a damaged file makes readers raise anything
        raise DataError(
            path,
            "must be an intact file of tensors and nothing else",
            type(why).__name__,
            "It is damaged, or would run code when loaded, which is refused; save a state dict.",
        ) from why
    return _unwrapped(content, path)


def _unwrapped(content: object, path: Path) -> dict[str, Tensor]:
    """Find the state dict in what training scripts usually save."""
    while isinstance(content, dict):
        mapping = cast("dict[object, object]", content)
        tensors_alone = all(isinstance(value, Tensor) for value in mapping.values())
        if mapping and tensors_alone and all(isinstance(name, str) for name in mapping):
            tensors = cast("dict[str, Tensor]", mapping)
            return _named(tensors)
        content = next((mapping[key] for key in _WRAPPINGS if key in mapping), None)
    raise DataError(path, "must hold a state dict of tensors", remedy="Save model.state_dict().")


def _named(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Drop the prefix that parallel training puts before every name."""
    return {name.removeprefix("module."): tensor for name, tensor in tensors.items()}


def _some(names: set[str]) -> str:
    return ", ".join(sorted(names)[:3]) or "none"
