"""Methods of defense that the bench measures on a study's runs."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from segdoor.progress import Observer
from segdoor.record.defense import load_defenses

_FILE = "defenses.json"


def missing_defenses(folder: Path, methods: Sequence[str]) -> tuple[str, ...]:
    """Return the methods of which a run's record of defenses says nothing yet.

    What could not be done and says why is an answer, and not tried again.
    """
    if not methods:
        return ()
    file = folder / _FILE
    known = (
        {entry.plugin for entry in load_defenses(file).entries} if file.is_file() else set[str]()
    )
    return tuple(method for method in methods if method not in known)


def measure_defenses(
    folder: Path, methods: Sequence[str], *, model: str, root: Path | None, observer: Observer
) -> None:
    """Measure methods of defense on a run, see `defend_run`."""
    # Imported late: they bring torch.
    from segdoor.experiment.bench.defend import defend_run  # noqa: PLC0415
    from segdoor.experiment.bench.methods import read_method  # noqa: PLC0415
    from segdoor.experiment.reopened import Places  # noqa: PLC0415

    asked = [read_method(text) for text in methods]
    defend_run(folder, asked, model=model, places=Places(root=root), observer=observer)
