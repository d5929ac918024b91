"""Scans of a data set, of images or of a model, for a defender who knows nothing of an attack."""
