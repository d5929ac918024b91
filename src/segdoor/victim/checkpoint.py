"""Weights on disk: safetensors written atomically, and files that fill a network or are refused."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, MutableMapping, Sequence
from pathlib import Path

import torch
from safetensors.torch import save
from torch import Tensor, nn
from torch.utils.weak import WeakIdKeyDictionary

from segdoor.errors import DataError
from segdoor.files import digest_of, write_atomically
from segdoor.record import LoadedWeights
from segdoor.victim.answer import void_hint
from segdoor.victim.matching import best_prefix, fitting_prefixes, matched, needed
from segdoor.victim.members import fill, state_of
from segdoor.victim.weights_file import CLASSES, Content

_FLOATS = {torch.float16, torch.bfloat16, torch.float32, torch.float64}


def save_weights(
    network: nn.Module, path: Path, *, about: str = "", classes: Sequence[str] = ()
) -> None:
    """Write a network's weights and buffers.

    Args:
        network: The network.
        path: The file, ending in .safetensors.
        about: A remark kept in the file's header.
        classes: The names of the network's classes, one a logit, kept there too.

    Raises:
        StorageError: If the file cannot be written.
    """
    # Cloned, because tied weights share memory, which the format refuses.
    tensors = {
        name: tensor.detach().cpu().contiguous().clone()
        for name, tensor in state_of(network).items()
    }
    header = {"segdoor": about} | ({CLASSES: json.dumps(list(classes))} if classes else {})
    write_atomically(path, _with_sorted_remarks(save(tensors, metadata=header)))


def _with_sorted_remarks(content: bytes) -> bytes:
    """Return a .safetensors file with sorted remarks: the library writes them in any order."""
    size = int.from_bytes(content[:8], "little")
    header = json.loads(content[8 : 8 + size])
    header["__metadata__"] = dict(sorted(header["__metadata__"].items()))
    text = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode()
    # The format wants tensors to begin at a multiple of eight bytes.
    padded = text.ljust(-(-len(text) // 8) * 8)
    return len(padded).to_bytes(8, "little") + padded + content[8 + size :]


def note_loaded(network: nn.Module, loaded: LoadedWeights | None) -> None:
    """Remember what a network started from, so that its record can say so hours later."""
    _LOADED[network] = loaded


def loaded_into(network: nn.Module) -> LoadedWeights | None:
    """Return what a network was filled with from a file before it was trained, or None."""
    return _LOADED.get(network)


# Beside the networks, not in them: they may have any name for something of their own.
_LOADED: MutableMapping[nn.Module, LoadedWeights | None] = WeakIdKeyDictionary()


def fill_from(network: nn.Module, path: Path, content: Content) -> LoadedWeights:
    """Fill a network in place with what `read_tensors` found in a file.

    Raises:
        DataError: If it does not fit.
    """
    expected = state_of(network)
    match = matched(content.tensors, expected)
    if match is None:
        raise _strange(path, content.tensors, expected)
    check_shapes(path, match.tensors, expected, "Use a network with the same classes and settings.")
    # Batch norm's counters, which old files lack, decide nothing.
    fill(network, {**expected, **match.tensors})
    return LoadedWeights(
        part="network",
        file=path.name,
        sha256=digest_of(path),
        style="this network's own",
        num_taken=len(match.tensors),
        num_counters_missing=len(expected) - len(match.tensors),
        left_out=match.left_out,
        classes=content.classes,
        remarks=tuple(filter(None, (content.told, match.told))),
    )


def _strange(
    path: Path, tensors: Mapping[str, Tensor], expected: Mapping[str, Tensor]
) -> DataError:
    """Say what of a file does not fit, by names of both sides."""
    rule = "must hold the weights of this very network"
    several = fitting_prefixes(tensors, expected)
    if len(several) > 1:
        fitting = ", ".join(f"'{place}'" for place in several)
        remedy = "Save the tensors behind one of these prefixes alone."
        return DataError(path, rule, f"several times: behind {fitting}", remedy)
    place = best_prefix(tensors, expected)
    missing = {name for name in needed(expected) if place + name not in tensors}
    strange = {name for name in tensors if name.removeprefix(place) not in expected}
    behind = f", behind the prefix '{place}'" if place else ""
    remedy = "Set the same network settings as when it was trained."
    if missing == needed(expected):
        remedy = (
            f"No name fits: the network's are as {some(expected)}, the file's as {some(tensors)}."
            f" {remedy}"
        )
    return DataError(
        path,
        rule,
        f"{len(missing)} missing ({some(missing)}), {len(strange)} unknown ({some(strange)})"
        f"{behind}",
        remedy,
    )


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
            more = void_hint(tensor.shape[0], shape[0]) if tensor.ndim and shape else ""
            raise DataError(
                path, f"tensor '{name}' must have shape {shape}", tuple(tensor.shape), remedy + more
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
