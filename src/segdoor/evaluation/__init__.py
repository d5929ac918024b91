"""4. The poisoned test: a model over scenes gives tables; it knows nothing of triggers."""
