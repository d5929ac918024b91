"""The state of a training on disk, so that after a sudden end it goes on to the same weights.

Everything random in a step follows from (seed, step), so network, optimiser and step number are all
there is to keep.
"""

from __future__ import annotations

import hashlib
import io
import time
from dataclasses import dataclass, fields
from pathlib import Path
from typing import cast

import torch
from torch import Tensor, nn

from segdoor.errors import ConfigError, DataError
from segdoor.files import write_atomically
from segdoor.victim.members import fill, state_of

_PAUSE = 1.0
_SHARE_OF_TIME = 0.02
_DIGEST_BYTES = 32

TensorTree = dict[str, object]
Facts = dict[str, float]


@dataclass(frozen=True)
class Snapshot:
    """A training in the middle of its work.

    Attributes:
        step: Steps done.
        model: The network's state dict.
        optimiser: The optimiser's state dict.
        recent_loss: Sum of the losses since the last report.
        facts: What was reported so far.
        seconds: Wall time of the steps done.
    """

    step: int
    model: TensorTree
    optimiser: TensorTree
    recent_loss: Tensor
    facts: list[Facts]
    seconds: float

    @classmethod
    def of(
        cls,
        model: nn.Module,
        optimiser: torch.optim.Optimizer,
        *,
        step: int,
        recent_loss: Tensor,
        facts: list[Facts],
        seconds: float,
    ) -> Snapshot:
        """Return the state of a network and its optimiser as it is now; the rest as above."""
        state = cast("TensorTree", state_of(model))
        return cls(step, state, optimiser.state_dict(), recent_loss, facts, seconds)

    def fill(self, model: nn.Module, optimiser: torch.optim.Optimizer) -> None:
        """Put a network and its optimiser into this state."""
        fill(model, self.model)
        # The groups follow from the settings; which kernels do a step, from the device.
        groups = optimiser.state_dict()["param_groups"]
        optimiser.load_state_dict({"state": self.optimiser["state"], "param_groups": groups})


class SnapshotFile:
    """Where a training keeps its state: written now and then, replaced atomically."""

    def __init__(self, path: Path, fingerprint: str, *, pause: float = _PAUSE) -> None:
        """Choose the file, which need not exist, the mark of what it follows from, and a pause."""
        self._path, self._fingerprint, self._pause = path, fingerprint, pause
        self._next = time.monotonic() + pause

    def load(self) -> Snapshot | None:
        """Return what an earlier call kept, or None.

        Raises:
            DataError: If the file is damaged or holds more than tensors and plain values.
            ConfigError: If it belongs to another training.
        """
        if not self._path.exists():
            return None
        content = _read(self._path)
        if content.pop("fingerprint", None) != self._fingerprint:
            raise ConfigError(
                self._path,
                "must be of a training with the same settings and scenes, to be continued",
                "another one's",
                "Delete it to begin anew, or name another folder.",
            )
        if content.keys() != {field.name for field in fields(Snapshot)}:
            raise _damaged(self._path, f"keys {sorted(content)}")
        return Snapshot(**content)  # pyright: ignore[reportArgumentType]

    @property
    def due(self) -> bool:
        """Return whether it is time to write again."""
        return time.monotonic() >= self._next

    def save(self, snapshot: Snapshot) -> None:
        """Write a snapshot in place of the last one.

        Raises:
            StorageError: If the file cannot be written.
        """
        start = time.monotonic()
        buffer = io.BytesIO()
        shallow = {field.name: getattr(snapshot, field.name) for field in fields(snapshot)}
        torch.save({"fingerprint": self._fingerprint, **shallow}, buffer)
        content = buffer.getvalue()
        write_atomically(self._path, hashlib.sha256(content).digest() + content)
        now = time.monotonic()
        self._next = now + max(self._pause, (now - start) / _SHARE_OF_TIME)


def _read(path: Path) -> dict[str, object]:
    """Read a snapshot if its bytes are those written: what goes on from it must be exact."""
    whole = path.read_bytes()
    digest, content = whole[:_DIGEST_BYTES], whole[_DIGEST_BYTES:]
    if hashlib.sha256(content).digest() != digest:
        raise _damaged(path, f"{len(whole)} bytes that do not match their digest")
    try:
        found = torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
    except Exception as why:  # what carries a digest may still be anybody's
        raise _damaged(path, type(why).__name__) from why
    if not isinstance(found, dict):
        raise _damaged(path, type(found).__name__)
    return cast("dict[str, object]", found)


def _damaged(path: Path, found: str) -> DataError:
    return DataError(
        path, "must be an intact snapshot of a training", found, "Delete it to begin anew."
    )
