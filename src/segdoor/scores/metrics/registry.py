"""The metrics by name."""

from __future__ import annotations

from segdoor.plugins import Registry
from segdoor.scores.metrics.asr import AttackSuccessRate
from segdoor.scores.metrics.cba import CleanBenignAccuracy
from segdoor.scores.metrics.kept_victims import KeptVictims
from segdoor.scores.metrics.metric import Metric
from segdoor.scores.metrics.pba import PoisonedBenignAccuracy
from segdoor.scores.metrics.vanished_objects import VanishedObjects
from segdoor.scores.metrics.victim_recovery import VictimRecovery

METRICS = Registry(
    "metric",
    Metric,
    "--metric",
    {
        "asr": AttackSuccessRate,
        "pba": PoisonedBenignAccuracy,
        "cba": CleanBenignAccuracy,
        "victim_recovery": VictimRecovery,
        "vanished_objects": VanishedObjects,
        "kept_victims": KeptVictims,
    },
)
"""The metrics by name; add one by a file beside this one and a line here."""
