"""What a file of weights holds: tensors, read without running anything that a pickle asks for."""

from __future__ import annotations

import json
import re
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Final, cast

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file
from torch import Tensor

from segdoor.errors import DataError
from segdoor.settings import brief

CLASSES: Final = "classes"
"""Where a header has the names of the classes."""

_WRAPPINGS: Final = (
    "state_dict", "model_state_dict", "model_state", "model", "net", "network", "weights",
)  # fmt: skip
_DEEPEST: Final = 4
_LONGEST_PICKLE: Final = 2**20
# How torch says what a pickle would have called.
_FORBIDDEN: Final = re.compile(r"GLOBAL ([\w.]+)")


@dataclass(frozen=True)
class Content:
    """The tensors of a file.

    Attributes:
        tensors: Under the names that they have there.
        told: Where in the file they were, as a clause; empty if they are all that it holds.
        classes: Names of the classes, one a logit; None if the file does not say.
    """

    tensors: dict[str, Tensor]
    told: str = ""
    classes: tuple[str, ...] | None = None


def read_remark(path: Path) -> str:
    """Return the remark in the header of a file that `save_weights` wrote; empty if there is none.

    Raises:
        DataError: If the file is missing or no intact .safetensors file.
    """
    return _header(path).get("segdoor", "")


def read_tensors(path: Path) -> Content:
    """Read a state dict, out of the wrappings that training scripts put around it.

    Args:
        path: A .safetensors file, or a .pth/.pt/.ckpt file that holds tensors alone.

    Raises:
        DataError: If the file is missing, damaged, or holds more than tensors.
    """
    if not path.is_file():
        raise DataError(path, "the weights do not exist", remedy="Check the path.")
    if path.suffix == ".safetensors":
        classes = _names_in(_header(path).get(CLASSES, ""))
        try:
            return Content(load_file(path), classes=classes)
        except Exception as why:  # a damaged file can fail in any layer of the reader
            raise _refused(path, why) from why
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as why:
        raise _refused(path, why) from why
    return _unwrapped(content, path)


def _header(path: Path) -> dict[str, str]:
    try:
        with safe_open(path, framework="pt") as file:
            header: dict[str, str] | None = file.metadata()
    except (SafetensorError, OSError) as why:
        raise _refused(path, why) from None
    return header or {}


def _names_in(text: str) -> tuple[str, ...] | None:
    """Return names of classes as `save_weights` wrote them; None of anything else."""
    try:
        content: object = json.loads(text)
    except (ValueError, RecursionError):
        return None
    names = cast("list[object]", content) if isinstance(content, list) else []
    read = tuple(name for name in names if isinstance(name, str))
    return read if read and len(read) == len(names) else None


def _refused(path: Path, why: Exception) -> DataError:
    """Say in plain words why a file cannot be read as tensors."""
    forbidden = _FORBIDDEN.search(str(why))
    kind = _archive(path)
    if kind == "TorchScript":
        return DataError(
            path, "must hold tensors and nothing else", "a TorchScript model",
            "To run its code, if you trust it, name its kind: --model torchscript.",
        )  # fmt: skip
    if path.suffix == ".onnx":
        return DataError(path, "must hold tensors", "an ONNX model", "Name its kind: --model onnx.")
    if forbidden:
        lightning = " beside its weights, as Lightning keeps settings" * (kind == "Lightning")
        return DataError(
            path,
            "must hold tensors and nothing else, because anything more can run code when loaded",
            f"it asks for {forbidden[1]}{lightning}",
            "It was not loaded. Save the state dict alone, best as .safetensors; where you trust"
            " the file, docs/networks.md has the lines for it.",
        )
    return DataError(
        path,
        "must be an intact file of tensors and nothing else",
        type(why).__name__,
        "It is damaged, cut short or of another format; copy or save it again.",
    )


def _archive(path: Path) -> str:
    """Return what wrote an archive of torch, as far as its members tell without being loaded."""
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
            if any(name.endswith("/constants.pkl") for name in names):
                return "TorchScript"
            pickles = [name for name in names if name.endswith("/data.pkl")]
            texts = [archive.open(name).read(_LONGEST_PICKLE) for name in pickles]
    except (OSError, ValueError, NotImplementedError, RuntimeError, zipfile.BadZipFile, EOFError):
        return ""
    return "Lightning" if any(b"pytorch-lightning_version" in text for text in texts) else ""


def _unwrapped(content: object, path: Path) -> Content:
    """Find the state dict in what training scripts usually save."""
    way: list[str] = []
    for _ in range(_DEEPEST):
        if _is_state(content):
            told = f"weights under '{'.'.join(way)}'" if way else ""
            return Content(cast("dict[str, Tensor]", content), told)
        if not isinstance(content, dict):
            break
        mapping = cast("dict[object, object]", content)
        states = [key for key, value in mapping.items() if _is_state(value)]
        known = [key for key in _WRAPPINGS if isinstance(mapping.get(key), dict)]
        key = next(iter(known), states[0] if len(states) == 1 else None)
        if key is None:
            found = brief(", ".join(map(str, mapping))) if mapping else "nothing"
            break_off = f"keys {found}"
            rule = "must hold a state dict of tensors"
            if states:
                rule += f", and one alone: {brief(', '.join(map(str, states)))} are such"
            raise DataError(path, rule, break_off, "Save model.state_dict().")
        way.append(str(key))
        content = mapping[key]
    raise DataError(path, "must hold a state dict of tensors", remedy="Save model.state_dict().")


def _is_state(content: object) -> bool:
    return (
        isinstance(content, dict)
        and bool(content)
        and all(isinstance(key, str) and isinstance(value, Tensor)
                for key, value in cast("dict[object, object]", content).items())
    )  # fmt: skip
