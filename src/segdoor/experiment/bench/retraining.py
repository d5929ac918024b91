"""Training again without suspect scenes, to see how much of a backdoor is left."""

from __future__ import annotations

import time
from collections.abc import Collection, Mapping

from segdoor.data.scene import SceneDataset
from segdoor.data.subset import Subset
from segdoor.errors import ConfigError
from segdoor.experiment.bench.case import Case
from segdoor.experiment.bench.figures import effects
from segdoor.experiment.bench.kept import FOLDER
from segdoor.experiment.examination import examine_models
from segdoor.experiment.models import train_and_save
from segdoor.record.measured import CostRecord, Measurement, RowKind
from segdoor.scores.tables import load_tables, save_tables


class Retraining:
    """Trains models on parts of a data set, each part once."""

    def __init__(self, case: Case, scenes: SceneDataset) -> None:
        """Take the suspect scenes."""
        self.case, self.scenes = case, scenes

    def without(
        self,
        scores: Mapping[str, float],
        number: int,
        row: RowKind,
        *,
        found_of: Collection[str],
    ) -> Measurement:
        """Train without the scenes of the highest scores, and return what the new model does.

        Args:
            scores: How suspicious each scene is; of equal scores the earlier scene is left out.
            number: How many scenes are left out.
            row: What the row is called.
            found_of: Names of the poisoned scenes, to tell how many of them were left out.

        Raises:
            ConfigError: If no scene would be left.
        """
        if number >= len(self.scenes):
            raise ConfigError(
                "--drop", f"must be less than the {len(self.scenes)} scenes", number, "Lower it."
            )
        start = time.perf_counter()
        order = sorted(range(len(self.scenes)), key=lambda i: -scores[self.scenes.names[i]])
        dropped = order[:number]
        kept = Subset(self.scenes, sorted(order[number:]))
        found = sum(self.scenes.names[index] in found_of for index in dropped)
        after = self._tables(kept)
        told = f"{number} scenes left out, {found} of them poisoned, of {len(found_of)} in all"
        return Measurement(
            row=row,
            of="a model trained without the most suspicious scenes",
            remarks=(told,),
            effects=effects("poisoned", self.case.before, after, self.case),
            cost=CostRecord(
                seconds=round(time.perf_counter() - start, 3), forward=None, backward=None,
                clean_scenes=0, access=("data", "training"),
            ),
        )  # fmt: skip

    def _tables(self, scenes: Subset):  # noqa: ANN202 - as load_tables
        case = self.case
        out = case.folder / FOLDER / "retrained" / scenes.digest[:16]
        model = train_and_save("poisoned", case.config, scenes, out, case.log)
        file = out / "tables.npz"
        if not file.is_file():
            tables = examine_models(case.config, {"poisoned": model}, case.tests, case.log)
            save_tables(file, tables)
        return load_tables(file)
