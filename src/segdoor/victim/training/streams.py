"""CUDA streams with random numbers of their own, so that trainings can run abreast."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager

import torch


class CudaStream:
    """Where one training's work is queued; on a CPU nothing at all.

    A captured graph reads seed and offset of its random numbers from the state it was captured
    with. Were that shared, a training could overwrite another's seed while that still runs.
    """

    def __init__(self, device: torch.device) -> None:
        """Open a stream that waits for all that was asked of the device before."""
        self._device = device
        if device.type != "cuda":
            return
        self._stream = torch.cuda.Stream(device)
        self._stream.wait_stream(torch.cuda.current_stream(device))
        number = torch.zeros((), device=device).get_device()
        self._generator = torch.cuda.default_generators[number]
        self._state = self._generator.clone_state()

    @contextmanager
    def turn(self) -> Generator[None]:
        """Queue the work within on this stream."""
        if self._device.type != "cuda":
            yield
            return
        before = self._generator.graphsafe_get_state()
        self._generator.graphsafe_set_state(self._state)
        try:
            with torch.cuda.stream(self._stream):
                yield
        finally:
            self._generator.graphsafe_set_state(before)

    def join(self) -> None:
        """Let what is asked of the device from now on wait for this stream."""
        if self._device.type == "cuda":
            torch.cuda.current_stream(self._device).wait_stream(self._stream)
