"""Scans: was a model given a backdoor, and between which classes."""
