"""How this machine's cores are shared by the trainings of a study."""

from __future__ import annotations

from collections.abc import Generator, Iterable
from contextlib import contextmanager
from typing import Protocol, runtime_checkable

from segdoor.workers import usable_cores


@runtime_checkable
class HasThreads(Protocol):
    """Settings of a training, requested or resolved."""

    @property
    def threads(self) -> int | None:
        """CPU threads; left to the study if None."""
        ...

    @property
    def device(self) -> str | None:
        """Where the arithmetic happens; ``auto`` if None."""
        ...


def threads_of(training: HasThreads) -> int:
    """Return the threads of a training in a study.

    Results depend on this number, so it must not depend on the machine or on how many trainings
    run at once.
    """
    return training.threads or 1


def jobs_for(trainings: Iterable[HasThreads], asked: int | None = None) -> int:
    """Return how many trainings this machine does at once.

    Args:
        trainings: The trainings to do.
        asked: As many as this; if None, as many as there are cores for, and one on a GPU.
    """
    if asked is not None:
        return asked
    every = list(trainings)
    if not every or any(on_gpu(training) for training in every):
        return 1
    return max(1, usable_cores() // max(map(threads_of, every)))


def on_gpu(training: HasThreads) -> bool:
    """Tell whether a training is done on another device than the CPU."""
    if training.device not in {None, "auto"}:
        return training.device != "cpu"
    # It takes seconds to load, which is not needed if a device is named.
    import torch  # noqa: PLC0415

    return torch.cuda.is_available()


@contextmanager
def own_threads(training: HasThreads) -> Generator[None]:
    """Set the threads of a training while the block runs; on a GPU torch decides."""
    if on_gpu(training):
        yield
        return
    import cv2  # noqa: PLC0415
    import torch  # noqa: PLC0415

    before = torch.get_num_threads(), cv2.getNumThreads()
    use_threads(threads_of(training))
    try:
        yield
    finally:
        torch.set_num_threads(before[0])
        cv2.setNumThreads(before[1])


def use_threads(count: int) -> None:
    """Set the number of threads of this process from now on."""
    import cv2  # noqa: PLC0415
    import torch  # noqa: PLC0415

    torch.set_num_threads(count)
    cv2.setNumThreads(count)
