"""What the batteries of filters, detectors, purifiers and scans share."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar, get_args

import numpy as np
import pytest
import torch
from torch import nn

from defense.third_party import CLASSES, made
from forms import plain, plainly
from segdoor.data.street import StreetDataset
from segdoor.defense.defense import Access, Defense
from segdoor.errors import ConfigError
from segdoor.plugins import Plugin, Registry
from segdoor.record import save_record
from segdoor.record.defense import (
    DEFENSE_SCHEMA_VERSION,
    DefenseRecord,
    Entry,
    load_defenses,
)
from strategies import MemoryDataset

PluginT = TypeVar("PluginT", bound=Plugin)


def painted(split: str, num_scenes: int) -> MemoryDataset:
    """Paint scenes once: every test looks at them."""
    street = StreetDataset(split=split, num_scenes=num_scenes, height=32, width=48)
    return MemoryDataset([street[index] for index in range(num_scenes)], street.classes)


SCENES = painted("train", 5)
CLEAN = painted("test", 2)
NETWORKS = ("small", "homemade", "tokens")
"""One of ours, and two of strangers."""


def read(registry: Registry[PluginT], name: str) -> PluginT:
    """Make a method of a registry with what it must be given, or a stranger's as it is written."""
    return plainly(registry.known[name]) if name in registry.known else registry.read(name)


def state(model: nn.Module) -> list[object]:
    """Return all of a model that nobody may change, looked at in another way than segdoor does."""
    layers = list(model.modules())
    return [
        {name: value.clone().numpy().tobytes() for name, value in model.state_dict().items()},
        [layer.training for layer in layers],
        [(list(layer._forward_hooks), list(layer._forward_pre_hooks)) for layer in layers],
        [(weight.requires_grad, weight.grad) for weight in model.parameters()],
    ]


def check_introduction(registry: Registry[Plugin], method: Defense) -> None:
    """Check what a method says of itself, and every written form of it."""
    told = method.introduction
    assert all(len(text) > 10 and text.isprintable() for text in vars(told).values())
    assert told.does.endswith(".")
    assert method.access <= set(get_args(Access))
    assert all(field.description for field in type(method).model_fields.values())
    assert type(method).main is None or type(method).main in type(method).model_fields
    for written in (str(method), {"kind": method.kind, **method.model_dump()}):
        assert registry.read(written) == method
    with pytest.raises(ConfigError, match="not a known setting"):
        registry.read({"kind": method.kind, **plain(type(method)), "colour": 1})


def check_repeats(call: Callable[[], Any]) -> Any:
    """Check that the same call gives the same, whatever torch and NumPy drew before."""
    torch.manual_seed(1)
    np.random.seed(1)  # noqa: NPY002 - what careless methods draw from
    first = call()
    torch.manual_seed(2)
    np.random.seed(2)  # noqa: NPY002
    drawn = torch.get_rng_state()
    assert call() == first
    assert torch.equal(torch.get_rng_state(), drawn)
    return first


def check_record(entry: Entry, path: Path) -> None:
    """Check that what was found comes back from its file."""
    record = DefenseRecord(segdoor="0.1.0", subject="abc", seed=3, entries=(entry,))
    save_record(record, path)
    back = load_defenses(path)
    assert back == record
    assert type(back.entries[0]) is type(entry)
    assert back.schema_version == DEFENSE_SCHEMA_VERSION
    assert back.entries[0].cost is not None
    assert back.entries[0].does.endswith(".")


def spoil_weights(model: nn.Module) -> None:
    with torch.no_grad():
        next(model.parameters()).add_(1)


def spoil_mode(model: nn.Module) -> None:
    list(model.modules())[-1].train()


def spoil_hooks(model: nn.Module) -> None:
    list(model.modules())[-1].register_forward_hook(lambda *_: None)


def spoil_gradients(model: nn.Module) -> None:
    model(torch.zeros(1, 3, 32, 32))["out"].sum().backward()


def spoil_frozen(model: nn.Module) -> None:
    model.requires_grad_(requires_grad=False)


SPOILS: dict[str, tuple[Callable[[nn.Module], None], str]] = {
    "weights": (spoil_weights, "weights or buffers"),
    "mode": (spoil_mode, "modes"),
    "hooks": (spoil_hooks, "hooks"),
    "gradients": (spoil_gradients, "gradients"),
    "frozen": (spoil_frozen, "gradients"),
}
"""What careless methods do to a model, and what they are told."""


def model(network: str = "homemade") -> nn.Module:
    """Build a network for the eight classes of a street."""
    assert len(SCENES.classes) == CLASSES
    return made(network)
