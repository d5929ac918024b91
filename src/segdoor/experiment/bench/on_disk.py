"""A run's training scenes as files, for filters that read files: the poison written out."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from segdoor.attack.materialise import CopyOrder, new_copy
from segdoor.attack.plan import PoisonPlan
from segdoor.attack.triggers.trigger import Trigger
from segdoor.data.load import copyable, files_of, load_dataset
from segdoor.data.scene import SceneDataset
from segdoor.data.splits import open_splits
from segdoor.errors import ConfigError
from segdoor.experiment.bench.case import Case
from segdoor.workers import Alone


@dataclass(frozen=True)
class OnDisk:
    """Writes copies of a run's data set, as `segdoor poison --copy` does.

    Files that stay are links to the source's where the disk allows it.

    Attributes:
        case: The run.
        plan: What the attacker did.
        folder: Where copies are written; it may be deleted when the filter is done.
    """

    case: Case
    plan: PoisonPlan
    folder: Path

    def clean(self) -> SceneDataset:
        """Return the scenes of the data set's own files.

        Raises:
            ConfigError: If the data set has none.
        """
        data = self.case.config.data
        scenes = load_dataset(data, data.train_split)
        if files_of(scenes) is None:
            raise ConfigError(
                "a filter of files", "needs a run on a data set of files", f"'{data.name}'",
                "Measure it on a run with data.name folder, for example.",
            )  # fmt: skip
        return scenes

    def poisoned(self) -> SceneDataset:
        """Return the scenes of a poisoned copy."""
        return self._copied(self.plan, "poisoned")

    def stickered(self, sticker: Trigger) -> SceneDataset:
        """Return the scenes of a copy with a harmless sticker in place of each trigger.

        As in the poisoned copy, image and label map of such a scene are written anew; the labels
        stay true.
        """
        return self._copied(with_sticker(self.plan, sticker), "stickered")

    def _copied(self, plan: PoisonPlan, name: str) -> SceneDataset:
        data, log = self.case.config.data, self.case.log
        files = copyable(self.clean())
        files.hash_files(Alone(), log)
        splits = open_splits(data, files) if files.size else None
        # A killed call may have left one.
        order = CopyOrder(out=self.folder / name, replace=True)
        with new_copy(files, plan, order, workers=Alone(), observer=log, splits=splits):
            pass
        copied = data.model_copy(update={"root": order.out})
        return load_dataset(copied, data.train_split)


def with_sticker(plan: PoisonPlan, sticker: Trigger) -> PoisonPlan:
    """Return a plan that stamps another trigger at the same places, and changes no label."""
    attack = plan.header.attack
    still = tuple(change for change in attack.labels if not change.everywhere)
    header = plan.header.model_copy(
        update={
            "attack": attack.model_copy(update={"trigger": sticker, "labels": still}),
            "trigger_digest": sticker.digest,
            "num_poisoned": 0,
            "num_changed_pixels": 0,
        }
    )
    rows = tuple(
        row.model_copy(update={"poisoned": False, "changed_pixels": 0})
        for row in plan.rows
        if row.poisoned and row.box is not None
    )
    return replace(plan, header=header, rows=rows)
