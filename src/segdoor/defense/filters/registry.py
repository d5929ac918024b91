"""The filters by name."""

from __future__ import annotations

from segdoor.defense.filters.filter import Filter
from segdoor.plugins import Registry

FILTERS: Registry[Filter] = Registry("filter", Filter, "filter", {})
"""The filters by name; add one by a file beside this one and a line here."""
