"""The detectors by name."""

from __future__ import annotations

from segdoor.defense.detectors.auxiliary import Auxiliary
from segdoor.defense.detectors.canary import Canary
from segdoor.defense.detectors.detector import Detector
from segdoor.defense.detectors.frequency import Frequency
from segdoor.defense.detectors.ibd_psc import IbdPsc
from segdoor.defense.detectors.occlusion import Occlusion
from segdoor.defense.detectors.scale_up import ScaleUp
from segdoor.defense.detectors.strip import Strip
from segdoor.defense.detectors.teco import Teco
from segdoor.plugins import Registry

DETECTORS: Registry[Detector] = Registry(
    "detector",
    Detector,
    "--with",
    {
        "occlusion": Occlusion,
        "canary": Canary,
        "strip": Strip,
        "scale_up": ScaleUp,
        "teco": Teco,
        "auxiliary": Auxiliary,
        "frequency": Frequency,
        "ibd_psc": IbdPsc,
    },
)
"""The detectors by name; add one by a file beside this one and a line here."""
