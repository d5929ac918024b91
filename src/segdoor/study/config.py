"""What a study varies, and what it is run on: two kinds of small files."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, Field, model_validator

from segdoor.attack.config import AttackConfig, ExamsConfig, OnVictim
from segdoor.data.config import DataConfig
from segdoor.errors import ConfigError
from segdoor.evaluation.config import ExaminationConfig
from segdoor.experiment.config import ControlsConfig, Method
from segdoor.experiment.config import Preset as Recipe
from segdoor.settings import Settings
from segdoor.victim.config import NetworkConfig, TrainingConfig

PaperData = Literal["cityscapes", "voc"]
"""The data sets that the paper's lengths, rates and numbers belong to."""
Counting = Literal["area", "number"]
"""Q scaled with the area of the scenes, or the paper's number whatever their size."""

_AXES = {
    "attack.rate": "rate",
    "attack.victims": "victims",
    "attack.target": "target",
    "attack.trigger.size": "trigger",
    "attack.prl.num_pixels": "q",
    "attack.rules.single_class": "single_class",
    "attack.rules.on_victim": "on_victim",
    "exams.rules.single_class": "single_class",
    "exams.rules.on_victim": "on_victim",
}


def _in_writing(spec: str) -> str:
    """Return a repair as it writes itself into records: 0.00001 is 1e-05 there."""
    # Imported late: repairs bring torch.
    from segdoor.defense.repairs.registry import REPAIRS  # noqa: PLC0415

    try:
        return str(REPAIRS.read(spec))
    except ConfigError as why:
        found = f" (found: {why.value})" if why.value else ""
        raise ValueError(f"a repair {why.rule}{found}. {why.remedy}") from None


Repair = Annotated[str, AfterValidator(_in_writing)]


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
    repairs: tuple[Repair, ...] = ()
    """Repairs of every run, as `segdoor repair --with` takes them; prune's channels are of the
    paper's 256."""
    shortfall: Literal["error", "all_available"] = "error"
    """Fewer scenes with victims than the rate asks for: refuse, or take all."""


class Study(Settings):
    """A table or figure: what it varies and what it can judge."""

    title: str
    """What it is about, in a line."""
    shows: str
    """The table or figure of the paper."""
    tables: tuple[str, ...] = ()
    """Tables of the paper whose numbers are shown beside the measured ones."""
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


class Preset(Settings):
    """What a study is run on: scenes, networks, recipe, seeds, and how lengths are scaled."""

    title: str
    """What it is, in a line."""
    stands_for: PaperData
    """Whose grids and numbers it takes. Lengths are scaled with the height from Cityscapes' 512
    pixels; VOC's are taken as they are."""
    recipe: Recipe = "fast"
    """The recipe that `training` starts from."""
    data: DataConfig
    """The scenes."""
    classes: dict[str, str | None] = Field(default_factory=dict)
    """What the paper's classes are called here; null where there is none."""
    networks: dict[str, NetworkConfig | None]
    """What stands for the paper's networks; null to leave a network out."""
    pretrained: bool = False
    """Whether the networks must start from ImageNet weights."""
    training: TrainingConfig = TrainingConfig()
    """What differs from the recipe."""
    examination: ExaminationConfig = ExaminationConfig()
    """How exams are held."""
    attack: AttackConfig = AttackConfig()
    """What differs of the attack, such as the trigger's picture; never an axis of the grid."""
    exams: ExamsConfig = ExamsConfig()
    """What differs of the poisoned tests."""
    controls: ControlsConfig = ControlsConfig()
    """What differs of the controls."""
    channels: int = Field(default=256, ge=1)
    """Channels in front of the classifier: pruning is scaled from the paper's 256."""
    q_as: tuple[Counting, ...] = Field(default=("number",), min_length=1)
    """How Q is counted; with both, every run with PRL is made twice."""
    seeds: tuple[Annotated[int, Field(ge=0)], ...] = Field(min_length=1)
    """Seeds of every point of the grid."""

    @model_validator(mode="after")
    def _leaves_axes_to_the_grid(self) -> Preset:
        given = self.model_dump(include={"attack", "exams"}, exclude_unset=True)
        for setting, axis in _AXES.items():
            tree: object = given
            for key in setting.split("."):
                tree = tree.get(key) if isinstance(tree, dict) else None
            if tree is not None:
                raise ValueError(f"{setting} is the axis {axis} of the study's grid, in its file")
        return self

    @model_validator(mode="after")
    def _can_be_scaled(self) -> Preset:
        if self.stands_for == "cityscapes" and self.data.size is None:
            raise ValueError("data.size must be given where lengths are scaled with the height")
        if (self.stands_for == "voc") != (self.recipe == "voc"):
            raise ValueError("the recipe voc and VOC's lengths belong together")
        return self
