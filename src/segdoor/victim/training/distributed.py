"""Several processes that train one model together: who they are and what they say to each other.

They are those of torch's default process group, which ``segdoor train`` opens under torchrun and a
program of one's own opens itself. Without a group there is one process, and nothing is exchanged.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, distributed

from segdoor.errors import ConfigError, MachineError, first_line
from segdoor.victim.config import TrainingConfig
from segdoor.waiting import waiting_for

# How torch's backends say that somebody is gone or silent; they have no error of their own for it.
_LOST = re.compile(r"gloo|nccl|connection (closed|reset|refused)|timed out", re.IGNORECASE)

_OTHERS = "other processes of this training, as long as --timeout says; then this one ends"


@dataclass(frozen=True)
class ProcessGroup:
    """The processes of one training, as one of them sees it."""

    rank: int = 0
    size: int = 1

    @classmethod
    def present(cls) -> ProcessGroup:
        """Return the processes of the default process group; this one alone without a group."""
        if not (distributed.is_available() and distributed.is_initialized()):
            return cls()
        return cls(distributed.get_rank(), distributed.get_world_size())

    @property
    def first(self) -> bool:
        """Return whether this is the process that writes and speaks."""
        return self.rank == 0

    def check(self, config: TrainingConfig, num_scenes: int) -> None:
        """Refuse a recipe that several processes cannot follow as one would.

        Raises:
            ConfigError: If batches cannot be divided, or step or device are not for several.
        """
        if self.size == 1:
            return
        scenes = min(config.batch_size, num_scenes)
        if scenes % self.size:
            raise ConfigError(
                "training.batch_size",
                "must be a multiple of the number of processes, which share every batch",
                f"{scenes} scenes for {self.size} processes",
                f"Make it {(scenes // self.size + 1) * self.size}, or start fewer processes.",
            )
        if config.step not in {"auto", "plain"}:
            raise ConfigError(
                "training.step",
                "must be plain for several processes",
                config.step,
                "Set it to 'auto', or train with one process.",
            )
        if ":" in config.device:
            raise ConfigError(
                "training.device",
                "must leave each of several processes a device of its own",
                config.device,
                "Set it to 'auto'.",
            )

    def share(self, count: int) -> slice:
        """Return which of so many scenes of a batch are this process's."""
        part = count // self.size
        return slice(self.rank * part, (self.rank + 1) * part)

    def total(self, value: Tensor) -> Tensor:
        """Return the sum of a tensor over all processes, without a gradient.

        Raises:
            MachineError: If another process is gone or silent.
        """
        if self.size == 1:
            return value
        with reachable(), waiting_for(_OTHERS):
            whole = value.clone(memory_format=torch.contiguous_format)
            distributed.all_reduce(whole)
        return whole

    def agree(self, culprit: str, rule: str, *facts: object) -> None:
        """Make sure that all processes hold the same facts.

        Args:
            culprit: Whose facts they are.
            rule: What holds if they are the same.
            facts: Values whose text tells them apart.

        Raises:
            ConfigError: If they differ.
            MachineError: If another process is gone or silent.
        """
        if self.size == 1:
            return
        digest = hashlib.sha256(repr(facts).encode()).digest()
        mine = torch.tensor(int.from_bytes(digest[:6], "big"))
        everyone = [torch.empty_like(mine) for _ in range(self.size)]
        with reachable(), waiting_for(_OTHERS):
            distributed.all_gather(everyone, mine)
        if len({int(fact) for fact in everyone}) > 1:
            raise ConfigError(
                culprit,
                rule,
                f"something else on one of {self.size} processes",
                "Start all with the same settings, scenes and --out, on a folder they all see.",
            )


@contextmanager
def reachable() -> Generator[None]:
    """Turn the loss of another process into an error that says what to do.

    Raises:
        MachineError: If what is done inside meets a process that is gone or silent.
    """
    try:
        yield
    except RuntimeError as why:
        if not _LOST.search(str(why)):
            raise
        raise MachineError(
            "torchrun",
            "must keep all processes of a training running and answering",
            first_line(why),
            "Look for why one of them ended, then start the same again: it goes on.",
        ) from why
