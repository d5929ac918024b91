"""Results of runs and studies: strict, versioned, and readable on their own."""

from segdoor.record.earlier import field_then
from segdoor.record.environment import Environment, LoadedWeights
from segdoor.record.figures import SCHEMA_VERSION, UNBOUNDED, Estimate, Figure, Json, Role
from segdoor.record.file import (
    find_record,
    load_record,
    load_study,
    read_content,
    save_record,
)
from segdoor.record.handed import HandedIn, HandedNetwork, HandedScenes
from segdoor.record.metrics import MetricPart, MetricRecord, MetricScores
from segdoor.record.pictures import GalleryScene, PlacedView, PoisonedScene
from segdoor.record.repair import ModelEffect, PoisonedTestEffect, RepairRecord
from segdoor.record.run import (
    BenignScores,
    ClassRecord,
    Controls,
    DataRecord,
    ExperimentRecord,
    OtherTriggers,
    PlanSummary,
    PoisonedTestScores,
    Scores,
)
from segdoor.record.scaling import AxisValue, name_in_paper, with_here
from segdoor.record.study import (
    RATE_REACHED,
    ClaimCell,
    Decision,
    Evidence,
    Spread,
    StudyRecord,
    StudyRun,
    Verdict,
)

__all__ = [
    "RATE_REACHED",
    "SCHEMA_VERSION",
    "UNBOUNDED",
    "AxisValue",
    "BenignScores",
    "ClaimCell",
    "ClassRecord",
    "Controls",
    "DataRecord",
    "Decision",
    "Environment",
    "Estimate",
    "Evidence",
    "ExperimentRecord",
    "Figure",
    "GalleryScene",
    "HandedIn",
    "HandedNetwork",
    "HandedScenes",
    "Json",
    "LoadedWeights",
    "MetricPart",
    "MetricRecord",
    "MetricScores",
    "ModelEffect",
    "OtherTriggers",
    "PlacedView",
    "PlanSummary",
    "PoisonedScene",
    "PoisonedTestEffect",
    "PoisonedTestScores",
    "RepairRecord",
    "Role",
    "Scores",
    "Spread",
    "StudyRecord",
    "StudyRun",
    "Verdict",
    "field_then",
    "find_record",
    "load_record",
    "load_study",
    "name_in_paper",
    "read_content",
    "save_record",
    "with_here",
]
