"""The purifiers by name."""

from __future__ import annotations

from segdoor.defense.purifiers.purifier import Purifier
from segdoor.plugins import Registry

PURIFIERS: Registry[Purifier] = Registry("purifier", Purifier, "purifier", {})
"""The purifiers by name; add one by a file beside this one and a line here."""
