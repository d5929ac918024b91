"""Repairs: from a model and some clean scenes to a model."""
