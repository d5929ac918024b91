"""Which runs of a study a command is about, and where they are done."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from segdoor.cli.panels import MACHINE, WHAT
from segdoor.errors import ConfigError
from segdoor.experiment.config import Reading
from segdoor.papers.registry import paper_of
from segdoor.settings import Settings
from segdoor.study.expand import PlannedRun
from segdoor.study.plan import StudyPlan, make_plan, selected
from segdoor.study.resources import Resources

OUT = Path("runs/studies")
Name = Annotated[str, Parameter(group=WHAT)]
OnResources = Annotated[Resources | None, Parameter(name="*", group=MACHINE)]


class Part(Settings):
    """A study on a preset, or a part of it."""

    preset: str = "street"
    """A preset by name, or a preset file of your own."""
    reading: Reading = "paper"
    """Follow the paper, or the authors' code where it differs."""
    seeds: tuple[int, ...] = ()
    """Only these seeds, instead of all seeds of the preset."""
    only: Annotated[tuple[str, ...], Parameter(consume_multiple=False)] = ()
    """Only these values of an axis, such as rate=0.05,0.15; repeatable for other axes."""
    set_: Annotated[tuple[str, ...], Parameter(name="--set", consume_multiple=False)] = ()
    """Change a setting of the preset, such as training.epochs=2; repeatable."""
    backbone: Path | None = None
    """ImageNet weights that the networks start from."""

    def of(
        self, name: str, out: Path, *, root: Path | None = None
    ) -> tuple[StudyPlan, tuple[PlannedRun, ...]]:
        """Return the whole study, and the runs asked for."""
        plan = make_plan(
            paper_of(name), name, self.preset, out=out, reading=self.reading, seeds=self.seeds,
            root=root, backbone=self.backbone, changes=self.set_,
        )  # fmt: skip
        return plan, selected(plan, only=_axes(self.only), seeds=self.seeds)


Asked = Annotated[Part | None, Parameter(name="*", group=WHAT)]


_VALUES = re.compile(r"""'[^']*'|"[^"]*"|[^,]+""")


def _axes(only: Sequence[str]) -> Mapping[str, Sequence[str]]:
    """Read ``rate=0.05,0.15`` as values by axis; a value with a comma stands in quotes."""
    axes: dict[str, list[str]] = {}
    for text in only:
        axis, sign, values = text.partition("=")
        if not sign or not values:
            raise ConfigError("--only", "must be written as axis=value", text, "Write rate=0.05.")
        axes.setdefault(axis, []).extend(found.strip("'\"") for found in _VALUES.findall(values))
    return axes
