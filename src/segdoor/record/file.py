"""Records as files: strict, versioned JSON that needs nothing else to be read."""

from __future__ import annotations

import json
from pathlib import Path

from segdoor.errors import DataError
from segdoor.files import write_atomically
from segdoor.record.figures import SCHEMA_VERSION
from segdoor.record.run import ExperimentRecord
from segdoor.record.study import StudyRecord
from segdoor.settings import validated


def save_record(record: ExperimentRecord | StudyRecord, path: Path) -> None:
    """Write a record as indented JSON, atomically."""
    content = json.dumps(record.model_dump(mode="json"), indent=1, allow_nan=False)
    write_atomically(path, f"{content}\n")


def load_record(path: Path) -> ExperimentRecord:
    """Read a record; a folder stands for the ``record.json`` in it.

    Raises:
        DataError: If the file is missing, damaged or of a newer schema.
        ConfigError: If a value in it breaks a rule.
    """
    file = path / "record.json" if path.is_dir() else path
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
        # Python also reads NaN and halves of characters, which are no JSON for others.
        json.dumps(content, allow_nan=False, ensure_ascii=False).encode()
    except (OSError, ValueError, RecursionError) as why:
        raise DataError(file, "must be a readable record", why, "Name a run's folder.") from None
    version = content.get("schema_version") if isinstance(content, dict) else None
    if not isinstance(version, int):
        raise DataError(
            file, "must be a record of segdoor", type(content).__name__, "Name a run's folder."
        )
    if version > SCHEMA_VERSION:
        raise DataError(
            file, f"must have schema version {SCHEMA_VERSION} or older", version, "Update segdoor."
        )
    return validated(ExperimentRecord, content, source=file)
