"""4. The exam: a model over scenes gives tables; it knows nothing of triggers."""
