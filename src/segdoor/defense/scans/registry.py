"""The model scans by name."""

from __future__ import annotations

from segdoor.defense.scans.black_box import BlackBox
from segdoor.defense.scans.neural_cleanse import NeuralCleanse
from segdoor.defense.scans.pair_inversion import PairInversion
from segdoor.defense.scans.scan import Scan
from segdoor.plugins import Registry

SCANS: Registry[Scan] = Registry(
    "scan",
    Scan,
    "--with",
    {
        "pair_inversion": PairInversion,
        "black_box": BlackBox,
        "neural_cleanse": NeuralCleanse,
    },
)
"""The model scans by name; add one by a file beside this one and a line here."""
