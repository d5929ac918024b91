"""The purifiers by name."""

from __future__ import annotations

from segdoor.defense.purifiers.bit_depth import BitDepth
from segdoor.defense.purifiers.blur import Blur
from segdoor.defense.purifiers.inpaint import Inpaint
from segdoor.defense.purifiers.jpeg import Jpeg
from segdoor.defense.purifiers.median import Median
from segdoor.defense.purifiers.purifier import Purifier
from segdoor.defense.purifiers.shrink_and_pad import ShrinkAndPad
from segdoor.plugins import Registry

PURIFIERS: Registry[Purifier] = Registry(
    "purifier",
    Purifier,
    "--with",
    {
        "shrink_and_pad": ShrinkAndPad,
        "jpeg": Jpeg,
        "median": Median,
        "bit_depth": BitDepth,
        "blur": Blur,
        "inpaint": Inpaint,
    },
)
"""The purifiers by name; add one by a file beside this one and a line here."""
