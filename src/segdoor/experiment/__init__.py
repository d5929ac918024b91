"""6. One run: the whole story once."""
