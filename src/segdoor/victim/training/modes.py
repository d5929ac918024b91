"""How a step is done: plain, replayed from a CUDA graph, or compiled.

However it is done, it is the same arithmetic: a graph replays the very kernels of the plain step,
compiled ones differ from them by rounding.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import torch
from torch import Tensor, nn

from segdoor.errors import ConfigError, SegdoorError, first_line
from segdoor.victim.config import TrainingConfig
from segdoor.victim.device import Arithmetic
from segdoor.victim.training.batches import Batch
from segdoor.victim.training.distributed import ProcessGroup
from segdoor.victim.training.synchronised import is_ours

_WARM_UP = 3
_STEPS_THAT_PAY = 100

StepMode = Literal["plain", "captured", "compiled"]
Step = Callable[[Batch], Tensor]


def choose_mode(
    config: TrainingConfig, model: nn.Module, arithmetic: Arithmetic, steps: int
) -> StepMode:
    """Resolve the setting ``step`` for a training of so many steps.

    Raises:
        ConfigError: If a graph is asked for where there is no CUDA, or compiled bfloat16 on a CPU.
    """
    kind = arithmetic.device.type
    if config.step == "captured" and kind != "cuda":
        raise ConfigError(
            "training.step", "can only be captured on CUDA", kind, "Set it to 'auto'."
        )
    if config.step == "compiled" and kind == "cpu" and arithmetic.bfloat16:
        # Measured with torch 2.13: for batches of 4 scenes of 32 x 64 pixels torch's compiler made
        # a backward pass whose gradients were all zero, without a word.
        raise ConfigError(
            "training.step",
            "must not be compiled for bfloat16 on a CPU, where gradients can come out as zero",
            config.step,
            "Set it to 'auto', or training.precision to 'float32'.",
        )
    if config.step != "auto":
        return config.step
    if ProcessGroup.present().size > 1:
        return "plain"
    # Layers of other people may look at values, which no graph can hold.
    captured = kind == "cuda" and is_ours(model) and steps >= _STEPS_THAT_PAY
    return "captured" if captured else "plain"


class CapturedStep:
    """A step replayed as one CUDA graph, on the stream that is current from the first call on."""

    def __init__(self, learn: Step) -> None:
        """Choose the step that is replayed."""
        self._learn, self._done = learn, 0
        self._graph: torch.cuda.CUDAGraph | None = None

    def __call__(self, batch: Batch) -> Tensor:
        """Do one step and return its loss, which the next step overwrites."""
        # The optimiser's state and the libraries' choices are made in a few steps done plainly.
        if self._done < _WARM_UP:
            self._done += 1
            return self._learn(batch)
        if self._graph is None:
            self._graph = self._capture(batch)
        self._batch.images.copy_(batch.images)
        self._batch.labels.copy_(batch.labels)
        self._graph.replay()
        return self._loss

    def _capture(self, batch: Batch) -> torch.cuda.CUDAGraph:
        images = torch.empty_like(batch.images, memory_format=torch.channels_last)
        self._batch = Batch(images, torch.empty_like(batch.labels))
        graph = torch.cuda.CUDAGraph()
        try:
            with torch.cuda.graph(graph, stream=torch.cuda.current_stream(images.device)):
                self._loss = self._learn(self._batch)
        except (SegdoorError, torch.OutOfMemoryError):
            raise
        except RuntimeError as why:
            raise ConfigError(
                "training.step",
                "can only be captured for networks that never wait for the device",
                first_line(why),
                "Set it to 'plain'.",
            ) from why
        return graph
