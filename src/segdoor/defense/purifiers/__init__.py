"""Purifiers: images that no longer hold a trigger, before a model sees them."""
