"""A place for finished folders that every machine can reach, by any URL that fsspec knows."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from uuid import uuid4

from segdoor.errors import ConfigError, SegdoorError, StorageError, first_line
from segdoor.files import files_below
from segdoor.locks import sole_writer
from segdoor.record import ExperimentRecord, load_record, save_record
from segdoor.waiting import waiting_for

_RECORD = "record.json"
# They are written last: if they exist, so does everything else.
_MARKS = (_RECORD, "clean.safetensors")


@dataclass(frozen=True)
class Store:
    """Folders of runs and clean models by their keys, each complete or absent.

    Attributes:
        url: Of the folder that holds them, such as ``s3://bucket/studies``.
    """

    url: str

    def keep(self, out: Path, key: str) -> None:
        """Put a finished folder into the store.

        Raises:
            ConfigError: If the URL cannot be used.
            BusyError: If another process is writing to the folder.
            StorageError: If the store cannot be written.
        """
        files, place = self._open()
        with sole_writer(out / key, culprit=f"--out {out / key}"), self._told("must be writable"):
            names = [name for name in files_below(out / key) if not name.startswith(".")]
            for name in sorted(names, key=_marks_last):
                target = f"{place}/{key}/{name}"
                files.makedirs(target.rpartition("/")[0], exist_ok=True)
                # A partial file never has the final name.
                unfinished = f"{target}.{uuid4().hex}.part"
                files.put_file(str(out / key / name), unfinished)
                files.mv(unfinished, target)

    def fetch(self, out: Path, key: str) -> None:
        """Copy a folder from the store: all of it, or what is missing if it is complete here.

        Nothing happens if it is incomplete in the store. A local record stays, and gets the
        repairs that only the store has. If it is of another training or unreadable, the folder is
        left unchanged.

        Raises:
            ConfigError: If the URL cannot be used.
            BusyError: If another process is writing to the folder.
            StorageError: If the store cannot be read, or the disk cannot be written.
        """
        files, place = self._open()
        rule = "must be readable"
        with self._told(rule):
            found = files.find(f"{place}/{key}")
            names = [path.partition(f"{key}/")[2] for path in found if not path.endswith(".part")]
        if not set(names) & set(_MARKS):
            return
        with sole_writer(out / key, culprit=f"--out {out / key}"), self._told(rule):
            complete = any((out / key / mark).exists() for mark in _MARKS)
            record = None
            if _RECORD in names and (out / key / _RECORD).exists():
                names.remove(_RECORD)
                with TemporaryDirectory() as folder:
                    files.get_file(f"{place}/{key}/{_RECORD}", f"{folder}/{_RECORD}")
                    record = _joined(out / key, Path(folder))
                if record is None:
                    return
            for name in sorted(names, key=_marks_last):
                target = out / key / name
                if complete and target.exists():
                    continue
                target.parent.mkdir(parents=True, exist_ok=True)
                unfinished = target.with_name(f".{target.name}.{uuid4().hex}")
                files.get_file(f"{place}/{key}/{name}", str(unfinished))
                unfinished.replace(target)
            if record is not None:
                save_record(record, out / key / _RECORD)

    @contextmanager
    def _told(self, rule: str) -> Generator[None]:
        try:
            with waiting_for(
                f"the store {self.url}, as long as its library does; press Ctrl-C to stop"
            ):
                yield
        except Exception as why:  # noqa: BLE001 - each kind of store has its own errors
            raise StorageError(self.url, rule, first_line(why), "Try again.") from None

    def _open(self) -> tuple[Any, str]:
        try:
            files, place = import_module("fsspec.core").url_to_fs(self.url)
        except (ImportError, ValueError, OSError) as why:
            raise ConfigError(
                "--store", "must be a URL that fsspec knows", first_line(why), "See docs/scale.md."
            ) from None
        # Files that others wrote since must be visible.
        files.invalidate_cache()
        return files, place.rstrip("/")


def _marks_last(name: str) -> tuple[bool, str]:
    return name in _MARKS, name


def _joined(here: Path, there: Path) -> ExperimentRecord | None:
    """Return the local record of a run, with its repairs from elsewhere added.

    Returns:
        None if it cannot be read, or the other one is of another training.
    """
    try:
        mine = load_record(here)
    except SegdoorError:
        return None
    other = load_record(there)
    if _without_repairs(mine) != _without_repairs(other):
        return None
    known = [(row.repair, row.settings, row.seed) for row in mine.repairs]
    added = [row for row in other.repairs if (row.repair, row.settings, row.seed) not in known]
    return mine.model_copy(
        update={"repairs": (*mine.repairs, *added), "files": {**other.files, **mine.files}}
    )


def _without_repairs(record: ExperimentRecord) -> ExperimentRecord:
    return record.model_copy(update={"repairs": (), "files": {}})
