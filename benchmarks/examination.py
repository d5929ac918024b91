"""Row 6: examining networks, over their forward passes alone."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import nn

from benchmarks.measure import Row, compared, not_measured
from benchmarks.place import Kept
from segdoor.attack.planned_tests import plan_tests
from segdoor.data.street import StreetDataset
from segdoor.evaluation.config import ExaminationConfig
from segdoor.evaluation.examine import examine
from segdoor.experiment.examination import ExaminedScenes, Triggers, examine_models
from segdoor.experiment.wishes import ExperimentWishes
from segdoor.papers.iba.reading import resolve
from segdoor.progress import Silent
from segdoor.victim.answer import ask
from segdoor.victim.config import NetworkConfig
from segdoor.victim.networks.building import build_network

_SIZE, _COUNT = (128, 256), 16
_BATCH = ExaminationConfig().batch_size


def rows() -> Iterator[Row]:
    """Yield how much of the forward passes' rate one test reaches, and all tests of a run."""
    torch.set_num_threads(2)
    scenes = Kept(StreetDataset(split="test", num_scenes=_COUNT))
    victims = {name: _network(len(scenes.classes)) for name in ("poisoned", "clean")}
    yield compared(
        "6a",
        "forward passes alone, small network on a CPU, over a poisoned test of as many scenes",
        (
            lambda: forward(victims["poisoned"], _COUNT, len(scenes.classes)),
            lambda: examine(victims["poisoned"], scenes),
        ),
        bar=0.95,
        bound="at least",
        repetitions=31,
    )
    config = resolve(ExperimentWishes(), _SIZE)
    triggers = Triggers.of(config)
    tests = plan_tests(
        scenes, config.tests, victims=config.attack.victims, trigger_size=triggers.size
    )
    shown_scenes = ExaminedScenes(scenes, tuple(tests), triggers)
    held = lambda: examine_models(config, victims, shown_scenes, Silent())  # noqa: E731
    shown = dict.fromkeys(victims, 0)
    for test, tables in held().items():
        shown["clean" if test.startswith("clean/") else "poisoned"] += len(tables.names)

    def alone() -> None:
        for name, count in shown.items():
            forward(victims[name], count, len(scenes.classes))

    yield compared(
        "6b",
        "forward passes alone over all poisoned tests and controls of a run, two models",
        (alone, held),
        bar=0.95,
        bound="at least",
        repetitions=11,
    )
    yield not_measured(
        "6c",
        "forward passes alone over a poisoned test, on a GPU",
        bar=0.95,
        bound="at least",
        why="needs a GPU (make bench-gpu)",
    )


def forward(network: nn.Module, count: int, num_classes: int) -> None:
    """Pass as many images as a poisoned test would, in batches of its size."""
    with torch.inference_mode():
        for begin in range(0, count, _BATCH):
            images = _IMAGES[: min(_BATCH, count - begin)]
            ask(network, images, num_classes=num_classes, size=_SIZE)


_IMAGES = torch.randn(_BATCH, 3, *_SIZE).contiguous(memory_format=torch.channels_last)


def _network(num_classes: int) -> nn.Module:
    network = build_network(NetworkConfig(), num_classes).eval()
    return network.to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]
