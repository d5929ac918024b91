"""Weights on disk: safetensors written atomically; nothing pickled is ever executed."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, MutableMapping
from pathlib import Path
from typing import cast

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save
from torch import Tensor, nn
from torch.utils.weak import WeakIdKeyDictionary

from segdoor.errors import DataError
from segdoor.files import digest_of, write_atomically
from segdoor.record import LoadedWeights
from segdoor.victim.members import fill, state_of

_WRAPPINGS = ("state_dict", "model_state_dict", "model")
_DEEPEST = 4
_FLOATS = {torch.float16, torch.bfloat16, torch.float32, torch.float64}
# How torch says what a pickle would have called.
_FORBIDDEN = re.compile(r"GLOBAL ([\w.]+)")


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
        for name, tensor in state_of(network).items()
    }
    write_atomically(path, save(tensors, metadata={"segdoor": about}))


def read_remark(path: Path) -> str:
    """Return the remark in the header of a file that `save_weights` wrote; empty if there is none.

    Raises:
        DataError: If the file is missing or no intact .safetensors file.
    """
    try:
        with safe_open(path, framework="pt") as file:
            header: dict[str, str] | None = file.metadata()
    except (SafetensorError, OSError) as why:
        raise _refused(path, why) from None
    return (header or {}).get("segdoor", "")


def note_loaded(network: nn.Module, loaded: LoadedWeights | None) -> None:
    """Remember what a network started from, so that its record can say so hours later."""
    _LOADED[network] = loaded


def loaded_into(network: nn.Module) -> LoadedWeights | None:
    """Return what a network was filled with from a file before it was trained, or None."""
    return _LOADED.get(network)


# Beside the networks, not in them: they may have any name for something of their own.
_LOADED: MutableMapping[nn.Module, LoadedWeights | None] = WeakIdKeyDictionary()


def fill_from(network: nn.Module, path: Path, tensors: dict[str, Tensor]) -> LoadedWeights:
    """Fill a network in place with what `read_tensors` found in a file.

    Raises:
        DataError: If they do not fit.
    """
    expected = state_of(network)
    missing, strange = (
        expected.keys() - tensors.keys(),
        tensors.keys() - expected.keys(),
    )
    if missing or strange:
        raise DataError(
            path,
            "must hold the weights of this very network",
            f"{len(missing)} missing ({some(missing)}), {len(strange)} unknown ({some(strange)})",
            "Set the same network settings as when it was trained.",
        )
    check_shapes(path, tensors, expected, "Use a network with the same classes and settings.")
    fill(network, tensors)
    return LoadedWeights(
        part="network",
        file=path.name,
        sha256=digest_of(path),
        style="this network's own",
        num_taken=len(tensors),
        num_counters_missing=0,
        left_out=(),
    )


def read_tensors(path: Path) -> dict[str, Tensor]:
    """Read a state dict, out of the wrappings that training scripts put around it.

    Args:
        path: A .safetensors file, or a .pth/.pt file that holds tensors alone.

    Raises:
        DataError: If the file is missing, damaged, or holds more than tensors.
    """
    if not path.is_file():
        raise DataError(path, "the weights do not exist", remedy="Check the path.")
    try:
        if path.suffix == ".safetensors":
            return _named(load_file(path))
        content = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as why:  # a damaged file can fail in any layer of the reader
        raise _refused(path, why) from why
    return _unwrapped(content, path)


def check_shapes(
    path: Path, tensors: Mapping[str, Tensor], expected: Mapping[str, Tensor], remedy: str
) -> None:
    """Refuse tensors that have another shape or kind than expected, or are not finite.

    Raises:
        DataError: At the first such tensor.
    """
    for name, tensor in tensors.items():
        if tensor.shape != expected[name].shape:
            shape = tuple(expected[name].shape)
            raise DataError(
                path, f"tensor '{name}' must have shape {shape}", tuple(tensor.shape), remedy
            )
        dense = tensor.layout == torch.strided and not (tensor.is_meta or tensor.is_quantized)
        if not dense or (tensor.is_floating_point() and tensor.dtype not in _FLOATS):
            found = f"{tensor.layout} of {tensor.dtype}"
            raise DataError(path, f"tensor '{name}' must hold dense numbers", found, remedy)
        if tensor.is_floating_point() != expected[name].is_floating_point():
            kind = str(expected[name].dtype).removeprefix("torch.")
            raise DataError(path, f"tensor '{name}' must hold {kind}", tensor.dtype, remedy)
        if tensor.is_floating_point() and not bool(torch.isfinite(tensor).all()):
            raise DataError(
                path,
                f"tensor '{name}' must be finite",
                "NaN or infinity",
                "The training that made it has failed; take an earlier file.",
            )


def some(names: Iterable[str]) -> str:
    """Return the first of the names as a list for a message."""
    return ", ".join(sorted(names)[:3]) or "none"


def _refused(path: Path, why: Exception) -> DataError:
    """Say in plain words why a file cannot be read as tensors."""
    forbidden = _FORBIDDEN.search(str(why))
    if forbidden:
        return DataError(
            path,
            "must hold tensors and nothing else, because anything more can run code when loaded",
            f"it asks for {forbidden[1]}",
            "It was not loaded. Save the state dict alone, best as .safetensors.",
        )
    return DataError(
        path,
        "must be an intact file of tensors and nothing else",
        type(why).__name__,
        "It is damaged, cut short or of another format; copy or save it again.",
    )


def _unwrapped(content: object, path: Path) -> dict[str, Tensor]:
    """Find the state dict in what training scripts usually save."""
    for _ in range(_DEEPEST):
        if not isinstance(content, dict):
            break
        mapping = cast("dict[object, object]", content)
        if mapping and all(
            isinstance(name, str) and isinstance(value, Tensor) for name, value in mapping.items()
        ):
            return _named(cast("dict[str, Tensor]", mapping))
        content = next((mapping[key] for key in _WRAPPINGS if key in mapping), None)
    raise DataError(path, "must hold a state dict of tensors", remedy="Save model.state_dict().")


def _named(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Drop the prefix that parallel training puts before every name."""
    return {name.removeprefix("module."): tensor for name, tensor in tensors.items()}
