"""Reading settings without trust, and writing files so that a reader never sees half of one."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import yaml

from segdoor.errors import DataError, StorageError


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
    """Read a YAML file of plain values; tags that would make objects are refused.

    Args:
        path: The file.
        remedy: What to do if it cannot be read.

    Raises:
        DataError: If it is missing, no text or no plain YAML.
    """
    try:
        return yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as why:
        raise DataError(path, "must be a readable YAML file", why, remedy) from None
    except (yaml.YAMLError, RecursionError, ValueError) as why:
        said = " ".join(str(why).split())
        raise DataError(path, "must be plain YAML", said, f"Correct the file. {remedy}") from None
