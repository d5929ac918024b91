"""What a scan has found so far, one file a pair, so that a call that was killed goes on."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

from pydantic import ValidationError

from segdoor.defense.defense import Defense, DefenseContext
from segdoor.defense.scans.subject import Subject
from segdoor.files import is_file, write_atomically
from segdoor.settings import SettingsT
from segdoor.victim.training.fingerprint import weights_digest


class Kept:
    """The results of one method on one network, in a folder; without a folder nothing is kept."""

    def __init__(self, method: Defense, subject: Subject, context: DefenseContext) -> None:
        """Name the results after all that they follow from."""
        self.folder: Path | None = context.folder
        scenes = hashlib.sha256()
        for shown in subject.shown:
            scenes.update(shown.image.cpu().numpy().tobytes())
            scenes.update(shown.label.cpu().numpy().tobytes())
            # Exported models have no weights that could be read: their answers tell them apart.
            scenes.update(shown.answer.cpu().numpy().tobytes())
        network = context.network
        told = (
            str(method), method.model_dump_json(), context.seed, weights_digest(subject.model),
            scenes.hexdigest(), subject.rates.round(4).tolist(), network.mean, network.std,
            network.channels,
        )  # fmt: skip
        self.name = f"{method.kind.replace(':', '.')}-{_digest(told)}"

    def result(
        self, part: str, of: type[SettingsT], find: Callable[[], SettingsT], *, whole: str
    ) -> SettingsT:
        """Return the result of a part from its file, or find it and keep it.

        Args:
            part: Which part, such as the ids of a pair.
            of: The class of results.
            find: Finds it.
            whole: The field that tells whether it was found to the end; else it is not kept.
        """
        path = None if self.folder is None else self.folder / f"{self.name}-{part}.json"
        if path is not None and is_file(path):
            try:
                return of.model_validate_json(path.read_bytes())
            except ValidationError:
                # Damaged, or of another version: it is found again, which costs time alone.
                pass
        found = find()
        if path is not None and getattr(found, whole):
            write_atomically(path, found.model_dump_json())
        return found


def _digest(told: object) -> str:
    return hashlib.sha256(repr(told).encode()).hexdigest()[:24]
