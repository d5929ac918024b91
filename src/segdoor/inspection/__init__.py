"""Inspection before any work: of a data set, the machine and nearby files."""
