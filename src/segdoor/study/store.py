"""A place for finished folders that every machine can reach, by any URL that fsspec knows."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any
from uuid import uuid4

from segdoor.errors import ConfigError, StorageError, first_line
from segdoor.files import files_below

# Where they are, all that belongs to them is: they come last.
_MARKS = ("record.json", "clean.safetensors")


@dataclass(frozen=True)
class Store:
    """Folders of runs and clean victims under their keys, each complete or not there.

    Attributes:
        url: Of the folder that holds them, such as ``s3://bucket/studies``.
    """

    url: str

    def keep(self, out: Path, key: str) -> None:
        """Put a finished folder into the store.

        Args:
            out: The folder of studies.
            key: The folder within.

        Raises:
            ConfigError: If the URL cannot be used.
            StorageError: If the store does not take it.
        """
        files, place = self._open()
        names = [name for name in files_below(out / key) if not name.startswith(".")]
        try:
            for name in sorted(names, key=_marks_last):
                target = f"{place}/{key}/{name}"
                files.makedirs(target.rpartition("/")[0], exist_ok=True)
                # A file that came but half way never bears its name.
                unfinished = f"{target}.{uuid4().hex}.part"
                files.put_file(str(out / key / name), unfinished)
                files.mv(unfinished, target)
        except Exception as why:  # noqa: BLE001 - each kind of store has errors of its own
            raise StorageError(self.url, "must take files", first_line(why), "Try again.") from None

    def fetch(self, out: Path, key: str) -> None:
        """Copy a folder from the store: what is missing here, and its record in any case.

        Nothing happens if the store does not have it complete.

        Args:
            out: The folder of studies.
            key: The folder within.

        Raises:
            ConfigError: If the URL cannot be used.
            StorageError: If the store does not give it, or the disk does not take it.
        """
        files, place = self._open()
        try:
            found = files.find(f"{place}/{key}")
            names = [path.partition(f"{key}/")[2] for path in found if not path.endswith(".part")]
            if not set(names) & set(_MARKS):
                return
            for name in sorted(names, key=_marks_last):
                target = out / key / name
                if name != "record.json" and target.exists():
                    continue
                target.parent.mkdir(parents=True, exist_ok=True)
                unfinished = target.with_name(f".{target.name}.{uuid4().hex}")
                files.get_file(f"{place}/{key}/{name}", str(unfinished))
                unfinished.replace(target)
        except Exception as why:  # noqa: BLE001 - each kind of store has errors of its own
            raise StorageError(
                self.url, "must give its files", first_line(why), "Try again."
            ) from None

    def _open(self) -> tuple[Any, str]:
        try:
            files, place = import_module("fsspec.core").url_to_fs(self.url)
        except (ImportError, ValueError, OSError) as why:
            raise ConfigError(
                "--store", "must be a URL that fsspec knows", first_line(why), "See docs/scale.md."
            ) from None
        # What others wrote since must be seen.
        files.invalidate_cache()
        return files, place.rstrip("/")


def _marks_last(name: str) -> tuple[bool, str]:
    return name in _MARKS, name
