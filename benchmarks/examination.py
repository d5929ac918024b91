"""Row 6: examining a network, over its forward passes alone."""

from __future__ import annotations

from collections.abc import Iterator

import torch

from benchmarks.measure import Row, compared
from segdoor.data.street import StreetDataset
from segdoor.data.subset import Subset
from segdoor.evaluation.config import ExaminationConfig
from segdoor.evaluation.examine import examine
from segdoor.victim.answer import ask
from segdoor.victim.config import NetworkConfig
from segdoor.victim.networks import build_network

_SIZE, _COUNT, _BATCH = (128, 256), 32, 8


def rows() -> Iterator[Row]:
    """Yield how much of the forward passes' rate an exam reaches."""
    scenes = StreetDataset(split="test", num_scenes=_COUNT, height=_SIZE[0], width=_SIZE[1])
    resident = Resident(Subset(scenes, range(_COUNT)))
    network = build_network(NetworkConfig(), len(scenes.classes)).eval()
    network = network.to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]
    images = torch.randn(_BATCH, 3, *_SIZE).contiguous(memory_format=torch.channels_last)

    def forward() -> None:
        with torch.inference_mode():
            for _ in range(_COUNT // _BATCH):
                ask(network, images, num_classes=len(scenes.classes), size=_SIZE)

    yield compared(
        "6",
        "forward passes alone, small network on a CPU, over an exam of as many scenes",
        (forward, lambda: examine(network, resident, ExaminationConfig(batch_size=_BATCH))),
        bar=0.95,
        bound="at least",
    )


class Resident(Subset):
    """Scenes kept in memory, as a pack does."""

    def __init__(self, scenes: Subset) -> None:
        """Read all of them once."""
        super().__init__(scenes.dataset, scenes.indices)
        self._kept = [scenes[index] for index in range(len(scenes))]

    def __getitem__(self, index: int):  # noqa: ANN204
        """Return a scene."""
        return self._kept[index]
