"""One process at a time writes to a folder."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from segdoor.errors import BusyError, StorageError
from segdoor.waiting import waiting_for

if TYPE_CHECKING:
    from filelock import BaseFileLock

LONGEST = 3600.0
"""Seconds to wait for a turn: far longer than any such work takes."""


@contextmanager
def sole_writer(folder: Path, *, culprit: str, patience: float = 0.0) -> Generator[None]:
    """Lock a folder for this process; the system releases the lock if the process dies.

    The folder is created, and removed again if it stays empty because the work failed at once.
    While locked it contains a hidden file ``.lock``.

    Args:
        folder: The folder.
        culprit: What to blame in messages.
        patience: Seconds to wait for another process.

    Raises:
        BusyError: If another process is writing there.
        StorageError: If the folder cannot be written.
    """
    from filelock import FileLock, Timeout  # noqa: PLC0415 - readers need no lock

    lock = FileLock(folder / ".lock")
    fresh = not folder.exists()
    try:
        with waiting_for(
            f"another process that is writing to {folder}; press Ctrl-C to stop waiting"
        ):
            _hold(lock, folder, patience)
    except Timeout:
        raise BusyError(
            culprit,
            "must not be written by two processes at once",
            "another process is writing to it",
            "Wait for it, or name another folder.",
        ) from None
    except OSError as why:
        raise StorageError(
            culprit, "must be a writable folder", why.strerror, "Name another folder."
        ) from None
    try:
        yield
    finally:
        # A process that waits for the removed file creates a new one.
        (folder / ".lock").unlink(missing_ok=True)
        if fresh and not any(folder.iterdir()):
            folder.rmdir()
        lock.release()


def _hold(lock: BaseFileLock, folder: Path, patience: float) -> None:
    while True:
        folder.mkdir(parents=True, exist_ok=True)
        try:
            lock.acquire(timeout=patience)
        except FileNotFoundError:
            # The other process wrote nothing and removed the folder.
            continue
        return


@contextmanager
def own_turn(file: Path, doing: str) -> Generator[None]:
    """Wait until no other process does the same work, and block others meanwhile.

    If a process dies, the system passes the turn on.

    Args:
        file: The lock file, removed afterwards.
        doing: What the other process does, as in a message: packs the same scenes.

    Raises:
        BusyError: If it takes more than an hour.
        OSError: If the file cannot be written.
    """
    from filelock import FileLock, Timeout  # noqa: PLC0415 - readers need no lock

    turn = FileLock(file)
    try:
        with waiting_for(f"another process that {doing} ({file}); press Ctrl-C to stop waiting"):
            turn.acquire(timeout=LONGEST)
    except Timeout:
        raise BusyError(
            file, "must be free within an hour", f"another process {doing}",
            "Check whether that process is stuck, and end it.",
        ) from None  # fmt: skip
    try:
        yield
    finally:
        # A process that waits for the removed file creates a new one.
        file.unlink(missing_ok=True)
        turn.release()
