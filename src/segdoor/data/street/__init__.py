"""Procedural street scenes: the embedded default data set, any size, no files."""

from segdoor.data.street.dataset import GENERATOR_VERSION, STREET_CLASSES, StreetDataset

__all__ = ["GENERATOR_VERSION", "STREET_CLASSES", "StreetDataset"]
