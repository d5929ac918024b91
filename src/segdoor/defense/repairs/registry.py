"""The repairs by name."""

from __future__ import annotations

from segdoor.defense.repairs.finetune import Finetune
from segdoor.defense.repairs.prune import Prune
from segdoor.defense.repairs.repair import Repair
from segdoor.plugins import Registry

REPAIRS = Registry(
    "repair",
    Repair,
    "--with",
    {
        "finetune": Finetune,
        "prune": Prune,
    },
)
"""The repairs by name; add one by a file beside this one and a line here."""
