"""The model scans by name."""

from __future__ import annotations

from segdoor.defense.scans.scan import Scan
from segdoor.plugins import Registry

SCANS: Registry[Scan] = Registry("scan", Scan, "scan", {})
"""The model scans by name; add one by a file beside this one and a line here."""
