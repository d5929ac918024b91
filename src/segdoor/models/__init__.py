"""Trained models that come along, so that defenses can be tried at once."""
