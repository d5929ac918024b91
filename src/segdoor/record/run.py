"""What one run leaves behind: what was asked, what was done, what came out."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from segdoor.record.environment import Environment, LoadedWeights
from segdoor.record.figures import SCHEMA_VERSION, UNBOUNDED, Estimate, Figure, Json, Role
from segdoor.record.handed import HandedIn
from segdoor.record.metrics import MetricRecord, MetricScores
from segdoor.record.pictures import GalleryScene, PoisonedScene
from segdoor.record.repair import RepairRecord
from segdoor.settings import Settings, brief


class ClassRecord(Settings):
    """One class of the data set."""

    name: str
    """The class's name."""
    colour: tuple[int, int, int]
    """Its RGB colour in pictures and charts."""


class DataRecord(Settings):
    """The scenes of a run."""

    name: str
    """Name of the data set."""
    train_digest: str | None
    """Digest of the clean training scenes; null if nothing was trained."""
    test_digest: str
    """Digest of the clean test scenes."""
    num_train: int | None
    """Number of training scenes; null if nothing was trained."""
    num_test: int
    """Number of test scenes."""
    first_size: tuple[int, int]
    """Height and width of the first test scene in pixels."""
    typical_height: int | None = None
    """Height of the median scene, by which lengths without a given value are scaled; null if all
    scenes have one height."""
    ignore_index: int
    """Label value of ignored pixels, which never count."""
    classes: tuple[ClassRecord, ...]
    """The classes in the order of their ids, of the tables' rows and columns, and of class IoU."""


class PlanSummary(Settings):
    """The poison plan in figures; the plan itself lies beside the record."""

    file: str
    """The plan's file name."""
    num_scenes: int
    """Number of training scenes: the denominator of the poisoning rate."""
    num_with_victims: int
    """Number of training scenes that show a victim class."""
    num_without_room: int
    """Number of scenes that were drawn but had no room for the trigger."""
    num_poisoned: int
    """Number of poisoned scenes."""
    rate: float
    """Poisoning rate that was reached."""
    share_changed: float
    """Share of training labels that were changed."""
    mean_distance: Figure
    """Mean distance from the trigger's centre to the nearest victim pixel, in pixels."""


class PoisonedTestScores(Settings):
    """What the backdoored model does in one poisoned test, with everything to judge it by."""

    role: Role
    """Purpose of the test, whatever its name: nearest, near, far, anywhere, everywhere,
    on_victim or present."""
    placement: Json
    """Where its triggers are placed: the kind of placement with its settings."""
    asr: Estimate
    """Attack success rate: share of victim pixels predicted as the target class."""
    pba: Estimate
    """Poisoned benign accuracy: mean IoU of the non-victim classes, victim pixels left out."""
    victim_recovery: Figure
    """Share of victim pixels predicted as their own class despite the trigger."""
    asr_all_victims: Figure
    """ASR that also counts the scenes without room, untouched."""
    asr_without_trigger: Figure
    """Control: the same model on the same scenes without trigger. In the test present, on the other
    scenes with victims: those without the class that is the trigger."""
    asr_other_trigger: Figure
    """Control: the same model and positions with another trigger of the same kind."""
    asr_clean_model: Figure
    """Control: a model trained on clean data, on the same triggered scenes."""
    pba_clean_model: Figure = None
    """Control: PBA of the clean model on these scenes; null without a clean model, and in records
    of older versions."""
    num_scenes: int
    """Number of test scenes."""
    num_with_victims: int
    """Number of scenes that show a victim."""
    num_triggered: int
    """Number of scenes with a trigger."""
    num_triggered_with_victims: int
    """Number of scenes with a trigger and a victim: the scenes of ASR."""
    num_without_room: int
    """Number of scenes that show a victim but have no room for the trigger."""
    num_victim_pixels: int
    """Number of victim pixels in the scenes of ASR: its denominator."""
    distances: dict[str, float]
    """Distance that the trigger achieved in each scene, in pixels."""
    metrics: dict[str, MetricScores] = Field(default_factory=dict)
    """Metrics without their own field, by the name used on the command line, such as
    vanished_objects."""

    @property
    def bounds(self) -> tuple[float, float] | None:
        """Return the least and the largest distance of its triggers; None where they have none."""
        ends = [self.placement.get(name) for name in ("lower", "upper")]
        lower, upper = (float(end) if isinstance(end, int | float) else None for end in ends)
        if self.role in UNBOUNDED or lower is None or upper is None:
            return None
        return lower, upper


class BenignScores(Settings):
    """What a model does on untouched test scenes."""

    cba: Estimate
    """Clean benign accuracy: mean IoU over all classes."""
    class_iou: tuple[Figure, ...]
    """IoU of each class."""
    asr_without_trigger: Figure
    """Share of victim pixels predicted as the target class without a trigger."""
    victim_recovery: Figure
    """Share of victim pixels predicted as their own class."""
    metrics: dict[str, Estimate] = Field(default_factory=dict)
    """Metrics of the benign test without their own field, by the name used on the command line."""


class Scores(Settings):
    """The results of a run."""

    cba: Figure
    """Clean benign accuracy of the backdoored model."""
    benign: BenignScores
    """The backdoored model on untouched scenes."""
    tests: dict[str, PoisonedTestScores]
    """The backdoored model in each poisoned test."""
    metrics: dict[str, MetricRecord] = Field(default_factory=dict)
    """Descriptions of the metrics without their own field, by the name used on the command line."""

    def of_role(self, *roles: Role) -> tuple[str, ...]:
        """Return the names of the poisoned tests that are for one of these."""
        return tuple(name for name, test in self.tests.items() if test.role in roles)


class OtherTriggers(Settings):
    """Control: every other trigger of the kind, each in all scenes of one poisoned test."""

    test: str
    """The poisoned test that shows them."""
    asr: dict[str, Figure]
    """Attack success rate with each of them, by its name."""
    mean: Figure
    """Their mean."""
    worst: Figure
    """The largest of them."""
    worst_trigger: str | None
    """The trigger it is of."""

    @classmethod
    def of(cls, test: str, asr: dict[str, Figure]) -> OtherTriggers:
        """Return the rates of a test with their mean and the largest of them."""
        known = {name: rate for name, rate in asr.items() if rate is not None}
        worst = max(known, key=known.__getitem__, default=None)
        return cls(
            test=test,
            asr=asr,
            mean=sum(known.values()) / len(known) if known else None,
            worst=None if worst is None else known[worst],
            worst_trigger=worst,
        )


class Controls(Settings):
    """What the results are compared with."""

    clean_model: BenignScores | None
    """The clean model on untouched scenes; null without a clean model."""
    other_trigger: str
    """The trigger of the control ``asr_other_trigger``."""
    other_triggers: OtherTriggers | None = None
    """All other triggers of the kind in one poisoned test; null if there is only one, and in
    records of older versions."""
    cba_difference: Figure
    """CBA of the backdoored model minus that of the clean model."""


class ExperimentRecord(Settings):
    """One run: its settings, what was done, and the results."""

    kind: Literal["experiment-record"] = "experiment-record"
    """Identifies the file as such a record."""
    schema_version: int = Field(default=SCHEMA_VERSION, ge=1)
    """Version of the file's layout."""
    title: str
    """What the run is about, on one line."""
    seed: int = Field(ge=0)
    """Seed of the run."""
    reading: str
    """Which reading of the paper: paper or official."""
    method: str | None
    """Attack method by the paper's name: baseline, nni, prl or nni+prl; null if the run poisoned
    nothing."""
    exceptions: tuple[str, ...]
    """What the reading deliberately does not reproduce."""
    config_given: Json
    """Settings as given."""
    config: Json
    """All settings as resolved."""
    handed_in: HandedIn | None = None
    """Scenes and network that a Python program passed as objects; null if the settings name them
    all."""
    data: DataRecord
    """The scenes."""
    victims: tuple[str, ...]
    """Victim classes."""
    target: str
    """Target class; that of the first victim class if there are several."""
    targets: tuple[str, ...] = ()
    """Target class of each victim class; empty if all have the same."""
    plan: PlanSummary | None
    """The poison plan in figures; null if the run poisoned nothing."""
    scores: Scores
    """The results."""
    controls: Controls
    """What the results are compared with."""
    num_parameters: int
    """Number of parameters of the network."""
    loaded_weights: LoadedWeights | None = None
    """Weights loaded before training, or before the poisoned tests if nothing was trained; null if
    the model started from random weights, or is not segdoor's own network."""
    remarks: tuple[str, ...] = ()
    """What to know before reading the figures."""
    repairs: tuple[RepairRecord, ...] = ()
    """What each repair changed, in order."""
    gallery: tuple[GalleryScene, ...] = ()
    """Pictures of scenes, from the attack's best to its worst."""
    poisoned_scenes: tuple[PoisonedScene, ...] = ()
    """Pictures of the first scenes of the plan, before and after poisoning."""
    seconds: dict[str, float]
    """Wall time of each stage, in seconds; two trainings may have run at the same time."""
    peak_memory_mib: float
    """Largest resident memory of the process, in MiB."""
    environment: Environment
    """The machine and versions of the run."""
    files: dict[str, str]
    """Files beside the record, by content."""

    @property
    def pairs(self) -> tuple[tuple[str, str], ...]:
        """Return each victim class with its target class."""
        targets = self.targets or (self.target,) * len(self.victims)
        return tuple(zip(self.victims, targets, strict=True))

    @model_validator(mode="after")
    def _one_iou_a_class(self) -> ExperimentRecord:
        victims = (self.scores.benign, self.controls.clean_model)
        if any(len(v.class_iou) != len(self.data.classes) for v in victims if v is not None):
            raise ValueError(
                f"class_iou must have one entry for each of {len(self.data.classes)} classes"
            )
        return self

    @model_validator(mode="after")
    def _classes_are_known(self) -> ExperimentRecord:
        names = {entry.name for entry in self.data.classes}
        told = {"victims": self.victims, "target": (self.target,), "targets": self.targets}
        for field, group in told.items():
            if unknown := set(group) - names:
                found = brief(min(unknown))
                raise ValueError(f"{field} must name classes of data.classes, unlike {found}")
        if self.targets and len(self.targets) != len(self.victims):
            raise ValueError("targets must have one class for each of victims, or be empty")
        return self

    @model_validator(mode="after")
    def _repairs_have_the_tests(self) -> ExperimentRecord:
        known = self.scores.tests.keys()
        for index, repair in enumerate(self.repairs):
            for side, effect in repair.effects().items():
                if effect.tests.keys() != known:
                    raise ValueError(f"repairs.{index}.{side}.tests must be those of scores.tests")
        return self
