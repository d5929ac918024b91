"""Reading settings without trust, and writing files so that a reader never sees half of one."""

from __future__ import annotations

import hashlib
import math
import os
import tempfile
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml

from segdoor.errors import BusyError, DataError, StorageError

_MOST_VALUES = 100_000


def write_atomically(path: Path, content: bytes | str) -> None:
    """Write a file under a temporary name beside its place, then rename it.

    Folders on the way are created.

    Raises:
        StorageError: If the folder cannot be written or the disk is full.
        DataError: If the content is text that UTF-8 cannot express.
    """
    data = _encoded(path, content) if isinstance(content, str) else content
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            Path(temporary).chmod(0o666 & ~_umask())
            Path(temporary).replace(path)
        except BaseException:
            Path(temporary).unlink(missing_ok=True)
            raise
    except OSError as why:
        raise StorageError(
            path, "must be writable", why.strerror, "Choose another folder or free some disk."
        ) from None


@contextmanager
def sole_writer(folder: Path, *, culprit: str) -> Generator[None]:
    """Hold a folder against other processes; the system lets go of it if this one dies.

    The folder is created, and taken away again if nothing comes into it because the work failed at
    once. Meanwhile it holds a hidden file ``.lock``.

    Args:
        folder: What is going to be written.
        culprit: The option that named it.

    Raises:
        BusyError: If another process is writing there.
        StorageError: If the folder cannot be written.
    """
    from filelock import FileLock, Timeout  # noqa: PLC0415 - readers need no lock

    lock = FileLock(folder / ".lock")
    fresh = not folder.exists()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock.acquire(timeout=0)
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


def digest_of(path: Path) -> str:
    """Return the SHA-256 of a file's bytes, as hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def files_below(folder: Path) -> list[str]:
    """Return the files below a folder by their names from there, with slashes, in order.

    Links to files count as files; links to folders are not followed.
    """
    return ["/".join(parts) for parts in sorted(_below(folder, ()))]


def _below(folder: Path | str, parts: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                yield from _below(entry.path, (*parts, entry.name))
            elif entry.is_file():
                yield (*parts, entry.name)


def _encoded(path: Path, text: str) -> bytes:
    try:
        return text.encode()
    except UnicodeEncodeError as why:
        raise DataError(path, "must be given valid text", why.reason, "Rename files.") from None


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def read_yaml(path: Path, *, remedy: str) -> object:
    """Read a YAML file of plain values.

    Tags that would make objects are refused, and so is a key that is given twice.

    Args:
        path: The file.
        remedy: What to do if it cannot be read.

    Raises:
        DataError: If it is missing, no text, no plain YAML, or huge by what its aliases repeat.
    """
    try:
        return _plain(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as why:
        raise DataError(path, "must be a readable YAML file", why, remedy) from None
    except (yaml.YAMLError, RecursionError, ValueError) as why:
        said = " ".join(str(why).split())
        raise DataError(path, "must be plain YAML", said, f"Correct the file. {remedy}") from None


class _PlainValues(yaml.SafeLoader):
    """Refuses a key that is given twice, where YAML would quietly take the last."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:  # noqa: FBT001, FBT002 - PyYAML's own
        seen: set[object] = set()
        for key, _ in node.value:
            if isinstance(key, yaml.ScalarNode):
                if key.value in seen:
                    raise yaml.MarkedYAMLError(
                        problem=f"the key '{key.value}' is given twice", problem_mark=key.start_mark
                    )
                seen.add(key.value)
        return super().construct_mapping(node, deep)


def _plain(text: str) -> object:
    loader = _PlainValues(text)
    try:
        node = loader.get_single_node()
        if node is None:
            return None
        if _size(node, {}) > _MOST_VALUES:
            raise ValueError(f"its aliases repeat more than {_MOST_VALUES} values")
        return loader.construct_document(node)
    finally:
        loader.dispose()


def _size(node: yaml.Node, known: dict[int, float]) -> float:
    """Return how many values a node stands for, each alias written out; infinite if in itself."""
    if id(node) not in known:
        known[id(node)] = math.inf
        parts: list[yaml.Node] = []
        if isinstance(node, yaml.SequenceNode):
            parts = node.value
        elif isinstance(node, yaml.MappingNode):
            parts = [part for pair in node.value for part in pair]
        known[id(node)] = 1 + sum(_size(part, known) for part in parts)
    return known[id(node)]
