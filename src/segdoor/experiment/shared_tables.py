"""Tables of a clean model, kept beside its weights for other runs that share it."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from torch import nn

from segdoor.data.scene import SceneDataset
from segdoor.errors import DataError
from segdoor.evaluation.objects import Watched
from segdoor.experiment.config import ExperimentConfig
from segdoor.experiment.environment import describe_environment
from segdoor.scores.tables import TableSet, load_tables, save_tables
from segdoor.victim.config import network_text
from segdoor.victim.training.fingerprint import weights_digest


@dataclass(frozen=True)
class KeptTables:
    """A file of tables that stores what they depend on.

    Processes that write it at the same time write the same bytes, each atomically.

    Attributes:
        folder: Where such files are.
        key: Hash of everything that the tables depend on.
        names: What the tables are called.
    """

    folder: Path
    key: str
    names: tuple[str, ...]

    @classmethod
    def of(
        cls,
        folder: Path,
        config: ExperimentConfig,
        model: nn.Module,
        tests: Mapping[str, SceneDataset],
        watched: Watched,
    ) -> KeptTables:
        """Return the file for a network, what it is shown, how, and on what machine.

        Object rows also depend on the classes, not only on the tables' scenes.
        """
        # Tables kept from when all victims had one target stay valid.
        targets = tuple(set(watched.instead))
        parts = (
            weights_digest(model),
            network_text(config.network),
            config.examination.model_dump_json(),
            describe_environment(config, trained=False).model_dump_json(),
            [(name, test.digest) for name, test in tests.items()],
            (watched.classes, targets[0] if len(targets) == 1 else watched.instead, watched.metric),
        )
        return cls(folder, hashlib.sha256(repr(parts).encode()).hexdigest(), tuple(tests))

    @property
    def file(self) -> Path:
        """Return the file's place."""
        return self.folder / f"{self.key[:16]}.npz"

    def load(self) -> dict[str, TableSet]:
        """Return the tables; none unless all are there, intact and of this key."""
        try:
            there = load_tables(self.file)
            return {name: there[f"{self.key}/{name}"] for name in self.names}
        except (DataError, KeyError):
            return {}

    def save(self, tables: Mapping[str, TableSet]) -> None:
        """Store these of some tables.

        Raises:
            StorageError: If the file cannot be written.
        """
        save_tables(self.file, {f"{self.key}/{name}": tables[name] for name in self.names})
