"""Placeholder until the public surface stands."""
