"""Where the arithmetic happens and in which precision."""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Generator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from functools import cache
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from segdoor.errors import MachineError, first_line

Precision = Literal["auto", "float32", "bfloat16"]

# From glibc's malloc.h. The least size that gets pages of its own must not be above 32 MiB.
_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3
_LARGEST, _OWN_PAGES = 2**31 - 1, 2**25


@dataclass(frozen=True)
class Arithmetic:
    """A device and the precision of forward passes on it.

    Attributes:
        device: The device that holds weights and scenes.
        bfloat16: Whether forward passes run in bfloat16 under autocast; weights stay float32.
    """

    device: torch.device
    bfloat16: bool

    def forward_context(self) -> AbstractContextManager[object]:
        """Return the context for a forward pass."""
        if not self.bfloat16:
            return nullcontext()
        return torch.autocast(self.device.type, dtype=torch.bfloat16)


def choose_arithmetic(device: str, precision: Precision) -> Arithmetic:
    """Resolve the settings ``device`` and ``precision`` on this machine.

    Raises:
        MachineError: If the device is not there.
    """
    name = device
    if device == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        chosen = torch.device(name)
        # A device that holds no values, such as "meta", cannot give this one back.
        torch.zeros(1, device=chosen).item()
    except (RuntimeError, AssertionError, NotImplementedError):
        raise MachineError(
            "training.device",
            "must be a device of this machine",
            device,
            "Try 'auto' or 'cpu'.",
        ) from None
    wanted = precision == "bfloat16" or (precision == "auto" and gains_from_bfloat16(chosen))
    return Arithmetic(chosen, wanted)


def transferred(array: np.ndarray, device: torch.device) -> Tensor:
    """Return an array's copy on a device; the host does not wait until it is there."""
    on_gpu = device.type == "cuda"
    dtype = torch.from_numpy(np.empty(0, array.dtype)).dtype
    staged = torch.empty(array.shape, dtype=dtype, pin_memory=on_gpu)
    staged.numpy()[...] = array
    # The allocator of pinned memory gives a block away again only once its copy is done.
    return staged.to(device, non_blocking=on_gpu)


@cache
def constant(values: tuple[float, ...], device: torch.device) -> Tensor:
    """Return fixed numbers on a device: they are sent there once, not in every step."""
    with torch.inference_mode(mode=False):
        return torch.tensor(values, device=device)


def gains_from_bfloat16(device: torch.device) -> bool:
    """Tell whether the device has bfloat16 arithmetic in hardware, not just emulated."""
    if device.type == "cuda":
        return torch.cuda.get_device_capability(device) >= (8, 0)
    if device.type == "cpu":
        # The first is about Intel's tiles, the second about AVX-512 instructions.
        return torch.cpu._is_amx_tile_supported() or torch.cpu._is_avx512_bf16_supported()  # noqa: SLF001
    return False


def keep_freed_memory(device: torch.device) -> None:
    """Have this process keep the memory that a step on a CPU frees, for the next step.

    Otherwise glibc gives most of it back to the system after every step, and each page has to be
    found and cleared anew: a fifth of the time of a small network's training (docs/speed.md). Other
    C libraries are left alone.
    """
    if device.type != "cpu" or not sys.platform.startswith("linux"):
        return
    try:
        tune = ctypes.CDLL("libc.so.6").mallopt
    except (OSError, AttributeError):
        return
    tune(_MMAP_THRESHOLD, _OWN_PAGES)
    tune(_TRIM_THRESHOLD, _LARGEST)


@contextmanager
def enough_memory() -> Generator[None]:
    """Turn a device's lack of memory into an error that says what to do.

    Raises:
        MachineError: If what is done inside needs more memory than there is.
    """
    try:
        yield
    except (torch.OutOfMemoryError, MemoryError, RuntimeError) as why:
        # On a CPU torch has no error of its own for this.
        if isinstance(why, RuntimeError) and not _lacks_memory(why):
            raise
        raise MachineError(
            "device", "must have memory for the batch", first_line(why), "Lower batch_size."
        ) from why


def _lacks_memory(why: RuntimeError) -> bool:
    return isinstance(why, torch.OutOfMemoryError) or "can't allocate memory" in str(why)
