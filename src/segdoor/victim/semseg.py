"""Checkpoints of semseg and of the attack's authors: whole networks under names of their own.

Both keep a PSPNet as layer0 to layer4, ppm, cls and aux; the authors' DeepLabV3 has aspp for ppm.
The names are facts about their files (github hszhao/semseg and Maxproto/IBA).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Final

from torch import Tensor, nn

from segdoor.errors import DataError
from segdoor.files import digest_of
from segdoor.record import LoadedWeights
from segdoor.victim.answer import void_hint
from segdoor.victim.backbones.imagenet import architecture
from segdoor.victim.checkpoint import check_shapes, fill_from, some
from segdoor.victim.config import NetworkConfig
from segdoor.victim.logits import arrange
from segdoor.victim.matching import laid_bare
from segdoor.victim.members import fill, state_of
from segdoor.victim.networks.deeplabv3 import DeepLabV3
from segdoor.victim.networks.pspnet import PSPNet
from segdoor.victim.weights_file import read_tensors

Tensors = Mapping[str, Tensor]

_COUNTER: Final = ".num_batches_tracked"
_MARKS: Final = {"ppm.": "pspnet", "aspp.": "deeplabv3"}
_STYLES: Final = {
    "pspnet": "semseg, PSPNet",
    "deeplabv3": "the attack's authors, DeepLabV3 in semseg's manner",
}
_CLASSES: Final[dict[str, type[nn.Module]]] = {"pspnet": PSPNet, "deeplabv3": DeepLabV3}
_STEM: Final = {"0": "conv1", "1": "bn1", "3": "conv2", "4": "bn2", "6": "conv3", "7": "bn3"}
_LAYERS: Final = {
    **{f"layer0.{number}": f"backbone.{layer}" for number, layer in _STEM.items()},
    **{f"layer{number}": f"backbone.layer{number}" for number in (1, 2, 3, 4)},
    **{
        f"ppm.features.{level}.{place}": f"context.branches.{level}.{part}"
        for level in range(4)
        for place, part in (("1", "conv"), ("2", "norm"))
    },
    **{
        f"aspp.convs.{view}.{place}": f"context.{branch}.{part}"
        for view, branch in enumerate(("point", "atrous.0", "atrous.1", "atrous.2"))
        for place, part in (("0", "conv"), ("1", "norm"))
    },
    # Its first step averages the image, and has no weights.
    "aspp.convs.4.1": "context.image.conv",
    "aspp.convs.4.2": "context.image.norm",
    "cls.0": "fusion.conv", "cls.1": "fusion.norm", "cls.4": "classifier",
    "aux.0": "auxiliary.fusion.conv", "aux.1": "auxiliary.fusion.norm",
    "aux.4": "auxiliary.classifier",
}  # fmt: skip


def load_weights(
    network: nn.Module, path: Path, *, classes: Sequence[str] | None = None
) -> LoadedWeights:
    """Load the weights of a file into a network; tensors have its own names or semseg's.

    Args:
        network: The network.
        path: The file.
        classes: The names of the classes that it is to tell apart, to be compared with those in
            the file: if they are the same in another order, the network's logits come in this one
            from now on. None to compare none.

    Returns:
        What was taken, and whose names the tensors had.

    Raises:
        DataError: If the file is missing, damaged, holds more than tensors, or does not fit.
    """
    loaded = filled(network, path)
    if classes is None:
        return loaded
    return arrange(network, loaded, NetworkConfig(), classes) or loaded


def filled(network: nn.Module, path: Path) -> LoadedWeights:
    """Fill a network as `load_weights` does, whatever its classes.

    Raises:
        DataError: If the file is missing, damaged, holds more than tensors, or does not fit.
    """
    content = read_tensors(path)
    bare = laid_bare(content.tensors, ("layer0.0.weight",))
    name = kept_by_semseg(bare.tensors)
    if name is None:
        return fill_from(network, path, content)
    _check_kind(network, name, path)
    renamed, expected = translated(bare.tensors), state_of(network)
    _check_settings(path, renamed, expected)
    _check_names(path, renamed, expected)
    check_shapes(path, renamed, expected, "Use a network with the same classes and settings.")
    # Batch norm's counters, which old files lack, decide nothing.
    fill(network, {**expected, **renamed})
    return LoadedWeights(
        part="network",
        file=path.name,
        sha256=digest_of(path),
        style=_STYLES[name],
        num_taken=len(renamed),
        num_counters_missing=len(expected) - len(renamed),
        left_out=bare.left_out,
        classes=content.classes,
        remarks=tuple(filter(None, (content.told, bare.told))),
    )


def kept_by_semseg(tensors: Iterable[str]) -> str | None:
    """Return which network's tensors have names in semseg's manner, or None if they have others."""
    names = list(tensors)
    if "layer0.0.weight" not in names or "cls.0.weight" not in names:
        return None
    found = [name for mark, name in _MARKS.items() if any(at.startswith(mark) for at in names)]
    return found[0] if len(found) == 1 else None


def translated(tensors: Tensors) -> dict[str, Tensor]:
    """Return tensors under the names used here; those with names of no meaning keep them."""
    return {_name_here(name): tensor for name, tensor in tensors.items()}


def _name_here(name: str) -> str:
    parts = name.split(".")
    for length in range(len(parts) - 1, 0, -1):
        layer = ".".join(parts[:length])
        if layer in _LAYERS:
            return ".".join([_LAYERS[layer], *parts[length:]])
    return name


def _check_kind(network: nn.Module, name: str, path: Path) -> None:
    if not isinstance(network, _CLASSES[name]):
        raise DataError(
            path,
            f"must hold the weights of a {type(network).__name__}",
            _STYLES[name],
            f"Set network.name {name}, or --model {name}.",
        )


def _check_settings(path: Path, tensors: Tensors, expected: Tensors) -> None:
    """Refuse a file by what it says about settings: the backbone and the number of classes."""
    found, wanted = (architecture(_backbone(state)) for state in (tensors, expected))
    if found != wanted:
        remedy = f"Set network.backbone resnet, {found.settings}." if found.settings else ""
        raise DataError(
            path, f"must stand on {wanted.name}", found.name, remedy or "Take another file."
        )
    sizes = [
        len(state["classifier.weight"]) if "classifier.weight" in state else 0
        for state in (tensors, expected)
    ]
    if sizes[0] and sizes[0] != sizes[1]:
        raise DataError(
            path,
            f"tensor 'cls.4.weight' must tell {sizes[1]} classes apart, as the data set has them",
            sizes[0],
            "Take the data set, and its classes, that the network was trained on."
            + void_hint(*sizes),
        )


def _check_names(path: Path, tensors: Tensors, expected: Tensors) -> None:
    missing = [name for name in expected if name not in tensors and not name.endswith(_COUNTER)]
    strange = tensors.keys() - expected.keys()
    if missing or strange:
        raise DataError(
            path,
            "must hold a whole network in semseg's manner, its auxiliary head included",
            f"{len(missing)} missing ({some(map(_name_there, missing))}),"
            f" {len(strange)} unknown ({some(strange)})",
            "It is incomplete, or of a variant of that network; take another file.",
        )


def _name_there(name: str) -> str:
    """Return semseg's name of a tensor of ours."""
    for theirs, ours in _LAYERS.items():
        if name.startswith(f"{ours}."):
            return theirs + name.removeprefix(ours)
    return name


def _backbone(tensors: Tensors) -> dict[str, Tensor]:
    return {
        name.removeprefix("backbone."): tensor
        for name, tensor in tensors.items()
        if name.startswith("backbone.")
    }
