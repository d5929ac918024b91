"""Where rows are measured, how large, on which scenes, and how often."""

from __future__ import annotations

import gc
import statistics
from dataclasses import dataclass
from functools import cache, partial

import numpy as np
import torch

from benchmarks.measure import Row, Work, compared, seconds
from segdoor.data.scene import Scene, SceneDataset
from segdoor.data.street import StreetDataset
from segdoor.data.subset import Subset

Size = tuple[int, int]

_SECONDS_A_SIDE = 0.5


@dataclass(frozen=True)
class Place:
    """Where and how large it is measured.

    Attributes:
        device: The GPU, or the CPU in the tiny mode.
        large: Height and width of Cityscapes, halved.
        small: Heights and widths of CamVid, the smaller one last.
        depth: Layers of the ResNet.
        batch_sizes: To try, the largest first.
        repetitions: How often each side of a ratio is timed.
        workers: Processes of the plain DataLoader.
        num_scenes: Scenes of a data set.
        epochs: Of the many small trainings.
    """

    device: torch.device
    large: Size
    small: tuple[Size, ...]
    depth: int
    batch_sizes: tuple[int, ...]
    repetitions: int
    workers: int
    num_scenes: int
    epochs: int

    @classmethod
    def gpu(cls) -> Place:
        """Return the real thing."""
        small = (360, 480), (180, 240)
        return cls(torch.device("cuda"), (512, 1024), small, 50, (16, 8, 4), 7, 16, 64, 40)

    @classmethod
    def tiny(cls) -> Place:
        """Return what goes through the same code on a CPU."""
        return cls(torch.device("cpu"), (32, 64), ((32, 64),), 18, (2,), 2, 0, 4, 1)

    @property
    def on_gpu(self) -> bool:
        """Return whether it means anything."""
        return self.device.type == "cuda"

    @property
    def sizes(self) -> list[Size]:
        """Return all sizes."""
        return list(dict.fromkeys((self.large, *self.small)))

    def wait(self) -> None:
        """Wait for the device."""
        if self.on_gpu:
            torch.cuda.synchronize(self.device)

    def tidy(self) -> None:
        """Give memory back."""
        gc.collect()
        if self.on_gpu:
            torch.cuda.empty_cache()

    def seconds_each(self, work: Work, times: int) -> float:
        """Return the time of one call among several, the device's work included."""
        self.wait()
        return seconds(lambda: (self._repeat(work, times), self.wait())) / times

    def times(self, *works: Work, least: int) -> int:
        """Warm up, and return how often the slowest is to be called for its time to be telling."""
        if not self.on_gpu:
            return 1
        slowest = max((self._repeat(work, 6), self.seconds_each(work, 3))[1] for work in works)
        return max(least, round(_SECONDS_A_SIDE / slowest))

    def compared(
        self, row: str, what: str, over: tuple[Work, Work], bar: float, *, least: int = 1
    ) -> Row:
        """Return a ratio of times that should reach a bar, of so many calls at least."""
        times = self.times(*over, least=least)
        above, below = (partial(self.seconds_each, work, times) for work in over)
        repetitions = self.repetitions
        return compared(
            row, what, (above, below), bar=bar, bound="at least", repetitions=repetitions
        )

    def median(self, work: Work) -> float:
        """Return the median time of one call."""
        times = self.times(work, least=10)
        return statistics.median(self.seconds_each(work, times) for _ in range(self.repetitions))

    def _repeat(self, work: Work, times: int) -> None:
        for _ in range(times):
            work()


class Kept(Subset):
    """Scenes kept in memory, as a pack does, some of them relabelled."""

    def __init__(self, scenes: SceneDataset, relabelled: int = 0) -> None:
        """Read all of them once."""
        super().__init__(scenes, range(len(scenes)))
        self._kept = [super(Kept, self).__getitem__(index) for index in range(len(scenes))]
        for index in range(relabelled):
            scene = self._kept[index]
            self._kept[index] = Scene(scene.image, np.zeros_like(scene.label), scene.name)

    def __getitem__(self, index: int) -> Scene:
        """Return a scene."""
        return self._kept[index]

    def label(self, index: int) -> np.ndarray:
        """Return its label map."""
        return self._kept[index].label


@cache
def street(size: Size, count: int, relabelled: int = 0) -> Kept:
    """Return street scenes of a size."""
    scenes = StreetDataset(split="train", num_scenes=count, height=size[0], width=size[1])
    return Kept(scenes, relabelled)
