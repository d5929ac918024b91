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
"""So many seconds a turn is waited for: far longer than any work that has turns takes."""


@contextmanager
def sole_writer(folder: Path, *, culprit: str, patience: float = 0.0) -> Generator[None]:
    """Hold a folder against other processes; the system lets go of it if this one dies.

    The folder is created, and taken away again if nothing comes into it because the work failed at
    once. Meanwhile it holds a hidden file ``.lock``.

    Args:
        folder: The folder.
        culprit: What to blame in messages.
        patience: So many seconds another process is waited for.

    Raises:
        BusyError: If another process is writing there.
        StorageError: If the folder cannot be written.
    """
    from filelock import FileLock, Timeout  # noqa: PLC0415 - readers need no lock

    lock = FileLock(folder / ".lock")
    fresh = not folder.exists()
    try:
        with waiting_for(f"another process, which writes to {folder}; Ctrl-C ends the waiting"):
            _hold(lock, folder, patience)
    except Timeout:
        raise BusyError(
            culprit,
            "must not be written by two processes at once",
            "another one is at work",
            "Wait for it, or name another folder.",
        ) from None
    except OSError as why:
        raise StorageError(
            culprit, "must be a writable folder", why.strerror, "Name another folder."
        ) from None
    try:
        yield
    finally:
        # Whoever waits for the file that goes away here makes a new one.
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
            # The writer that was waited for wrote nothing, and took the folder away.
            continue
        return


@contextmanager
def own_turn(file: Path, doing: str) -> Generator[None]:
    """Wait until no other process does the same work, and keep others from it meanwhile.

    The system gives the turn on if a process dies.

    Args:
        file: Stands for the turn, and goes away with it.
        doing: What another process does, as a message says it: packs the same scenes.

    Raises:
        BusyError: If it takes more than an hour.
        OSError: If the file cannot be written.
    """
    from filelock import FileLock, Timeout  # noqa: PLC0415 - readers need no lock

    turn = FileLock(file)
    try:
        with waiting_for(f"another process, which {doing} ({file}); Ctrl-C ends the waiting"):
            turn.acquire(timeout=LONGEST)
    except Timeout:
        raise BusyError(
            file, "must be free within an hour", f"another process {doing}",
            "Look whether that process is stopped, and end it.",
        ) from None  # fmt: skip
    try:
        yield
    finally:
        # Whoever waits for the file that goes away here makes a new one.
        file.unlink(missing_ok=True)
        turn.release()
