"""Which of a network's logits stands for which class, and an answer in the data set's order.

A network answers as it was trained. Where its weights say what their classes are, the names are
compared, and the logits brought into the data set's order as they leave the network; its weights
stay as they are.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor, nn

from segdoor.errors import ConfigError, DataError
from segdoor.record import LoadedWeights
from segdoor.settings import brief
from segdoor.victim.answer import SegmentationOutput, auxiliary_of, logits_of
from segdoor.victim.config import NetworkConfig
from segdoor.victim.members import methods_in_reach

_NAMELESS = re.compile(r"(label|class)?[\W_]*\d+")
_WITHOUT_NAMES = "the file does not name its classes, which are taken in the data set's order"


@dataclass(frozen=True)
class Chosen:
    """Put behind a network: its logits as they are taken.

    Attributes:
        places: The logit of each class of the data set.
        number: How many logits the network has.
    """

    places: tuple[int, ...]
    number: int

    def __call__(self, network: nn.Module, _inputs: object, output: object) -> SegmentationOutput:
        """Return what the network answered, with these logits alone, in their order.

        Raises:
            ConfigError: If logits are to be left out and the network has other ones, or none.
        """
        if len(self.places) < self.number and getattr(network, "answers_with_classes", False):
            raise ConfigError(
                "network.void_logit",
                "needs a network that answers with logits",
                "classes: an argmax within it",
                "Export the network with its logits, or leave the setting out.",
            )
        auxiliary = auxiliary_of(output)
        return SegmentationOutput(
            self._of(logits_of(output)), None if auxiliary is None else self._of(auxiliary)
        )

    def _of(self, logits: Tensor) -> Tensor:
        if logits.shape[1] != self.number:
            raise ConfigError(
                "network.void_logit",
                f"needs a network of {self.number} logits: the data set's classes and void",
                logits.shape[1],
                "Leave it out, or take the classes that the network was trained on.",
            )
        # Slices, not a list of places: a CUDA graph cannot wait for such a list.
        return torch.cat([logits[:, first:last] for first, last in self._runs()], dim=1)

    def _runs(self) -> Iterator[tuple[int, int]]:
        first = last = self.places[0]
        for place in self.places[1:]:
            if place != last + 1:
                yield first, last + 1
                first = place
            last = place
        yield first, last + 1


def num_logits(config: NetworkConfig, num_classes: int) -> int:
    """Return how many logits a network has: one a class, and one for void if there is such."""
    return num_classes + (config.void_logit is not None)


def arrange(
    network: nn.Module,
    loaded: LoadedWeights | None,
    config: NetworkConfig,
    classes: Sequence[str] | int,
) -> LoadedWeights | None:
    """Have a network answer for the data set's classes, and return what to say of its weights.

    Args:
        network: The network; it answers in another order from now on, if need be.
        loaded: What it was filled with, and the names of the classes if the file has them.
        config: Settings, of which void_logit and class_order are looked at.
        classes: The data set's classes, or their number where names are not to be compared.

    Raises:
        ConfigError: If there is no such void logit.
        DataError: If the weights are of other classes.
    """
    number = classes if isinstance(classes, int) else len(classes)
    places = _without_void(config.void_logit, number)
    # A backbone's weights have no say in classes.
    if loaded is not None and loaded.part == "network" and not isinstance(classes, int):
        theirs = loaded.classes
        if theirs is None:
            loaded = _with(loaded, _WITHOUT_NAMES)
        elif config.class_order == "by_position":
            loaded = _with(loaded, "its classes are taken by position")
        else:
            named = _named(loaded.file, theirs, places, classes)
            if named != places:
                loaded = _with(loaded, _reordered(theirs, classes))
            places = named
    _put_behind(network, Chosen(tuple(places), num_logits(config, number)))
    return loaded


def chosen_of(network: nn.Module) -> Chosen | None:
    """Return how a network's logits are taken; None if they are as it answers."""
    hooks = cast("dict[int, object]", vars(network)["_forward_hooks"])
    return next((hook for hook in hooks.values() if isinstance(hook, Chosen)), None)


def classes_of(network: nn.Module, classes: Sequence[str]) -> tuple[str, ...]:
    """Return the names of a network's own logits, in its order; void has none."""
    chosen = chosen_of(network)
    if chosen is None:
        return tuple(classes)
    names = [""] * chosen.number
    for name, place in zip(classes, chosen.places, strict=True):
        names[place] = name
    return tuple(names)


def meaningful(names: Sequence[str]) -> tuple[str, ...] | None:
    """Return names of classes; None if they are numbers in other words, as LABEL_0."""
    return None if all(_NAMELESS.fullmatch(name.casefold()) for name in names) else tuple(names)


def _without_void(void: int | None, number: int) -> list[int]:
    if void is None:
        return list(range(number))
    if not -number - 1 <= void <= number:
        raise ConfigError(
            "network.void_logit",
            f"must be a place among {number + 1} logits, counted from 0",
            void,
            f"The last one is {number}.",
        )
    return [place for place in range(number + 1) if place != void % (number + 1)]


def _named(
    file: str, theirs: Sequence[str], places: Sequence[int], classes: Sequence[str]
) -> list[int]:
    """Return the logit of each class by its name.

    Raises:
        DataError: If the weights are of other classes.
    """
    # Weights that were trained without a void logit name none.
    counted = places if len(theirs) > len(classes) else range(len(theirs))
    told = [theirs[place] for place in counted if place < len(theirs)]
    keys, mine = _alike(told, classes)
    if sorted(keys) != sorted(mine):
        raise DataError(
            file,
            "must be a model of the data set's classes",
            brief(", ".join(told)),
            f"The data set has {', '.join(classes)}. If these are the same classes in the same"
            " order under other names, set network.class_order by_position.",
        )
    return [places[keys.index(key)] for key in mine]


def _alike(theirs: Sequence[str], classes: Sequence[str]) -> tuple[list[str], list[str]]:
    """Return names without case, spaces and signs, unless that makes two the same."""
    plain = [[re.sub(r"[\W_]+", "", name.casefold()) for name in names]
             for names in (theirs, classes)]  # fmt: skip
    if any(len(set(names)) < len(names) for names in plain):
        return list(theirs), list(classes)
    return plain[0], plain[1]


def _reordered(theirs: Sequence[str], classes: Sequence[str]) -> str:
    return (
        f"its classes {brief(', '.join(name or 'void' for name in theirs))} are brought into the"
        f" data set's order {brief(', '.join(classes))}"
    )


def _with(loaded: LoadedWeights, remark: str) -> LoadedWeights:
    return loaded.model_copy(update={"remarks": (*loaded.remarks, remark)})


def _put_behind(network: nn.Module, chosen: Chosen) -> None:
    hooks = cast("dict[int, object]", vars(network)["_forward_hooks"])
    for key in [key for key, hook in hooks.items() if isinstance(hook, Chosen)]:
        del hooks[key]
    if chosen.places != tuple(range(chosen.number)):
        with methods_in_reach(network):
            network.register_forward_hook(chosen)
