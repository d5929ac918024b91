"""Study files and presets of the paper: their axes and lengths are in its own units."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, ClassVar, Literal

from pydantic import Field, model_validator

from segdoor.attack.config import OnVictim
from segdoor.experiment.config import Method
from segdoor.settings import Settings
from segdoor.study import config as general
from segdoor.study.config import WrittenRepair

PaperData = Literal["cityscapes", "voc"]
"""The data sets that the paper's lengths, rates and numbers belong to."""
Counting = Literal["area", "number"]
"""Q scaled with the area of the scenes, or the paper's number whatever their size."""


class Block(Settings):
    """Axes of a grid: every combination of their values, in the paper's units."""

    method: tuple[Method, ...] = Field(default=("baseline",), min_length=1)
    """How scenes are poisoned."""
    rate: tuple[Annotated[float, Field(gt=0, le=1)], ...] = Field(min_length=1)
    """Poisoning rates."""
    network: tuple[str, ...] = Field(default=("deeplabv3",), min_length=1)
    """Networks of the paper; the preset says what stands for them."""
    victims: tuple[str, ...] | None = None
    """Victim classes, several at once joined by +; the paper's usual one if left out."""
    target: tuple[str, ...] | None = None
    """Target classes; the paper's usual one if left out."""
    trigger: tuple[Annotated[int, Field(ge=1, le=2048)], ...] | None = None
    """Sides of the trigger in the paper's pixels; its usual one if left out."""
    q: tuple[Annotated[int, Field(ge=1)], ...] | None = None
    """Q, the pixels relabelled in a scene, as the paper counts them; the reading's if left out."""
    single_class: tuple[bool, ...] = Field(default=(True,), min_length=1)
    """Whether the trigger lies on one class, in training and in the tests."""
    on_victim: tuple[OnVictim, ...] = Field(default=("forbid",), min_length=1)
    """Whether the trigger keeps off victim pixels, may cover them or must lie on them, in training
    and in the tests."""
    repairs: tuple[WrittenRepair, ...] = ()
    """Repairs of every run, as `segdoor repair --with` takes them; prune's channels are of the
    paper's 256."""
    shortfall: Literal["error", "all_available"] = "error"
    """Fewer scenes with victims than the rate asks for: refuse, or take all."""


class Study(general.Study):
    """A table or figure of the paper."""

    claims: tuple[Annotated[int, Field(ge=1, le=15)], ...] = ()
    """Orderings of docs/claims.md that it can judge."""
    cityscapes: tuple[Block, ...] = ()
    """The grid for Cityscapes, and for scenes that stand for it."""
    voc: tuple[Block, ...] = ()
    """The grid for VOC."""

    @model_validator(mode="after")
    def _has_a_grid(self) -> Study:
        if not (self.cityscapes or self.voc):
            raise ValueError("a study needs a grid: cityscapes, voc or both")
        return self

    def grid(self, data: PaperData) -> tuple[Block, ...]:
        """Return the grid for a data set of the paper; empty if it has none."""
        return self.cityscapes if data == "cityscapes" else self.voc


class Preset(general.Preset):
    """What a study is run on, and how the paper's lengths and names are taken there."""

    axes: ClassVar[Mapping[str, str]] = {
        "attack.rate": "rate",
        "attack.victims": "victims",
        "attack.target": "target",
        "attack.trigger.size": "trigger",
        "attack.labels.hide.victims": "victims",
        "attack.labels.hide.target": "target",
        "attack.labels.component.victims": "victims",
        "attack.labels.component.target": "target",
        "attack.labels.scatter.num_pixels": "q",
        "attack.rules.single_class": "single_class",
        "attack.rules.on_victim": "on_victim",
        "tests.rules.single_class": "single_class",
        "tests.rules.on_victim": "on_victim",
    }
    stands_for: PaperData
    """Whose grids and numbers it takes. Lengths are scaled with the height from Cityscapes' 512
    pixels; VOC's are taken as they are."""
    classes: dict[str, str | None] = Field(default_factory=dict)
    """What the paper's classes are called here; null where there is none."""
    channels: int = Field(default=256, ge=1)
    """Channels in front of the classifier: pruning is scaled from the paper's 256."""
    q: int | None = Field(default=None, ge=1)
    """Q where a grid names none, as the paper counts it; the reading's if left out. The paper's
    final version has 50000."""
    q_as: tuple[Counting, ...] = Field(default=("number",), min_length=1)
    """How Q is counted; with both, every run with PRL is made twice."""

    @model_validator(mode="after")
    def _can_be_scaled(self) -> Preset:
        if self.stands_for == "cityscapes" and self.data.size is None:
            raise ValueError("data.size must be given where lengths are scaled with the height")
        if (self.stands_for == "voc") != (self.recipe == "voc"):
            raise ValueError("the recipe voc and VOC's lengths belong together")
        return self
