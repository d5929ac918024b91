"""Several processes with one command line, as torchrun starts them: one writes, one speaks."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Generator
from contextlib import contextmanager
from datetime import timedelta
from typing import Never

from segdoor.errors import ConfigError, MachineError, first_line
from segdoor.waiting import waiting_for

_TO_SPEAK = 1.0
_TO_ANSWER = timedelta(seconds=5)


def num_processes() -> int:
    """Return how many processes run this very command line together; 1 without torchrun."""
    size = os.environ.get("WORLD_SIZE", "")
    return int(size) if size.isdigit() and "RANK" in os.environ else 1


def refuse_together(verb: str) -> None:
    """Refuse verbs that know nothing of other processes.

    Raises:
        ConfigError: If torchrun started several processes, and not to train.
    """
    if num_processes() > 1 and verb != "train":
        raise ConfigError(
            f"segdoor {verb}",
            "must be started once, not by torchrun",
            f"WORLD_SIZE {num_processes()}",
            "Use torchrun with segdoor train only, and this verb on what it wrote.",
        )


@contextmanager
def together(minutes: float) -> Generator[bool]:
    """Do work in all processes that torchrun started, and leave it together.

    Args:
        minutes: How long one waits for another.

    Yields:
        Whether this process is the one that shows progress and results.

    Raises:
        MachineError: If the processes do not find one another, or one has no GPU.
    """
    if num_processes() == 1:
        yield True
        return
    from torch import distributed

    from segdoor.victim.training.distributed import ProcessGroup

    _take_gpu()
    try:
        with waiting_for(f"all {num_processes()} processes to start, {minutes:g} minutes at most"):
            distributed.init_process_group(timeout=timedelta(minutes=minutes))
    except (RuntimeError, ValueError, AttributeError) as why:
        raise MachineError(
            "torchrun",
            "must let its processes find one another",
            first_line(why),
            "Check MASTER_ADDR, MASTER_PORT and RANK, which torchrun sets.",
        ) from None
    group = ProcessGroup.present()
    yield group.first
    # Results are on disk by now. Whoever left at once would end what others still say.
    group.agree("torchrun", "must end all processes at the same place")
    distributed.destroy_process_group()


def speaks() -> bool:
    """Return whether this process may say what is wrong: of several, the first that wants to.

    What it met is the cause; what others meet next is that it is gone.
    """
    if num_processes() == 1:
        return True
    from torch.distributed.rendezvous import rendezvous

    try:
        store = next(rendezvous("env://", timeout=_TO_ANSWER))[0]
        first = store.add("segdoor/complaints", 1) == 1
    except (RuntimeError, ValueError):
        return True
    if not first:
        # torchrun ends all processes as soon as one has ended.
        time.sleep(_TO_SPEAK)
    return first


def leave(code: int) -> Never:
    """End this process at once.

    The threads that talk to other processes may abort an ordinary end, after all is done.
    """
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def _take_gpu() -> None:
    """Make this process's own GPU the one that 'cuda' stands for."""
    import torch

    if not torch.cuda.is_available():
        return
    local = os.environ.get("LOCAL_RANK", "0")
    if not local.isdigit() or int(local) >= torch.cuda.device_count():
        raise MachineError(
            "torchrun --nproc-per-node",
            f"must not exceed the {torch.cuda.device_count()} GPUs of this machine",
            f"LOCAL_RANK {local}",
            "Start fewer processes; with --training.device cpu hide the GPUs"
            " (CUDA_VISIBLE_DEVICES=).",
        )
    torch.cuda.set_device(int(local))
