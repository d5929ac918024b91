"""Detectors: does an image hold what a backdoored model waits for."""
