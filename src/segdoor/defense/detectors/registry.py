"""The detectors by name."""

from __future__ import annotations

from segdoor.defense.detectors.canary import Canary
from segdoor.defense.detectors.detector import Detector
from segdoor.defense.detectors.occlusion import Occlusion
from segdoor.plugins import Registry

DETECTORS: Registry[Detector] = Registry(
    "detector",
    Detector,
    "detector",
    {
        "occlusion": Occlusion,
        "canary": Canary,
    },
)
"""The detectors by name; add one by a file beside this one and a line here."""
