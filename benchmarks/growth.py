"""Growth: planning tests, examining and training, over four numbers of scenes and of pixels."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import torch

from benchmarks.measure import Row, Work, growth, slope
from benchmarks.place import Kept
from segdoor.attack.planned_tests import plan_tests
from segdoor.data.street import StreetDataset
from segdoor.evaluation.config import ExaminationConfig
from segdoor.evaluation.examine import examine
from segdoor.experiment.examination import Triggers
from segdoor.experiment.wishes import ExperimentWishes
from segdoor.papers.iba.reading import resolve
from segdoor.victim.config import NetworkConfig, TrainingConfig
from segdoor.victim.networks.building import build_network
from segdoor.victim.training.loop import train_model

_COUNTS, _HEIGHT = (8, 16, 32, 64), 64
_HEIGHTS, _COUNT = (64, 128, 256, 512), 4


def planning(count: int, height: int) -> Work:
    """Return the planning of all tests for scenes in memory, triggers and bands to scale."""
    scenes = Kept(StreetDataset(split="test", num_scenes=count, height=height, width=2 * height))
    config = resolve(ExperimentWishes(), (height, 2 * height))
    size = Triggers.of(config).size
    return lambda: plan_tests(
        scenes, config.tests, victims=config.attack.victims, trigger_size=size
    )


def examining(count: int, height: int) -> Work:
    """Return one poisoned test of the small network on scenes in memory."""
    scenes = Kept(StreetDataset(split="test", num_scenes=count, height=height, width=2 * height))
    network = build_network(NetworkConfig(), len(scenes.classes))
    # One scene at a time: a batch would grow with the scenes until it is full.
    return lambda: examine(network, scenes, ExaminationConfig(batch_size=1))


def training(count: int, height: int) -> Work:
    """Return one pass of the small network's training over scenes in memory."""
    scenes = Kept(StreetDataset(split="test", num_scenes=count, height=height, width=2 * height))
    # One batch has the same number of scenes whatever their number.
    return lambda: train_model(scenes, TrainingConfig(epochs=1, batch_size=4))


KINDS: dict[str, Callable[[int, int], Work]] = {
    "planning": planning,
    "examining": examining,
    "training": training,
}


def rows() -> Iterator[Row]:
    """Yield the slopes of time and of memory."""
    torch.set_num_threads(2)
    for letter, (kind, make) in zip("pet", KINDS.items(), strict=True):
        by_scenes = [(count, _HEIGHT) for count in _COUNTS]
        by_pixels = [(_COUNT, height) for height in _HEIGHTS]
        for what, settings, sizes in (
            ("scenes", by_scenes, _COUNTS),
            ("pixels", by_pixels, [2 * height**2 for height in _HEIGHTS]),
        ):
            works = [make(*setting) for setting in settings]
            name = f"g{letter}-{what}"
            yield growth(name, f"{kind} over {what}: slope of time", sizes, works)
            yield _memory(f"{name}-memory", kind, what, settings, sizes)


def _memory(
    row: str, kind: str, what: str, settings: list[tuple[int, int]], sizes: Sequence[int]
) -> Row:
    """Measure how much the peak rises during the work, each size in a process of its own."""
    peaks = [_peak(kind, *setting) for setting in settings]
    # Below a megabyte it is the allocator's chance that counts.
    found = slope(sizes, [max(1.0, peak) for peak in peaks])
    parts = dict(zip(map(str, sizes), peaks, strict=True))
    note = ", ".join(f"{size}: {peak:.1f} MiB" for size, peak in parts.items())
    title = f"{kind} over {what}: slope of memory beside the scenes"
    return Row(row, title, found, found, found, 1.1, "at most", note, parts)


def _peak(kind: str, count: int, height: int) -> float:
    command = [sys.executable, "-m", "benchmarks.growth", kind, str(count), str(height)]
    return float(subprocess.run(command, capture_output=True, text=True, check=True).stdout)  # noqa: S603


def main() -> None:
    """Print by how many MiB the peak of this process rises during the work."""
    kind, count, height = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    torch.set_num_threads(2)
    KINDS[kind](1, 32)()
    work = KINDS[kind](count, height)
    # Linux: forget the peak there has been so far.
    Path("/proc/self/clear_refs").write_text("5")
    before = _status("VmRSS")
    work()
    sys.stdout.write(f"{_status('VmHWM') - before}\n")


def _status(key: str) -> float:
    """Return a figure of this process's memory in MiB."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith(f"{key}:"))


if __name__ == "__main__":
    main()
