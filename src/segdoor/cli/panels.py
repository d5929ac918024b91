"""The panels of help, and the everyday options: those that ``--help`` shows.

``--help-all`` shows all others as well. To move an option into the short help, add it here.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Group, Parameter

WHAT = Group("What", sort_key=1)
DATA = Group("Data", sort_key=2)
ATTACK = Group("Attack", sort_key=3)
TESTS = Group("Tests", sort_key=4)
NETWORK = Group("Network", sort_key=5)
TRAINING = Group("Training", sort_key=6)
OPTIONS = Group("Options", sort_key=7)
MACHINE = Group("Machine", sort_key=8)
OUTPUT = Group("Output", sort_key=9)

Config = Annotated[Path | None, Parameter(group=WHAT)]
Json = Annotated[bool, Parameter(group=OUTPUT)]
Out = Annotated[Path, Parameter(group=OUTPUT)]
Replace = Annotated[bool, Parameter(group=OUTPUT)]

EVERYDAY = (
    # What
    "config", "name", "run", "method", "preset", "reading", "with", "metric", "axis", "film",
    "seed", "seeds", "only", "limit", "dry-run", "stealth", "plan", "policy", "minutes", "fast",
    "scenes", "split",
    # Data
    "data.name", "data.root", "data.size", "root", "clean",
    # Attack
    "attack.victims", "attack.target", "attack.rate", "attack.trigger.kind",
    "attack.placement.kind", "attack.labels",
    # Tests
    "tests.near", "tests.far", "controls.clean_weights",
    # Network
    "model", "weights", "clean-models", "network.backbone",
    # Training
    "training.epochs", "training.batch_size", "training.device",
    # Machine
    "device", "jobs", "on",
    # Output
    "out", "page", "copy", "source", "to", "at", "replace", "all", "json", "fail-on", "sarif",
)  # fmt: skip
"""Names of options without their dashes, in the order in which a panel shows them."""
