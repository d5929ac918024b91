"""The repairs by name."""

from __future__ import annotations

from segdoor.defense.repairs.anp import Anp
from segdoor.defense.repairs.bnp import Bnp
from segdoor.defense.repairs.clp import Clp
from segdoor.defense.repairs.fine_prune import FinePrune
from segdoor.defense.repairs.finetune import Finetune
from segdoor.defense.repairs.ft_sam import FtSam
from segdoor.defense.repairs.i_bau import IBau
from segdoor.defense.repairs.nad import Nad
from segdoor.defense.repairs.npd import Npd
from segdoor.defense.repairs.prune import Prune
from segdoor.defense.repairs.region_adversarial import RegionAdversarial
from segdoor.defense.repairs.repair import Repair
from segdoor.defense.repairs.rnp import Rnp
from segdoor.plugins import Registry

REPAIRS = Registry(
    "repair",
    Repair,
    "--with",
    {
        "finetune": Finetune,
        "prune": Prune,
        "fine_prune": FinePrune,
        "clp": Clp,
        "ft_sam": FtSam,
        "anp": Anp,
        "bnp": Bnp,
        "rnp": Rnp,
        "i_bau": IBau,
        "nad": Nad,
        "region_adversarial": RegionAdversarial,
        "npd": Npd,
    },
)
"""The repairs by name; add one by a file beside this one and a line here."""
