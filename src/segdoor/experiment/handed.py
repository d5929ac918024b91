"""Scenes and a network passed to a run as objects: checked, named, and kept apart from others.

No setting can build them again, so ``handed.json`` in the folder stores their digests: a call that
resumes there must pass the same objects.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import CodeType, FunctionType
from typing import cast

import numpy as np
import torch
from torch import nn

from segdoor.data.checked import filled
from segdoor.data.config import OBJECT, DataConfig
from segdoor.data.degenerate import check_labelled
from segdoor.data.scene import SceneDataset
from segdoor.errors import ConfigError, DataError, SegdoorError, first_line
from segdoor.experiment.config import ExperimentConfig
from segdoor.experiment.resolving import Asked
from segdoor.experiment.scenes import open_scenes
from segdoor.files import write_atomically
from segdoor.progress import Observer
from segdoor.randomness import Stream
from segdoor.record import HandedIn, HandedNetwork, HandedScenes
from segdoor.victim.training.fingerprint import weights_digest

Factory = Callable[[int], nn.Module]
"""Builds an untrained network for a number of classes."""

_FILE = "handed.json"
_OF_INPUT = {"mean", "std"}


@dataclass(frozen=True)
class Objects:
    """What a caller passes besides the settings; all None if the settings say everything.

    Attributes:
        train: The clean training scenes.
        test: The clean test scenes.
        network: The network's factory.
    """

    train: SceneDataset | None = None
    test: SceneDataset | None = None
    network: Factory | None = None

    def check(self, asked: Asked, kept: Path | None) -> None:
        """Refuse objects that contradict one another, or the settings.

        Raises:
            ConfigError: If they do.
        """
        if (self.train is None) != (self.test is None):
            raise ConfigError(
                "train and test",
                "must be passed together",
                "only one of them",
                "Pass both, or name a data set in the settings.",
            )
        wishes, named = asked.wishes, dict[str, object]()
        if self.train is not None:
            named |= {f"data.{name}": value for name, value in wishes.data.tree().items()}
        if self.network is not None:
            network = wishes.network.tree().items()
            named |= {f"network.{name}": v for name, v in network if name not in _OF_INPUT}
        if named:
            setting = min(named)
            raise ConfigError(
                setting,
                "must be left out of the settings if an object is passed",
                named[setting],
                "Leave out either the setting or the object.",
            )
        if kept is not None and self != Objects():
            raise ConfigError(
                "kept", "must be left out if objects are passed", kept, "Leave it out."
            )

    def scenes(self, asked: Asked, observer: Observer) -> tuple[SceneDataset, SceneDataset]:
        """Return training and test scenes: those passed, or those of the settings, packed.

        Raises:
            SegdoorError: If they cannot be used, or differ in their classes.
        """
        if self.train is None or self.test is None:
            data = asked.data()
            splits = data.train_split, data.test_split
            train, test = (open_scenes(data, split, observer) for split in splits)
        else:
            train, test = filled(self.train), filled(self.test)
        check_labelled(train, "the training scenes", at_least=2)
        check_labelled(test, "the test scenes")
        mine, theirs = train.classes, test.classes
        if (mine.names, mine.ignore_index) != (theirs.names, theirs.ignore_index):
            raise ConfigError(
                "test",
                "must have the training scenes' classes and ignore index",
                f"{', '.join(theirs.names)}; {theirs.ignore_index}",
                "Map its labels to the classes of the training scenes.",
            )
        return train, test

    def fresh(self, num_classes: int, *, seed: int) -> nn.Module | None:
        """Return the untrained network that was passed, built with the run's seed, or None.

        Raises:
            ConfigError: If its factory fails or returns something else.
        """
        return None if self.network is None else _built(self.network, num_classes, seed)

    def described(
        self,
        train: SceneDataset,
        test: SceneDataset,
        fresh: nn.Module | None,
        observer: Observer,
    ) -> HandedIn | None:
        """Return the record of the objects passed, from `scenes` and `fresh`.

        Raises:
            DataError: If a scene is not as a `Scene` must be.
        """
        if self == Objects():
            return None
        own = self.train is not None
        network = self.network
        return HandedIn(
            train=_read_through(train, "training scenes", observer) if own else None,
            test=_read_through(test, "test scenes", observer) if own else None,
            network=_looked_at(network, fresh) if network and fresh is not None else None,
        )

    def named(self, config: ExperimentConfig) -> ExperimentConfig:
        """Return the facts of a run, with the objects' classes in place of names."""
        update: dict[str, object] = {}
        if self.train is not None:
            # Presets do not apply to scenes that are passed.
            update["data"] = DataConfig(name=f"{OBJECT}{_name_of(type(self.train))}")
        if self.network is not None:
            name = f"{OBJECT}{_name_of(self.network)}"
            update["network"] = config.network.model_copy(update={"name": name})
        return config.model_copy(update=update)


def _read_through(dataset: SceneDataset, which: str, observer: Observer) -> HandedScenes:
    """Read and check every scene once, and return a description of the data set."""
    observer.begin(f"reading {which}", len(dataset))
    classes = dataset.classes
    whole = hashlib.sha256(repr((classes.names, classes.ignore_index)).encode())
    for index, name in enumerate(dataset.names):
        scene, label = dataset[index], dataset.label(index)
        if not np.array_equal(scene.label, label):
            raise DataError(
                f"label map of scene '{name}'", "must be the same however it is read",
                "other ids from label(index)", "Return the scene's own label map.",
            )  # fmt: skip
        whole.update(repr((name, scene.image.shape)).encode())
        whole.update(np.ascontiguousarray(scene.image).data)
        whole.update(np.ascontiguousarray(label).data)
        observer.advance()
    kind = _name_of(type(getattr(dataset, "dataset", dataset)))
    return HandedScenes(kind=kind, digest=dataset.digest, content=whole.hexdigest())


def _built(factory: Factory, num_classes: int, seed: int) -> nn.Module:
    """Build an untrained network with the start weights given by the run's seed."""
    name = f"network {_name_of(factory)}"
    with torch.random.fork_rng(range(torch.cuda.device_count())):
        # The same way as training builds a network from settings.
        torch.manual_seed(Stream(seed).child("training").child("weights").integer())
        try:
            network = cast("object", factory(num_classes))
        except SegdoorError:
            raise
        except Exception as why:
            raise ConfigError(
                name, "must build a network for a number of classes", first_line(why),
                "Pass a function or class that takes one argument.",
            ) from why  # fmt: skip
    if not isinstance(network, nn.Module):
        raise ConfigError(
            name, "must return a torch.nn.Module", type(network).__name__, "Return the network."
        )
    return network


def _looked_at(factory: Factory, network: nn.Module) -> HandedNetwork:
    """Return a description of an untrained network: its layers, their code and its weights."""
    kinds = dict.fromkeys(type(module) for module in network.modules())
    code = hashlib.sha256(repr(network).encode())
    for kind in kinds:
        if kind.__module__.partition(".")[0] != "torch":
            functions = {n: f for n, f in vars(kind).items() if isinstance(f, FunctionType)}
            told = [(n, _told(f.__code__)) for n, f in functions.items()]
            code.update(repr((kind.__qualname__, told)).encode())
    name, weights = _name_of(factory), weights_digest(network)
    return HandedNetwork(factory=name, code=code.hexdigest(), weights=weights)


def check_folder(out: Path, handed: HandedIn | None) -> None:
    """Refuse a folder with a run of other objects; store these there.

    Raises:
        ConfigError: If the folder holds another run.
        StorageError: If it cannot be written.
    """
    file = out / _FILE
    text = "" if handed is None else f"{handed.model_dump_json(indent=1)}\n"
    begun = file.exists() or (handed is not None and (out / "plan.jsonl").exists())
    before = file.read_text(encoding="utf-8") if file.exists() else ""
    if begun and before != text:
        raise ConfigError(
            f"out {out}",
            "must not hold a run of other scenes or another network",
            _FILE if before else "a run without objects",
            "Name another folder, or pass the objects that the run was begun with.",
        )
    if handed is not None:
        write_atomically(file, text)


def _told(code: CodeType) -> object:
    """Return a function's code, wherever it is in its file."""
    return code.co_code, code.co_names, [_constant(value) for value in code.co_consts]


def _constant(value: object) -> object:
    if isinstance(value, CodeType):
        return _told(value)
    # The order of a set differs between processes.
    return sorted(map(repr, value)) if isinstance(value, frozenset) else repr(value)  # pyright: ignore[reportUnknownArgumentType]


def _name_of(thing: object) -> str:
    named = thing if hasattr(thing, "__qualname__") else type(thing)
    return f"{named.__module__}.{getattr(named, '__qualname__', '')}"
