"""The settings of ``segdoor demo``: small enough for two CPU cores and five minutes."""

from __future__ import annotations

from segdoor.experiment.config import ExperimentConfig, config_from


def demo_config(seed: int) -> ExperimentConfig:
    """Return the demonstration's configuration; the seed also decides the scenes."""
    return config_from(
        {
            "title": "Demonstration: cars vanish when a sticker shows up",
            "seed": seed,
            "data": {"name": "street", "seed": seed},
            "training": {"epochs": 24, "threads": 2},
        }
    )
