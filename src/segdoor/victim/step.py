"""One training step: forward, backward, optimiser; plain, replayed from a CUDA graph, or compiled.

However it is done, it is the same arithmetic: a graph replays the very kernels of the plain step,
compiled ones differ from them by rounding.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from typing import Literal, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from segdoor.errors import ConfigError, SegdoorError, first_line
from segdoor.victim.answer import ask
from segdoor.victim.augment import Batch
from segdoor.victim.config import TrainingConfig
from segdoor.victim.device import Arithmetic, enough_memory
from segdoor.victim.distributed import Team, reachable
from segdoor.victim.members import methods_in_reach, placed
from segdoor.victim.optimiser import make_optimiser
from segdoor.victim.whole import Whole, is_ours

_WARM_UP = 3
_STEPS_THAT_PAY = 100

Way = Literal["plain", "captured", "compiled"]
Learn = Callable[[Batch], Tensor]


def choose_way(config: TrainingConfig, model: nn.Module, arithmetic: Arithmetic, steps: int) -> Way:
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
    if Team.present().size > 1:
        return "plain"
    # Layers of other people may look at values, which no graph can hold.
    captured = kind == "cuda" and is_ours(model) and steps >= _STEPS_THAT_PAY
    return "captured" if captured else "plain"


class Learner:
    """A network and its optimiser: shown a batch, it does one step."""

    def __init__(
        self,
        model: nn.Module,
        config: TrainingConfig,
        arithmetic: Arithmetic,
        *,
        num_classes: int,
        ignore_index: int,
        way: Way = "plain",
    ) -> None:
        """Move the network to the device.

        Args:
            model: Trained in place.
            config: The recipe.
            arithmetic: Device and precision.
            num_classes: Number of classes K.
            ignore_index: Label of pixels that do not count.
            way: How steps are done.
        """
        self.arithmetic, self.way = arithmetic, way
        self.model = placed(model, arithmetic.device)
        with methods_in_reach(model):
            model.train()
        self.optimiser = make_optimiser(model, config)
        self._auxiliary_weight = config.auxiliary_weight
        self._num_classes, self._ignore_index = num_classes, ignore_index
        self._bases = [float(group["lr"]) for group in self.optimiser.param_groups]
        self._network: nn.Module = self.model
        self._team, self._whole = Team.present(), None
        if self._team.size > 1:
            self._whole = Whole(self.model, arithmetic.device)
            self._network = self._whole.parallel(self.model)
        if way == "compiled":
            # Randomness as without compilation: dropout stays a function of the seed.
            compiled = torch.compile(self.model, dynamic=False, options={"fallback_random": True})
            self._network = cast("nn.Module", compiled)
        on_graph = way != "plain" and arithmetic.device.type == "cuda"
        self._step: Learn = _Captured(self._learn) if on_graph else self._learn
        self._rates = [torch.tensor(base, device=arithmetic.device) for base in self._bases]
        self.set_rate(1.0)

    def set_rate(self, factor: float) -> float:
        """Set the learning rate to a multiple of its start value; return the first group's."""
        groups = self.optimiser.param_groups
        for group, base, rate in zip(groups, self._bases, self._rates, strict=True):
            # On CUDA a tensor: a graph reads it anew at each replay.
            group["lr"] = rate.fill_(base * factor) if rate.is_cuda else base * factor
        return self._bases[0] * factor

    def __call__(self, batch: Batch) -> Tensor:
        """Do one step and return its loss, which the next step may overwrite."""
        with enough_memory(), reachable() if self._team.size > 1 else nullcontext():
            return self._step(batch)

    @property
    def seed(self) -> tuple[int, ...]:
        """Return the name of this process's dropout; empty where all draw for the whole batch."""
        return self._whole.seed if self._whole else ()

    def release(self) -> None:
        """End the training: the network is again as it was built."""
        if self._whole:
            self._whole.release()

    def _learn(self, batch: Batch) -> Tensor:
        self.optimiser.zero_grad(set_to_none=True)
        loss = self._loss(batch)
        # Processes average their gradients; those of their losses' sum are wanted.
        (loss * self._team.size).backward()
        self.optimiser.step()
        return self._team.total(loss.detach())

    def _loss(self, batch: Batch) -> Tensor:
        images = batch.images.contiguous(memory_format=torch.channels_last)
        height, width = batch.labels.shape[1:]
        with self.arithmetic.forward_context():
            output = ask(self._network, images, num_classes=self._num_classes, size=(height, width))
        # A batch may hold ignored pixels alone; its mean would not be a number.
        counted = self._team.total((batch.labels != self._ignore_index).sum()).clamp(min=1)
        loss = self._cross_entropy(output.logits, batch.labels) / counted
        if output.auxiliary is None:
            return loss
        auxiliary = self._cross_entropy(output.auxiliary, batch.labels) / counted
        return loss + self._auxiliary_weight * auxiliary

    def _cross_entropy(self, logits: Tensor, labels: Tensor) -> Tensor:
        return F.cross_entropy(logits, labels, ignore_index=self._ignore_index, reduction="sum")


class _Captured:
    """A step replayed as one CUDA graph, on the stream that is current from the first call on."""

    def __init__(self, learn: Learn) -> None:
        self._learn, self._done = learn, 0
        self._graph: torch.cuda.CUDAGraph | None = None

    def __call__(self, batch: Batch) -> Tensor:
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
